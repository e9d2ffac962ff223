"""Types at run time: a value checked against its type, written as canonical JSON and read back as what it was.

This is the only user of pydantic's TypeAdapter. What can be decided from a type alone is decided once (see canonical.py);
for the other types each value is read back and compared before its bytes are given out, so that nothing is lost unseen.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from pydantic_core import PydanticSerializationError, SchemaSerializer, SchemaValidator, ValidationError, from_json, to_json

from rookery.core.canonical import CONFIG, faults_of, is_exact, rewritten, same
from rookery.core.fits import as_list, element_type, fits, is_immutable, name_of, shareable, strip
from rookery.errors import NotSerialisable, ParseFailed

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = [
    "adapter", "dump", "dumper", "element_type", "failure", "fits", "is_immutable",
    "is_plain", "load", "load_foreign", "loader", "name_of", "path_of",
    "schema", "serialisable", "shareable", "show", "strip", "validate", "validator",
]

MAX_FAULTS = 20
"""A message lists so many faults at most; ``faults`` has them all."""
LONG_NUMBER = 4300
"""Python reads no number of more digits."""
_CHECK = {str: "str", int: "int", float: "float", bool: "bool", bytes: "bytes", type(None): "none"}


def _scalar(name: str) -> Any:
    return {"type": name}


_WRITE: dict[type, Callable[[Any], bytes]] = {type_: SchemaSerializer(_scalar(name), CONFIG).to_json for type_, name in _CHECK.items()}
_READ: dict[type, Callable[[bytes], Any]] = {type_: SchemaValidator(_scalar(name), CONFIG).validate_json for type_, name in _CHECK.items()}


class _Type:
    """What is known about one type; nothing is built before it is needed."""

    __slots__ = ("_adapter", "_checker", "_schema", "_writer", "is_exact", "reason", "type")

    def __init__(self, type_: Any) -> None:
        self.type = type_
        self.reason: str | None = None
        """Why values of this type can't be written; empty when they can, None when that is not known yet."""
        self.is_exact = False
        """Every valid value comes back as it was; otherwise each one is compared."""
        self._adapter: TypeAdapter[Any] | None = None
        self._checker: SchemaValidator | None = None
        self._writer: SchemaSerializer | None = None
        self._schema: dict[str, Any] | None = None

    @property
    def adapter(self) -> TypeAdapter[Any]:
        if self._adapter is None:
            self._adapter = _adapter(self.type)
        return self._adapter

    def checker(self) -> SchemaValidator:
        """The validator of the rewritten schema. Raises NotSerialisable when there is no schema."""
        if self._checker is None:
            core: Any = self.adapter.core_schema
            found = faults_of(core)
            self.is_exact = is_exact(core)
            changed = rewritten(core)
            self._writer = SchemaSerializer(changed, CONFIG, _use_prebuilt=False)
            self.reason = "; ".join(fault if path == "$" else f"{path}: {fault}" for path, fault in found)
            self._checker = SchemaValidator(changed, CONFIG, _use_prebuilt=False)
        return self._checker

    def validate(self, value: Any) -> Any:
        try:
            return (self._checker or self.checker()).validate_python(value)
        except ValidationError as error:
            raise failure(error, self.type, value) from None

    def write(self, value: Any) -> bytes:
        checker = self._checker or self.checker()
        writer = self._writer
        assert writer is not None
        if self.reason:
            raise self.refusal(self.reason)
        try:
            if not self.is_exact:
                data = writer.to_json(value, by_alias=False, round_trip=True, warnings="error")
            else:
                if not checker.isinstance_python(value, strict=True):
                    checker.validate_python(value, strict=True)
                data = writer.to_json(value)
                if len(data) < LONG_NUMBER or not _has_long_number(data):
                    return data
        except ValidationError as error:
            raise self.refusal(failure(error, self.type, value).reason) from error
        except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
            raise self.refusal(_reason(error)) from error
        self._compare(value, data)
        return data

    def read_foreign(self, data: bytes) -> Any:
        try:
            return (self._checker or self.checker()).validate_json(data, by_alias=True, by_name=True)
        except ValidationError as error:
            raise failure(error, self.type, _plain(data)) from None

    def read(self, data: bytes) -> Any:
        try:
            checker = self._checker or self.checker()
            return checker.validate_json(data) if self.is_exact else checker.validate_json(data, by_alias=False, by_name=True)
        except ValidationError as error:
            raise failure(error, self.type, _plain(data)) from None

    def _compare(self, value: Any, data: bytes) -> None:
        try:
            read = self.read(data)
        except ParseFailed as error:
            raise self.refusal(f"its JSON does not validate: {error.reason}") from error
        if not same(value, read):
            raise NotSerialisable(
                f"a {name_of(self.type)} does not come back as it was: {_short(value)} becomes {_short(read)}",
                hint="annotate the value's own class; a union's members must differ in JSON, and no field may be left out of it",
            )

    def refusal(self, reason: str) -> NotSerialisable:
        return NotSerialisable(f"{name_of(self.type)} cannot be written and read back: {reason}", hint=_hint(reason))

    def schema(self) -> dict[str, Any]:
        if self._schema is None:
            from pydantic.errors import PydanticInvalidForJsonSchema

            try:
                self._schema = self.adapter.json_schema()
            except PydanticInvalidForJsonSchema as error:
                raise self.refusal(f"it has no JSON Schema ({_reason(error)})") from error
        return self._schema


def _adapter(type_: Any) -> TypeAdapter[Any]:
    from pydantic import ConfigDict, TypeAdapter
    from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

    type_ = as_list(type_)
    try:
        try:
            made: TypeAdapter[Any] = TypeAdapter(type_)
        except PydanticSchemaGenerationError:  # a class it does not know: instances can be told, and nothing more
            made = TypeAdapter(type_, config=ConfigDict(arbitrary_types_allowed=True))
        if not made.pydantic_complete:
            made.rebuild(raise_errors=True)
        return made
    except (PydanticUserError, NameError, TypeError, AttributeError) as error:
        raise NotSerialisable(f"{name_of(type_)} cannot be checked: {_reason(error)}", hint=_hint("")) from error


_types: dict[Any, _Type] = {}
_unhashable: dict[int, _Type] = {}
_lock = threading.Lock()


def _type(type_: Any) -> _Type:
    try:
        return _types.get(type_) or _types.setdefault(type_, _Type(type_))
    except TypeError:  # an annotation that can't be hashed: known by its identity, which is safe while it is kept here
        with _lock:
            if len(_unhashable) > 1000:
                _unhashable.clear()
            return _unhashable.setdefault(id(type_), _Type(type_))


def adapter(type_: Any) -> TypeAdapter[Any]:
    """pydantic's adapter of a type, made once. Raises NotSerialisable when pydantic has no schema for it."""
    return _type(type_).adapter


# ------------------------------------------------------------------ check


def validate(value: Any, type_: Any) -> Any:
    """The value as its type says, converted where pydantic's lax mode converts.

    Raises ParseFailed with all faults, and NotSerialisable when pydantic has no schema for the type.
    """
    return validator(type_)(value)


def validator(type_: Any) -> Callable[[Any], Any]:
    """``validate`` for one type, resolved once. Making it builds nothing and raises nothing."""
    if type_ is None:
        type_ = type(None)
    if type_ is Any or type_ is object:
        return _itself
    slow = _type(type_).validate
    if not isinstance(type_, type) or type_ not in _CHECK:
        return slow

    def check(value: Any) -> Any:
        return value if type(value) is type_ else slow(value)

    return check


def _itself(value: Any) -> Any:
    return value


def failure(error: ValidationError, type_: Any, root: Any = None, *, text: str = "") -> ParseFailed:
    """pydantic's error as ours, each fault with its path (``$.c.a``); ``root`` is what was validated, if it is known."""
    details = error.errors(include_url=False, include_input=False, include_context=False)
    found = list(dict.fromkeys((path_of(item["loc"], root, missing=item["type"].startswith("missing")), item["msg"]) for item in details))
    lines = "".join(f"\n  {path}: {message}" for path, message in found[:MAX_FAULTS])
    more = f"\n  … and {len(found) - MAX_FAULTS} more" if len(found) > MAX_FAULTS else ""
    return ParseFailed(f"not a value of type {name_of(type_)}:{lines}{more}", faults=found, text=text)


def path_of(steps: Sequence[str | int], root: Any = None, *, missing: bool = False) -> str:
    """Steps below a value as a path. With the value at hand, steps that are no place in it (a union's member) are left out;
    the last one stays when it is ``missing`` there."""
    path, at = "$", root
    for i, step in enumerate(steps):
        if at is not None:
            below = _below(at, step)
            if below is _NOWHERE and not (missing and i == len(steps) - 1):
                continue
            at = below
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if step.isidentifier() else f"[{step!r}]"
    return path


_NOWHERE = object()


def _below(value: Any, step: str | int) -> Any:
    if isinstance(value, Mapping):
        return value.get(step, _NOWHERE)
    if isinstance(step, int):
        return value[step] if isinstance(value, list | tuple) and step < len(value) else _NOWHERE
    return _NOWHERE if isinstance(value, str | int | float | list | tuple) else getattr(value, "__dict__", {}).get(step, _NOWHERE)


# ------------------------------------------------------------------ write and read


def dump(value: Any, type_: Any) -> bytes:
    """A value as canonical JSON: the same value of the same type always gives the same bytes, and ``load`` gives it back.

    Raises NotSerialisable when it would not come back equal and of the same class.
    """
    return dumper(type_)(value)


def dumper(type_: Any) -> Callable[[Any], bytes]:
    """``dump`` for one type, resolved once. Making it builds nothing and raises nothing."""
    if type_ is None:
        type_ = type(None)
    known = _type(Any if type_ is object else type_)
    slow = known.write
    if type_ is Any or type_ is object:
        return _any_dumper(slow)
    fast = _WRITE.get(type_) if isinstance(type_, type) else None
    if fast is None:
        return slow

    def write(value: Any) -> bytes:
        if type(value) is type_ and not (type_ is int and value.bit_length() > LONG_NUMBER):
            try:
                return fast(value)
            except (PydanticSerializationError, ValueError) as error:
                raise known.refusal(_reason(error)) from error
        return slow(value)

    return write


def _any_dumper(slow: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    fast = {type_: dumper(type_) for type_ in _CHECK if type_ is not bytes}

    def write(value: Any) -> bytes:
        return fast.get(type(value), slow)(value)

    return write


def load(data: bytes, type_: Any) -> Any:
    """The value that ``dump`` wrote. Raises ParseFailed when the bytes are no value of the type."""
    return loader(type_)(data)


def loader(type_: Any) -> Callable[[bytes], Any]:
    """``load`` for one type, resolved once. Making it builds nothing and raises nothing."""
    slow = _type(Any if type_ is object else type(None) if type_ is None else type_).read
    fast = _READ.get(type_) if isinstance(type_, type) else None
    if fast is None:
        return slow

    def read(data: bytes) -> Any:
        try:
            return fast(data)
        except ValidationError:
            return slow(data)

    return read


def load_foreign(data: bytes, type_: Any) -> Any:
    """A value from JSON that others wrote: fields may go by their alias or their name. Raises ParseFailed."""
    return _type(type(None) if type_ is None else type_).read_foreign(data)


def is_plain(type_: Any) -> bool:
    """Whether a type is made of text, numbers, bools, None, lists and dicts of them only: nothing need be built to know that its values travel."""
    if type_ is None or (isinstance(type_, type) and type_ in _PLAIN):
        return True
    origin, args = get_origin(type_), get_args(type_)
    if origin is dict:
        return len(args) == 2 and args[0] is str and is_plain(args[1])
    if origin in (Union, UnionType):
        return all(map(is_plain, args))
    return origin is list and len(args) == 1 and is_plain(args[0])


_PLAIN = frozenset({str, int, float, bool, type(None)})


def serialisable(type_: Any) -> str | None:
    """Why values of a type can't travel (nothing can write and read them back), or None when they can.

    Some values of a type that can may still be refused by ``dump``, such as a subclass with more fields.
    """
    if is_plain(type_):
        return None
    known = _type(type(None) if type_ is None else type_)
    if known.reason is None:
        try:
            known.checker()
        except NotSerialisable as error:
            known.reason = error.reason
    return known.reason or None


def schema(type_: Any) -> dict[str, Any]:
    """JSON Schema of a type, for reading only. Raises NotSerialisable when it has none."""
    return _type(type(None) if type_ is None else type_).schema()


def show(value: Any) -> str:
    """A value of whatever type as stable JSON to be looked at; it can't be read back, and nothing makes it fail."""
    try:
        return to_json(value, by_alias=False, bytes_mode="base64", fallback=repr, serialize_unknown=True).decode()
    except (ValueError, TypeError, RecursionError, PydanticSerializationError):
        return to_json(repr(value).encode("utf-8", "replace").decode()).decode()


def _plain(data: bytes) -> Any:
    try:
        return from_json(data)
    except ValueError:
        return None


def _reason(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    for mark in ("Error serializing to JSON: ", "PydanticSerializationError: "):
        text = text.removeprefix(mark)
    lines = [line for line in text.splitlines() if "further information" not in line]
    return " ".join(" ".join(lines[:3]).split())[:300]


def _has_long_number(data: bytes) -> bool:
    return any(len(digits) > LONG_NUMBER for digits in re.findall(rb"\d{20,}", data))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _hint(reason: str) -> str:
    if "secret" in reason:
        return "label the value secret (it is then logged as a keyed reference) and type it str"
    if "surrogates" in reason:
        return "the text holds half a character; replace it: text.encode('utf-8', 'replace').decode()"
    if "Any" in reason:
        return "annotate the exact type (a model, list[Section], tuple[int, …]) instead of Any"
    return "use types with data only: str, int, list, dict, dataclasses, pydantic models; open files and connections inside a tool"
