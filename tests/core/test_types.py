"""Values of any type are checked, written canonically and read back, and one function compares types."""

# ruff: noqa: UP007, UP045, F821
from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import math
import pathlib
import re
import threading
import uuid
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence, Set
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, Optional, TypeVar, Union

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import AnyUrl, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, SecretStr, computed_field, field_serializer
from typing_extensions import TypeAliasType, TypedDict

from rookery.core import types
from rookery.core.canonical import same
from rookery.core.types import (
    adapter,
    dump,
    dumper,
    element_type,
    fits,
    is_immutable,
    load,
    load_foreign,
    loader,
    name_of,
    schema,
    serialisable,
    shareable,
    show,
    validate,
    validator,
)
from rookery.errors import NotSerialisable, ParseFailed

T = TypeVar("T")
Bound = TypeVar("Bound", bound=int)
UserId = NewType("UserId", int)
Names = TypeAliasType("Names", list[str])
Tree = TypeAliasType("Tree", "dict[str, Tree | int]")
Pair = TypeAliasType("Pair", tuple[T, T], type_params=(T,))


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Shade(enum.StrEnum):
    DARK = "dark"


class Section(BaseModel):
    title: str
    weight: float = 1.0
    raw: bytes = b""
    tags: set[str] = set()
    more: list[Section] = []


class Chapter(Section):
    number: int = 0


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)
    name: str
    kids: tuple[Frozen, ...] = ()


class Box(BaseModel, Generic[T]):
    item: T


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    lives: int


@dataclasses.dataclass
class Point:
    x: int
    raw: bytes = b""


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    x: int
    tags: tuple[str, ...] = ()


class Row(NamedTuple):
    n: int
    text: str = ""


class Small(TypedDict):
    a: int


class Big(TypedDict):
    a: bool
    b: NotRequired[str]


class Plain:
    pass


NAN = float("nan")
WHEN = datetime.datetime(2024, 2, 29, 12, 30, 1, 5, tzinfo=datetime.UTC)

ROUND_TRIPS: list[tuple[Any, Any]] = [
    (str, 'quotes " and \\ and \x00\x7f and ü and 🐦\n'),
    (int, -(2**70)),
    (float, math.inf),
    (float, NAN),
    (float, -0.0),
    (bool, True),
    (None, None),
    (bytes, b"\xff\x00"),
    (complex, complex(1, NAN)),
    (fractions.Fraction, fractions.Fraction(1, 3)),
    (decimal.Decimal, decimal.Decimal("1.10")),
    (uuid.UUID, uuid.UUID(int=5)),
    (pathlib.Path, pathlib.Path("/a/b")),
    (re.Pattern, re.compile("a+")),
    (datetime.date, WHEN.date()),
    (datetime.datetime, WHEN),
    (datetime.time, WHEN.time()),
    (datetime.timedelta, datetime.timedelta(-1, 5, 7)),
    (Colour, Colour.RED),
    (Level, Level.HIGH),
    (Shade, Shade.DARK),
    (Literal["a", 1, None], 1),
    (AnyUrl, AnyUrl("http://a.b/c")),
    (list[bytes], [b"\xff"]),
    (set[int], {3, 1, 2}),
    (frozenset[str], frozenset("abc")),
    (tuple[int, str], (1, "a")),
    (tuple[int, ...], (1, 2)),
    (dict[int, bytes], {10: b"a", 2: b"\xff"}),
    (dict[float, float], {math.inf: -math.inf}),
    (dict[uuid.UUID, int], {uuid.UUID(int=1): 1}),
    (Sequence[int], [1]),
    (Iterable[int], [1]),
    (Collection[str], ["a"]),
    (Mapping[str, int], {"a": 1}),
    (deque[int], deque([1, 2])),
    (Section, Section(title="t", weight=math.inf, raw=b"\xfe", tags={"b", "a"}, more=[Section(title="u", weight=NAN)])),
    (list[Chapter], [Chapter(title="t", number=3)]),
    (Point, Point(1, b"\xff")),
    (Place, Place(1, ("a",))),
    (Row, Row(1, "x")),
    (Big, {"a": True, "b": "x"}),
    (Box[int], Box[int](item=1)),
    (Optional[Section], None),
    (Section | int, 5),
    (int | float, 1.0),
    (int | float, 1),
    (int | str | None, "1"),
    (bool | int, 1),
    (bool | int, True),
    (Union[Cat, Dog], Dog(lives=1)),
    (Annotated[Cat | Dog, Field(discriminator="kind")], Cat(lives=9)),
    (Annotated[int, Field(gt=0)], 3),
    (UserId, 4),
    (Names, ["a"]),
    (Tree, {"a": {"b": 1}}),
    (Any, {"b": [1, 1.5, None, True, "x", {}], "a": NAN}),
    (list, [1, "a"]),
    (dict, {"a": 1}),
    (Annotated[list[int], Field(json_schema_extra={"a": 1})], [1]),
]


@pytest.mark.parametrize(("type_", "value"), ROUND_TRIPS, ids=range(len(ROUND_TRIPS)))
def test_what_is_written_is_read_back_as_it_was(type_: Any, value: Any) -> None:
    assert serialisable(type_) is None
    data = dump(value, type_)
    again = load(data, type_)
    assert same(again, value)
    assert dump(again, type_) == data == dumper(type_)(value)
    assert same(loader(type_)(data), value)
    assert same(validate(value, type_), value)


REFUSED: list[tuple[Any, Any, str]] = [
    (Any, Section(title="t"), "Section"),
    (Any, (1, 2), "tuple"),
    (Any, {1: 2}, "keys"),
    (list, [Point(1)], "Point"),
    (list[Any], [{1}], "set"),
    (Section, Chapter(title="t", number=1), "come back"),
    (list[Section], [Chapter(title="t")], "come back"),
    (uuid.UUID | str, str(uuid.UUID(int=1)), "come back"),
    (bytes | str, "YQ==", "come back"),
    (re.Pattern, re.compile("a", re.IGNORECASE), "come back"),
    (dict[tuple[int, int], int], {(1, 2): 3}, "validate"),
    (str, "\ud800", "surrogates"),
    (list[str], ["\ud800"], "surrogates"),
    (Any, "\ud800", "surrogates"),
    (int, 10**5000, "number"),
    (list[int], [10**5000], "number"),
    (int, "5", "valid integer"),
    (list[int], [1, "x"], r"\$\[1\]"),
    (str, 5, "valid string"),
    (Section, {"title": "t"}, "Section"),
    (SecretStr, SecretStr("s"), "secret"),
    (Plain, Plain(), "Plain"),
    (Callable[[], int], len, "function"),
    (type[int], int, "class"),
    (Iterator[int], iter([1]), "Iterator"),
    (Generator[int, None, None], (n for n in [1]), "iterator"),
]


@pytest.mark.parametrize(("type_", "value", "reason"), REFUSED, ids=range(len(REFUSED)))
def test_what_would_not_come_back_is_refused_with_a_hint(type_: Any, value: Any, reason: str) -> None:
    with pytest.raises(NotSerialisable, match=reason) as error:
        dump(value, type_)
    assert error.value.hint


class Masked(BaseModel):
    secret: SecretStr


class Loses(BaseModel):
    kept: int
    lost: int = Field(default=0, exclude=True)
    _own: int = PrivateAttr(0)


class Odd(BaseModel):
    when: int

    @field_serializer("when")
    def _write(self, when: int) -> str:
        return f"about {when}"


class Renamed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(alias="theName")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def shout(self) -> str:
        return self.name.upper()


def test_models_that_hide_or_change_fields_are_found_out_by_value() -> None:
    assert dump(Loses(kept=1), Loses) == b'{"kept":1}'
    with pytest.raises(NotSerialisable, match="come back"):
        dump(Loses(kept=1, lost=2), Loses)
    with pytest.raises(NotSerialisable, match="valid integer"):
        dump(Odd(when=3), Odd)
    hidden = Loses(kept=1)
    hidden._own = 3
    with pytest.raises(NotSerialisable, match="come back"):
        dump(hidden, Loses)
    value = Renamed(theName="a")
    assert load(dump(value, Renamed), Renamed) == value
    assert load_foreign(b'{"theName":"a"}', Renamed) == load_foreign(b'{"name":"a"}', Renamed) == value


@pytest.mark.parametrize(
    ("type_", "reason"),
    [
        (Masked, r"\$\.secret: a secret"),
        (list[SecretStr], r"\$\[\]: a secret"),
        (Plain, "Plain"),
        (threading.Thread, "Thread"),
        (dict[str, Plain], "Plain"),
        (Callable[..., int], "function"),
        (list[Callable[[], int]], "function"),
        ("Unknown", "Unknown"),
        (list["Unknown"], "Unknown"),
        (Plain | int, "Plain"),
    ],
)
def test_a_type_that_cannot_travel_says_why(type_: Any, reason: str) -> None:
    assert re.search(reason, serialisable(type_) or "")
    assert serialisable(type_) == serialisable(type_)
    validator(type_), dumper(type_), loader(type_)  # making them raises nothing


def test_equal_values_give_equal_bytes_in_whatever_order_they_were_made() -> None:
    assert dump({"b": 1, "a": 2}, dict[str, int]) == dump({"a": 2, "b": 1}, dict[str, int]) == b'{"a":2,"b":1}'
    assert dump({"b": {"d": 1, "c": 2}, "a": 0}, Any) == b'{"a":0,"b":{"c":2,"d":1}}'
    assert dump({"b": "x", "a": True}, Big) == dump({"a": True, "b": "x"}, Big)
    words = [f"w{n}" for n in range(50)]
    assert dump(set(words), set[str]) == dump(dict.fromkeys(words[::-1]).keys() | set(), set[str])
    assert json.loads(dump(set(words), set[str])) == sorted(words)
    assert list(json.loads(dump(Section(title="t"), Section))) == ["title", "weight", "raw", "tags", "more"]


def test_a_failed_check_lists_all_faults_with_their_paths() -> None:
    with pytest.raises(ParseFailed) as error:
        validate({"title": 1, "more": [{"title": "a", "weight": "x"}, {}], "tags": 5}, Section)
    assert [path for path, _ in error.value.faults] == ["$.title", "$.tags", "$.more[0].weight", "$.more[1].title"]
    for path, message in error.value.faults:
        assert f"{path}: {message}" in str(error.value)
    with pytest.raises(ParseFailed) as error:
        validate({"a b": ["x"]}, dict[str, list[int]] | None)
    assert error.value.faults[0][0] == "$['a b'][0]"
    with pytest.raises(ParseFailed) as error:
        validate({"kind": "cat"}, Annotated[Cat | Dog, Field(discriminator="kind")])
    assert error.value.faults == (("$.lives", "Field required"),)
    with pytest.raises(ParseFailed, match="and 480 more"):
        validate(["x"] * 500, list[int])


def test_a_check_takes_what_fits_as_it_is_and_converts_the_rest() -> None:
    section = Section(title="t")
    assert validate(section, Section) is section
    marker = object()
    assert validate(marker, Any) is validate(marker, object) is marker
    assert validate(True, int) == 1
    assert type(validate(True, int)) is int
    assert validate({"title": "t"}, Section) == section
    assert validator(list[float])([1, 2]) == [1.0, 2.0]
    assert validate((1, 2), Sequence[int]) == [1, 2]
    plain = Plain()
    assert validate(plain, Plain) is plain
    with pytest.raises(ParseFailed):
        validate(1, Plain)
    with pytest.raises(ParseFailed):
        load(b"[1", list[int])


def test_schema_and_adapter() -> None:
    assert schema(list[int]) == {"items": {"type": "integer"}, "type": "array"}
    assert schema(Point)["required"] == ["x"]
    assert adapter(Section) is adapter(Section)
    with pytest.raises(NotSerialisable):
        schema(Callable[[], int])
    with pytest.raises(NotSerialisable):
        adapter("Unknown")


def test_anything_can_be_shown() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert show([Section(title="t"), {1: {2}}, b"\xff"]).startswith('[{"title":"t"')
    assert "Plain" in show(Plain())
    assert show(loop) and show("\ud800") and show(10**5000)


def test_types_that_cannot_be_hashed_work_too() -> None:
    def twice() -> Any:
        return Annotated[list[int], Field(json_schema_extra={"x": []})]

    for _ in range(1100):
        validator(twice())
    assert validate(["1"], twice()) == [1]
    assert fits(twice(), list[int])
    assert not shareable(twice())


# ------------------------------------------------------------------ fits

YES: list[tuple[Any, Any]] = [
    (bool, int),
    (bool, float),
    (int, float),
    (int, Any),
    (Any, int),
    (list[Any], list[int]),
    (list, list[int]),
    (list[int], list),
    (int, object),
    (Literal["a"], str),
    (Literal["a"], Literal["b", "a"]),
    (Literal["a", 1], int | str),
    (Literal[1], float),
    (bool, Literal[True, False]),
    (Colour, Literal[Colour.RED, Colour.BLUE]),
    (Literal[Colour.RED], Colour),
    (Shade, str),
    (Level, int),
    (int, int | None),
    (None, int | None),
    (type(None), None),
    (int | bool, float),
    (Optional[int], Union[None, str, float]),
    (list[bool], list[float]),
    (list[int], Sequence[float]),
    (list[int], Iterable[int]),
    (tuple[int, bool], Sequence[int]),
    (tuple[int, bool], tuple[int, ...]),
    (tuple[()], tuple[str, ...]),
    (tuple, tuple[int, str]),
    (set[int], Collection[int]),
    (set[int], Set[float]),
    (frozenset[int], Iterable[int]),
    (Sequence[int], Iterable[int]),
    (dict[str, int], Mapping[str, float]),
    (dict, dict[str, int]),
    (dict[str, int], dict),
    (Mapping[str, int], Iterable[str]),
    (Chapter, Section),
    (list[Chapter], list[Section]),
    (Big, Small),
    (Small, Mapping[str, int]),
    (Small, dict[str, float]),
    (Row, tuple[int, str]),
    (Row, tuple),
    (Box[bool], Box[int]),
    (Box[int], Box),
    (UserId, int),
    (int, Annotated[int, Field(gt=0)]),
    (Bound, int),
    (Names, list[str]),
    (list[str], Names),
    (Tree, Tree),
    (dict[str, int], Tree),
    (Pair[int], tuple[float, float]),
    (list[int], list[int] | None),
    (pathlib.PosixPath, pathlib.Path),
    (Callable[[int], str], Callable[[int], str]),
]
NO: list[tuple[Any, Any]] = [
    (int, str),
    (int, bool),
    (float, int),
    (str, Literal["a"]),
    (Literal["a", "b"], Literal["a"]),
    (Literal[1], Literal[True]),
    (int | None, int),
    (str, Shade),
    (list[float], list[int]),
    (list[int], set[int]),
    (list[int], tuple[int, ...]),
    (tuple[int, ...], list[int]),
    (tuple[int, ...], tuple[int, int]),
    (tuple[int, str], tuple[int]),
    (str, Sequence[str]),
    (bytes, Iterable[int]),
    (set[int], Sequence[int]),
    (Iterable[int], list[int]),
    (set[int], frozenset[int]),
    (Section, Chapter),
    (Section, Point),
    (Small, Big),
    (dict[str, int], Small),
    (Small, dict[str, str]),
    (Box[str], Box[int]),
    (datetime.datetime, datetime.date),
    (int, None),
    (Section, dict[str, Any]),
    (Section, Iterable[Any]),
    (Colour, str),
    (Colour, Literal[Colour.RED]),
    (Callable[[int], str], Callable[[str], str]),
    (dict[int, str], dict[str, str]),
    (Names, list[int]),
    (dict[str, str], Tree),
    (decimal.Decimal, float),
    (Row, tuple[str, str]),
    (Row, Sequence[bool]),
    (list, tuple),
]


@pytest.mark.parametrize(("a", "b"), YES, ids=name_of)
def test_fits(a: Any, b: Any) -> None:
    assert fits(a, b)


@pytest.mark.parametrize(("a", "b"), NO, ids=name_of)
def test_does_not_fit(a: Any, b: Any) -> None:
    assert not fits(a, b)


LEAVES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (bool, st.booleans()),
    (int, st.integers(-(2**60), 2**60)),
    (float, st.floats(allow_nan=False)),
    (str, st.text(max_size=5)),
    (type(None), st.none()),
    (bytes, st.binary(max_size=4)),
    (Literal["a", "b"], st.sampled_from("ab")),
    (Literal["a"], st.just("a")),
    (Literal[1, 2], st.sampled_from([1, 2])),
    (Literal[True], st.just(True)),
    (Colour, st.sampled_from(Colour)),
    (Level, st.sampled_from(Level)),
    (Shade, st.sampled_from(Shade)),
    (Section, st.builds(Section, title=st.text(max_size=3))),
    (Chapter, st.builds(Chapter, title=st.text(max_size=3))),
    (Place, st.builds(Place, x=st.integers())),
    (Small, st.fixed_dictionaries({"a": st.integers()})),
    (Big, st.fixed_dictionaries({"a": st.booleans()}, optional={"b": st.text(max_size=2)})),
    (Row, st.builds(Row, n=st.integers(), text=st.text(max_size=2))),
    (uuid.UUID, st.uuids()),
    (UserId, st.integers()),
    (decimal.Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (datetime.date, st.dates()),
]
HASHABLE = [leaf for leaf in LEAVES if leaf[0] not in (Section, Chapter, Small, Big)]
Typed = tuple[Any, st.SearchStrategy[Any]]


def _wider(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    """Containers and unions of types, each with a strategy for its values."""
    key = st.sampled_from(HASHABLE)
    return st.one_of(
        inner.map(lambda t: (list[t[0]], st.lists(t[1], max_size=3))),
        inner.map(lambda t: (Sequence[t[0]], st.lists(t[1], max_size=3))),
        inner.map(lambda t: (tuple[t[0], ...], st.lists(t[1], max_size=3).map(tuple))),
        st.lists(inner, min_size=1, max_size=3).map(lambda ts: (tuple[tuple(t[0] for t in ts)], st.tuples(*(t[1] for t in ts)))),
        key.map(lambda t: (set[t[0]], st.sets(t[1], max_size=3))),
        key.map(lambda t: (frozenset[t[0]], st.frozensets(t[1], max_size=3))),
        st.tuples(st.sampled_from([leaf for leaf in LEAVES if leaf[0] in (str, int, uuid.UUID)]), inner).map(
            lambda t: (dict[t[0][0], t[1][0]], st.dictionaries(t[0][1], t[1][1], max_size=2))
        ),
        st.tuples(inner, inner).map(lambda t: (Union[t[0][0], t[1][0]], t[0][1] | t[1][1])),
        inner.map(lambda t: (Optional[t[0]], st.none() | t[1])),
    )


TYPES: st.SearchStrategy[Typed] = st.recursive(st.sampled_from(LEAVES), _wider, max_leaves=4)
QUICK = settings(max_examples=150, deadline=None)


@QUICK
@given(TYPES)
def test_every_type_fits_itself_and_any(a: Typed) -> None:
    assert fits(a[0], a[0])
    assert fits(a[0], Any)
    assert fits(Any, a[0])
    assert fits(a[0], a[0] | None)
    assert fits(list[a[0]], Sequence[a[0]])


@QUICK
@given(TYPES, TYPES, st.data())
def test_a_value_that_fits_is_accepted(a: Typed, b: Typed, data: st.DataObject) -> None:
    target = data.draw(st.sampled_from([b[0], Union[a[0], b[0]], Optional[a[0]], Any]))
    assume(fits(a[0], target))
    value = validate(data.draw(a[1]), a[0])
    validate(value, target)


@QUICK
@given(TYPES, TYPES, TYPES)
def test_fitting_goes_on_from_type_to_type(a: Typed, b: Typed, c: Typed) -> None:
    chain = [a[0], Union[a[0], b[0]], Union[a[0], b[0], c[0]], b[0], c[0]]
    for one in chain:
        for two in chain:
            for three in chain:
                if fits(one, two) and fits(two, three):
                    assert fits(one, three), (one, two, three)


@settings(max_examples=300, deadline=None)
@given(TYPES, st.data())
def test_a_value_comes_back_or_is_refused(a: Typed, data: st.DataObject) -> None:
    value = validate(data.draw(a[1]), a[0])
    assert serialisable(a[0]) is None
    try:
        written = dump(value, a[0])
    except NotSerialisable as error:
        assert "come back" in error.reason or "validate" in error.reason  # an ambiguous union, found out
        assert not types._type(a[0]).is_exact
        return
    again = load(written, a[0])
    assert same(again, value)
    assert dump(again, a[0]) == written


@QUICK
@given(st.text() | st.integers() | st.floats() | st.booleans() | st.none())
def test_scalars_are_written_the_same_whatever_the_annotation(value: Any) -> None:
    assert dump(value, type(value)) == dump(value, Any) == dump(value, Optional[type(value)])
    assert dump([value], list[type(value)]) == dump([value], Any) == b"[" + dump(value, Any) + b"]"


# ------------------------------------------------------------------ what can be said of a type


@pytest.mark.parametrize(
    ("type_", "element"),
    [
        (list[int], int),
        (list, Any),
        (tuple[str, ...], str),
        (tuple, Any),
        (Sequence[Section], Section),
        (Iterable[int], int),
        (Collection, Any),
        (Annotated[list[int], Field(max_length=3)], int),
        (Names, str),
        (tuple[int, str], None),
        (tuple[()], None),
        (str, None),
        (set[int], None),
        (dict[str, int], None),
        (Section, None),
        (Any, None),
        (int, None),
        (list[int] | None, None),
    ],
)
def test_element_type(type_: Any, element: Any) -> None:
    assert element_type(type_) is element


@pytest.mark.parametrize(
    ("type_", "name"),
    [
        (str, "str"),
        (None, "None"),
        (list[str], "list[str]"),
        (str | None, "str | None"),
        (Optional[Section], "Section | None"),
        (Any, "Any"),
        (dict[str, list[int]], "dict[str, list[int]]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (tuple[()], "tuple[()]"),
        (Literal["a", 1], "Literal['a', 1]"),
        (Sequence[int], "Sequence[int]"),
        (Callable[[int], str], "Callable[[int], str]"),
        (Annotated[int, 1], "int"),
        (Box[int], "Box[int]"),
        (UserId, "UserId"),
        (Names, "Names"),
        (Pair[int], "Pair[int]"),
        (T, "T"),
        ("Later", "Later"),
        (Literal[Colour.RED], "Literal[Colour.RED]"),
        (Union[int, str], "int | str"),
    ],
)
def test_name_of(type_: Any, name: str) -> None:
    assert name_of(type_) == name


def test_shareable() -> None:
    for type_ in (
        str,
        int | None,
        tuple[int, str],
        tuple[str, ...],
        frozenset[int],
        Colour,
        Frozen,
        Place,
        Row,
        uuid.UUID,
        Literal["a"],
        datetime.date,
        UserId,
    ):
        assert shareable(type_), type_
    for type_ in (list[int], dict, Any, Section, Point, tuple, tuple[list[int], ...], Plain, object, bytearray, int | list[int], Box[int], Big):
        assert not shareable(type_), type_
    assert is_immutable(("a", 1, None, frozenset({b"x"}), Frozen(name="a"), Colour.RED))
    assert not is_immutable(("a", [1]))
    assert not is_immutable(Section(title="t"))


def test_the_types_own_validators_are_used() -> None:
    Upper = Annotated[str, BeforeValidator(str.upper)]
    assert validate("a", Upper) == "A"
    assert load(dump("A", Upper), Upper) == "A"
    with pytest.raises(NotSerialisable, match="come back"):
        dump("a", Upper)


def test_plain_types_travel_without_a_look_at_their_schema() -> None:
    from itertools import combinations

    from rookery.core.types import _type, is_plain

    scalars = [str, int, float, bool, type(None)]
    plain: list[Any] = [*scalars, *(list[one] for one in scalars), *(dict[str, one] for one in scalars)]
    for type_ in [*plain, *(one | other for one, other in combinations(plain, 2))]:
        known = _type(type_)
        known.checker()
        assert is_plain(type_) and not known.reason
    assert not any(map(is_plain, (Any, list, dict[int, str], tuple[str, ...], bytes, set[str])))
