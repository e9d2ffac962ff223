"""Stand-ins: a value of a type, of about a given length, where nobody is asked for the real one."""

from __future__ import annotations

import dataclasses
import enum
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from rookery.core.template import as_text
from rookery.core.types import adapter
from rookery.core.value import Codec

CHARS_PER_TOKEN = 4
TEXT_TOKENS, SHORT_TOKENS, ITEMS = 200, 20, 5
"""Of a text; of a text within something; and elements of a list, where nothing is known."""


def standin(type_: Any, *, tokens: float | None = None, items: int | None = None, yes: bool = True) -> Any:
    """A value of a type.

    :param tokens: of its text, of about four characters each.
    :param items: elements of the lists in it.
    :param yes: what a bool is.
    """
    share = tokens
    made = _made(type_, share if share is not None else TEXT_TOKENS, items, yes)
    try:
        return adapter(type_).validate_python(made)
    except ValidationError:
        return made


def _made(type_: Any, tokens: float, items: int | None, yes: bool) -> Any:
    origin, args = get_origin(type_), get_args(type_)
    if origin is Literal:
        return args[0]
    if origin in (Union, types.UnionType):
        return _made(next((arg for arg in args if arg is not type(None)), type(None)), tokens, items, yes)
    if getattr(type_, "__metadata__", None) is not None:
        return _made(args[0], tokens, items, yes)
    if type_ is bool:
        return yes
    if type_ in (int, float):
        return type_(1)
    if type_ is type(None):
        return None
    if isinstance(origin, type) and dataclasses.is_dataclass(origin):
        return _made(origin, tokens, items, yes)
    if origin is not None and isinstance(origin, type):
        return _container(origin, args, tokens, items, yes)
    if isinstance(type_, type):
        if issubclass(type_, enum.Enum):
            return next(iter(type_))
        if issubclass(type_, BaseModel):
            return _record(type_, {name: each.annotation for name, each in type_.model_fields.items()}, tokens, items, yes)
        if dataclasses.is_dataclass(type_):
            return _record(type_, {each.name: each.type for each in dataclasses.fields(type_)}, tokens, items, yes)
        if issubclass(type_, list | tuple | set | frozenset | dict):
            return _container(type_, (), tokens, items, yes)
    return _text(tokens)


def _container(origin: type, args: tuple[Any, ...], tokens: float, items: int | None, yes: bool) -> Any:
    count = ITEMS if items is None else items
    each = max(1.0, tokens / max(1, count))
    if issubclass(origin, Mapping):
        value = args[1] if len(args) > 1 else str
        return {f"key{number}": _made(value, each, items, yes) for number in range(count)}
    if issubclass(origin, tuple) and args and args[-1] is not Ellipsis:
        return tuple(_made(arg, max(1.0, tokens / len(args)), items, yes) for arg in args)
    made = [_made(args[0] if args else str, each, items, yes) for _ in range(count)]
    return made if issubclass(origin, list) or origin is Sequence else origin(made) if issubclass(origin, tuple | set | frozenset) else made


def _record(type_: Any, parts: Mapping[str, Any], tokens: float, items: int | None, yes: bool) -> Any:
    texts = max(1, sum(_is_text(part) for part in parts.values()))
    given = {name: _made(part, max(1.0, tokens / texts), items, yes) for name, part in parts.items()}
    return type_.model_construct(**given) if issubclass(type_, BaseModel) else type_(**given)


def _is_text(part: Any) -> bool:
    return part not in (bool, int, float) and get_origin(part) is not Literal


def _text(tokens: float) -> str:
    """So many tokens: common words of three letters with a space each, one token in most vocabularies and four characters by length."""
    return ("the " * max(1, round(tokens)))[: max(1, round(tokens * CHARS_PER_TOKEN))]


def text_of(codec: Codec, value: Any) -> str:
    """A value as a model would write it."""
    return value if isinstance(value, str) else as_text(value)
