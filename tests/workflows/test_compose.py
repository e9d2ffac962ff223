"""YAML read as nodes: values by YAML 1.2, places, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rookery.workflows.compose import MAX_DEPTH, Refused, composed, scalar
from rookery.workflows.write import text, write


def read(source: str) -> Any:
    document, faults = composed(source)
    assert not faults
    return document.root.data()


def refused(source: str | bytes) -> Any:
    with pytest.raises(Refused) as found:
        composed(source, "f.yaml")
    return found.value.fault


@pytest.mark.parametrize(
    ("written", "value"),
    [("yes", "yes"), ("no", "no"), ("on", "on"), ("012", 12), ("0o17", 15), ("0x1f", 31), ("1:30", "1:30"), ("1_000", "1_000"), ("~", None),
     ("", None),
     ("1e3", 1000.0), (".5", 0.5), ("1.", 1.0), ("-.inf", float("-inf")), ("True", True), ("tRue", "tRue"), ("2026-11-25", "2026-11-25"), ("=", "=")],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(written: str, value: Any) -> None:
    assert scalar(written) == value and type(scalar(written)) is type(value)


def test_nodes_know_where_they_stand() -> None:
    source = "a: 1\nb:\n  - x\n  - {c: 'd'}\n"
    document, _ = composed(source)
    item = document.root.get("b").items[1]  # type: ignore[union-attr]
    assert (item.line, item.column) == (3, 4)
    inner = item.get("c")
    assert inner is not None and inner.label is not None
    place = document.place(inner)
    assert (place.line, place.column, place.length, place.text) == (4, 9, 3, "  - {c: 'd'}")
    assert document.place(inner, start=0, length=1).column == 10  # inside of the quotes


@pytest.mark.parametrize(
    "style", ["prompt: 'is it {x}'", 'prompt: "is it {x}"', "prompt: is it {x}", "prompt: |\n  is\n  it {x}", "prompt: >\n  is it {x}"]
)
def test_a_piece_of_a_text_is_found_whatever_its_style(style: str) -> None:
    document, _ = composed(style)
    node = document.root.items[0]
    place = document.place(node, start=node.text.index("{x}"), length=3)
    assert place.text[place.column - 1 : place.column + 2] == "{x}"


def test_aliases_repeat_a_value_and_nothing_else() -> None:
    assert read("a: &x [1, 2]\nb: *x\n") == {"a": [1, 2], "b": [1, 2]}
    assert refused("a: &x [1, *x]\n").kind == "alias"
    assert refused("a: *y\n").kind == "alias"
    assert "merge" in refused("a: &x {b: 1}\nc:\n  <<: *x\n").message


@pytest.mark.parametrize(
    ("source", "kind", "place"),
    [
        ("a: 1\n---\nb: 2\n", "shape", (2, 1)),
        ("", "shape", (1, 1)),
        ("# nothing\n", "shape", (1, 1)),
        ("a: !!python/name:os.system\n", "tag", (1, 4)),
        ("a: !env HOME\n", "tag", (1, 4)),
        ("? [a, b]\n: c\n", "shape", (1, 3)),
        ("a:\n\t- b\n", "syntax", (2, 1)),
        ("a: b: c\n", "syntax", (1, 5)),
        ("a: 'b\n", "syntax", (1, 4)),
        ("a: [b\n", "syntax", (1, 4)),
        ("a: @b\n", "syntax", (1, 4)),
        ("a: {b: $c[0].d}\n", "syntax", (1, 8)),
        ('a: "\\q"\n', "syntax", (1, 5)),
        (b"a: \xff\n", "encoding", (1, 4)),
        (b"a: 1\nb: \x00\n", "encoding", (2, 4)),
        ("a: 1\n".encode("utf-16"), "encoding", (1, 1)),
        ("a: " + "[" * 100 + "]" * 100, "depth", (1, 3 + MAX_DEPTH)),
    ],
)
def test_what_is_no_workflow_at_all(source: str | bytes, kind: str, place: tuple[int, int]) -> None:
    fault = refused(source)
    assert (fault.kind, (fault.place.line, fault.place.column)) == (kind, place), fault.shown


def test_a_key_that_stands_twice_does_not_hide_the_rest() -> None:
    _, faults = composed("a: 1\na: 2\nb: 3\nb: 4\n")
    assert [(fault.place.line, fault.hint) for fault in faults] == [(2, "the first is in line 1"), (4, "the first is in line 3")]


def test_a_byte_order_mark_and_other_line_ends_are_fine() -> None:
    assert read("\ufeffa: 1\r\nb: x\r\n") == {"a": 1, "b": "x"}


DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abc $:'\"é", min_size=1, max_size=6).filter(lambda key: key != "<<"), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["a", "b", "limit", "calls"]), DATA, min_size=1))
def test_what_is_written_is_read_as_it_was(data: dict[str, Any]) -> None:
    assert read(write(data)) == data


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_a_text_on_one_line_comes_back(value: str) -> None:
    assert yaml.safe_load(f"[{text(value)}]") == [value] or read(f"[{text(value)}]") == [value]
    assert read(f"a: {text(value)}") == {"a": value}


def test_json_is_yaml() -> None:
    data = {"version": 1, "calls": {"a": {"prompt": "x"}}}
    assert read(json.dumps(data)) == data
