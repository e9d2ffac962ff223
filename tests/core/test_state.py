"""What a run knows of its values: who may change them, what is stored, and that secrets are not."""

from __future__ import annotations

from typing import Annotated, Any

from rookery import Label, graph, tool, when
from rookery.core import event as ev
from tests.core.tools import inc, ran, total, upto
from tests.simulation import Simulation

# -------------------------------------------------------------------- values


def test_what_may_be_changed_in_place_is_each_readers_own() -> None:
    @tool
    def spoil(xs: list[int], more: list[int]) -> int:
        xs.append(1)
        more.append(1)
        return len(xs) + len(more)

    @graph
    def inner(xs: list[int], more: list[int] = [7]) -> int:  # noqa: B006
        return spoil(xs=xs, more=more)

    @graph
    def program(n: int) -> int:
        shared = upto(n=n)
        calls = [spoil(xs=shared, more=[1, 2]), spoil(xs=shared, more=[1, 2]), inner(xs=shared), inner(xs=[0])]
        mapped = spoil.each("more", xs=[5], more=[[1], [1]])
        return total(xs=[*calls, total(xs=mapped), total(xs=inc.each(x=shared))])

    first = ran(program, n=2)[0]
    assert first == 6 + 6 + 5 + 4 + 8 + 3 and ran(program, n=2)[0] == first


def test_a_value_for_one_reader_is_not_stored() -> None:
    @graph
    def program(n: int) -> int:
        return total(xs=inc.each(x=upto(n=n)))

    done = Simulation(program).start(n=300).run()
    stored = sum(map(len, done.store.values()))
    assert done.value == 300 * 301 // 2 and stored < 300 * 10  # the list of upto and no other


def test_secrets_never_stand_in_bytes() -> None:
    @tool
    def login(key: str, parts: list[str]) -> str:
        return f"{key}-{parts}"

    @tool
    def parts_of(key: str) -> list[str]:
        return [key, key]

    @graph
    def program(key: Annotated[str, Label("secret")]) -> Any:
        parts = parts_of(key=key)
        return [login(key=key, parts=parts), login.each(key=parts, parts=[key]), when(known_key(key=key), parts, key)]

    done = Simulation(program).start(key="hunter2").run()
    assert done.outcome == "finished"
    everything = " ".join(map(ev.to_wire, done.log)) + str(done.store)
    assert "hunter2" not in everything
    assert done.value[0] == "hunter2-['hunter2', 'hunter2']" and done.value[1] == ["hunter2-['hunter2']"] * 2


@tool
def known_key(key: str) -> bool:
    return bool(key)


def test_a_parameter_that_is_labelled_labels_what_comes_of_it() -> None:
    @tool
    def login(key: Annotated[str, Label("secret")]) -> str:
        return key

    @graph
    def inner(key: Annotated[str, Label("untrusted")]) -> str:
        return login(key=key)

    @graph
    def program(key: str) -> str:
        return inner(key=key)

    done = Simulation(program).start(key="k").run()
    assert done.state.output is not None and done.state.output.labels == {"secret", "untrusted"}
