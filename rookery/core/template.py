"""Text with typed holes: a prompt's constant segments and its variable ones, kept apart until the last moment."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any

from rookery.errors import GraphFault


@dataclass(frozen=True, slots=True)
class Hole:
    """A place for a variable's text: ``{topic}``, ``{section.title}`` or ``{rows[0]}``."""

    name: str
    """The parameter it reads."""
    path: tuple[str | int, ...] = ()
    """Fields and items below the parameter's value."""

    def __str__(self) -> str:
        steps = "".join(f".{step}" if isinstance(step, str) and step.isidentifier() else f"[{step}]" for step in self.path)
        return "{" + self.name + steps + "}"


@dataclass(frozen=True, slots=True)
class Template:
    """Constant text and holes in order."""

    parts: tuple[str | Hole, ...]

    @property
    def holes(self) -> tuple[Hole, ...]:
        return tuple(part for part in self.parts if isinstance(part, Hole))

    @property
    def source(self) -> str:
        """The text that parses to this template."""
        return "".join(str(part) if isinstance(part, Hole) else part.replace("{", "{{").replace("}", "}}") for part in self.parts)

    @staticmethod
    def parse(text: str, *, path: str = "template") -> Template:
        """Read ``{name}`` holes; ``{{`` and ``}}`` stand for braces. The text is taken as it is, indentation too.

        Raises GraphFault with ``path`` for a brace that does not close, an empty hole or a format after ``:`` or ``!``.
        """
        parts: list[str | Hole] = []
        try:
            fields = list(Formatter().parse(text))
        except ValueError as error:
            raise GraphFault(path, f"the template cannot be read: {error}", hint="write {{ and }} for braces", kind="template") from error
        for constant, field, spec, conversion in fields:
            if constant:
                if parts and isinstance(parts[-1], str):
                    parts[-1] += constant
                else:
                    parts.append(constant)
            if field is None:
                continue
            if spec or conversion:
                raise GraphFault(path, f"hole {{{field}}} has a format", hint="format the value in a @tool before the prompt", kind="template")
            parts.append(_hole(field, path))
        return Template(tuple(parts))


def _hole(field: str, path: str) -> Hole:
    from _string import formatter_field_name_split  # type: ignore[import-not-found]  # the standard library's own reader of field names

    try:
        name, rest = formatter_field_name_split(field)
        steps = tuple(int(step) if not is_field and isinstance(step, str) and _BELOW_ZERO.match(step) else step for is_field, step in rest)
    except ValueError as error:
        raise GraphFault(path, f"hole {{{field}}} cannot be read: {error}", kind="template") from error
    if not isinstance(name, str) or not name.isidentifier():
        raise GraphFault(path, f"hole {{{field}}} names no parameter", hint="write {name}, or {{ and }} for braces", kind="template")
    return Hole(name, steps)


_BELOW_ZERO = re.compile(r"-\d+\Z")


def lookup(value: Any, path: tuple[str | int, ...]) -> Any:
    """Follow fields and items below a value. Raises LookupError when a step leads nowhere."""
    for step in path:
        try:
            if isinstance(value, Mapping) or (isinstance(step, int) and isinstance(value, list | tuple | str)):
                value = value[step]  # type: ignore[index]
            elif isinstance(step, str) and not step.startswith("_"):
                value = getattr(value, step)
            else:
                raise LookupError(f"{type(value).__name__} has no {step!r}")
        except (AttributeError, KeyError, IndexError, TypeError) as error:
            raise LookupError(f"{type(value).__name__} has no {step!r}") from error
    return value


def as_text(value: Any) -> str:
    """A value as it stands in a prompt: text as it is, a list of texts one a line, other data as stable JSON."""
    if isinstance(value, str):
        return str.__str__(value)  # of a member of an enumeration: its value
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, int | float):
        return int.__repr__(value) if isinstance(value, int) else float.__repr__(value)
    if isinstance(value, list | tuple) and value and all(type(item) is str for item in value):
        return "\n".join(value)
    from rookery.core.types import show

    text = show(value)
    return str(json.loads(text)) if text.startswith('"') else text  # a date, a path: without quotes
