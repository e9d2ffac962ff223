"""Clearances and the trails of labels through a graph, before anything runs."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery import Label, ask, graph, loop, prompt, tool, when
from rookery.core.graph import Call, Graph, Ref
from rookery.core.label import source
from rookery.core.passage import Clearance, Passage, clear, clear_all, clear_if, clear_none, declassify, endorse
from rookery.core.trail import follow

UNTRUSTED = frozenset({"untrusted"})


@tool(labels=UNTRUSTED)
def fetch(url: str) -> str:
    return url


@tool(effect=True)
def send(to: str, body: str) -> str:
    return to


@tool(effect=True)
def file_away(body: Annotated[str, Label("untrusted")]) -> str:
    return body


@tool(outside=True)
def look_up(word: str) -> str:
    return word


@tool(effect=True)
def ring() -> None: ...


@tool
def join_up(a: str, b: str) -> str:
    return a + b


@prompt
def summary(text: str) -> str:
    """Sum up: {text}"""


@prompt
def is_urgent(text: str) -> bool:
    """Urgent? {text}"""


def told(subject: Any) -> dict[str, str]:
    return {crossing.place: crossing.passage.text for crossing in follow(subject)}


def made(function: Any) -> Graph:
    return graph(function)


# -------------------------------------------------------------------- clearances


@pytest.mark.parametrize(("sink", "patterns", "passes"), [
    ("send.body", ["send.body"], True), ("send.to", ["send.body"], False), ("send", ["send.body"], False), ("send", ["send"], True),
    ("send.to", ["send"], False), ("send.to", ["send*"], True), ("send", ["send*"], True), ("model:openai:x", ["model:openai:*"], True),
    ("model:openai:x", ["model:a*"], False), ("memory:user:ada", ["memory:user:*"], True), ("memory:user:ada", ["mem*y:team"], False),
    ("send.to", [], True),
])  # fmt: skip
def test_sinks_are_named_by_patterns(sink: str, patterns: list[str], passes: bool) -> None:
    assert clear("untrusted", *patterns)(Passage("untrusted", sink)) is passes
    assert clear("secret", *patterns)(Passage("untrusted", sink)) is False


@given(st.booleans(), st.booleans())
def test_clearances_join_like_booleans(a: bool, b: bool) -> None:
    one, other = (clear_all if value else clear_none for value in (a, b))
    passage = Passage("untrusted", "send")
    assert (one | other)(passage) is (a or b) and (one & other)(passage) is (a and b) and (~one)(passage) is (not a)


def test_what_looks_at_values_is_late() -> None:
    late = clear_if(lambda passage: passage.value == "me")
    assert late.late and (late | clear_none).late and (clear("untrusted") & late).late and (~late).late and not clear("untrusted").late
    assert late(Passage("untrusted", "send.to", arguments={"to": "me"})) and not late(Passage("untrusted", "send.body", arguments={"to": "me"}))


def test_a_source_is_one_word() -> None:
    assert source("mcp", "my files") == "source:mcp:my-files" and source("web") == "source:web"


# -------------------------------------------------------------------- trails


def test_an_untrusted_value_is_followed_through_prompts_and_tools() -> None:
    def forward(to: str, url: str) -> str:
        return send(to=to, body=join_up(a="x", b=summary(text=fetch(url=url))))

    assert told(made(forward)) == {"calls.send.body": "untrusted: fetch → summary → join_up → send.body"}


def test_what_is_trusted_crosses_nothing() -> None:
    def plain(to: str, body: str) -> str:
        return send(to=to, body=summary(text=body))

    assert told(made(plain)) == {}


def test_a_parameter_that_says_so_takes_it() -> None:
    def keep(url: str) -> str:
        return file_away(body=fetch(url=url))

    assert told(made(keep)) == {}


def test_an_input_has_its_own_label() -> None:
    def mail(letter: Annotated[str, Label("untrusted")], key: Annotated[str, Label("secret")]) -> list[str]:
        return [send(to="me", body=letter), look_up(word=key), summary(text=key)]

    assert told(made(mail)) == {
        "calls.send.body": "untrusted: inputs.letter → send.body", "calls.look_up.word": "secret: inputs.key → look_up.word",
        "calls.summary.text": "secret: inputs.key → summary → model:",
    }


def test_a_condition_decides_what_is_called() -> None:
    def alarm(url: str) -> Any:
        return when(is_urgent(text=fetch(url=url)), lambda: ring())

    assert told(made(alarm)) == {"calls.ring": "untrusted: fetch → is_urgent → ring"}


def test_endorsing_and_a_persons_answer_end_a_trail() -> None:
    def checked(url: str) -> list[Any]:
        page = fetch(url=url)
        return [send(to="me", body=endorse(page, "a person has seen it")), send(to="me", body=ask(str, "Correct it", show=page))]

    assert told(made(checked)) == {}


def test_declassifying_leaves_it_untrusted() -> None:
    def both(word: Annotated[str, Label("secret"), Label("untrusted")]) -> str:
        return send(to="me", body=declassify(word, "its first letter"))

    assert told(made(both)) == {"calls.send.body": "untrusted: inputs.word → declassify → send.body"}


def test_maps_loops_and_graphs_are_followed() -> None:
    @graph
    def inner(to: str, body: str) -> str:
        return send(to=to, body=body)

    def over(urls: list[str]) -> list[str]:
        return inner.each(to="me", body=fetch.each(url=urls))

    assert told(made(over)) == {"calls.inner.calls.send.body": "untrusted: fetch → send.body"}

    def again(url: str) -> str:
        def turn(text: str) -> str:
            return join_up(a=send(to="me", body=text), b=fetch(url="x"))

        return loop(turn, text=url, times=3)

    assert "untrusted: fetch → join_up → send.body" in next(iter(told(made(again)).values()))


def test_a_deep_nest_is_followed_as_far_as_it_goes() -> None:
    @graph
    def innermost(url: str) -> str:
        return send(to="me", body=fetch(url=url))

    level = innermost
    for depth in range(300):
        call = Call("inner", "graph", str, {"url": Ref("inputs.url")}, function=level)
        level = Graph(f"level{depth}", inputs=dict(level.params), calls=[call], output=Ref("inner"), returns=str, effects=["inner"])
    assert told(level) == {}, "too deep to be looked at before the run"
    assert list(told(innermost)) == ["calls.send.body"]


@pytest.mark.parametrize("wrong", ["", "  ", None])
def test_a_reason_is_needed(wrong: Any) -> None:
    with pytest.raises(TypeError, match="reason"):
        endorse("x", wrong)


def test_clearance_is_data() -> None:
    assert isinstance(clear("untrusted"), Clearance)
