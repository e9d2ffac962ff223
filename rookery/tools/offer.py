"""A tool as it is offered to a model, and the arguments that the model wrote back: checked, with every fault named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rookery.core.function import Tool
from rookery.core.graph import MISSING, Function
from rookery.errors import NotSerialisable, ParseFailed
from rookery.models.model import ToolOffer
from rookery.tools.schema import conform, inlined, is_large

MAX_ARGUMENT_BYTES = 1_000_000
_DEFINITIONS = "#/$defs/"


def offer(tool: Tool[..., Any]) -> ToolOffer:
    """What a model is told of a tool. Raises GraphFault for a bad signature, NotSerialisable for a type that has no JSON Schema."""
    return ToolOffer(tool.name, tool.doc, argument_schema(tool))


def argument_schema(tool: Function) -> dict[str, Any]:
    """JSON Schema of all arguments of a tool or graph as one closed object. Raises as ``offer``."""
    from rookery.core.types import schema

    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    for param in tool.params.values():
        described = dict(schema(param.type))
        own = described.pop("$defs", {})
        if any(definitions.get(name, value) != value for name, value in own.items()):  # another class of this name
            described = inlined(described, root={"$defs": own})
        else:
            definitions |= own
        if param.default is not MISSING and param.default is not None and "default" not in described:
            described |= _default(param.default, param.type)
        properties[param.name] = described
    required = [param.name for param in tool.params.values() if param.default is MISSING]
    whole: dict[str, Any] = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return {**whole, "$defs": definitions} if definitions else whole


def _default(value: Any, type_: Any) -> dict[str, Any]:
    import json

    from rookery.core.types import dump

    try:
        return {"default": json.loads(dump(value, type_))}
    except NotSerialisable:
        return {}


def read_arguments(tool: Function, written: str | bytes | Mapping[str, Any]) -> dict[str, Any]:
    """A tool's arguments from the JSON that a model or a client wrote; those not given have their defaults.

    Raises ParseFailed with all faults, each with its path (``$.city``); its message is short enough to be sent back.
    """
    from pydantic_core import to_json

    from rookery.core.types import load_foreign

    data = _object(tool, written)
    faults: list[tuple[str, str]] = [(f"$.{name:.80}", f"there is no such parameter; it takes {', '.join(tool.params) or 'none'}")
                                     for name in data if name not in tool.params]
    values: dict[str, Any] = {}
    for name, param in tool.params.items():
        if name not in data:
            if param.default is MISSING:
                faults.append((f"$.{name}", "it is missing"))
            else:
                values[name] = param.default
            continue
        try:
            if is_large(data[name]):
                conform(data[name], param.type)
            values[name] = load_foreign(to_json(data[name]), param.type)
        except ParseFailed as error:
            faults += [(f"$.{name}{path.removeprefix('$')}", message) for path, message in error.faults]
    if faults:
        raise _failed(tool, faults)
    return values


def _object(tool: Function, written: str | bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    from pydantic_core import from_json

    if isinstance(written, Mapping):
        return written
    if len(written) > MAX_ARGUMENT_BYTES:
        raise _failed(tool, [("$", f"{len(written)} characters are more than {MAX_ARGUMENT_BYTES}")])
    try:
        data = from_json(written, allow_inf_nan=False) if written.strip() else {}
    except ValueError as error:
        raise _failed(tool, [("$", f"not JSON: {error}")]) from error
    if not isinstance(data, dict):
        raise _failed(tool, [("$", "the arguments are one JSON object, by name")])
    return data


def _failed(tool: Function, faults: list[tuple[str, str]]) -> ParseFailed:
    from rookery.core.types import MAX_FAULTS

    lines = "".join(f"\n  {path:.200}: {message:.300}" for path, message in faults[:MAX_FAULTS])
    more = f"\n  … and {len(faults) - MAX_FAULTS} more" if len(faults) > MAX_FAULTS else ""
    return ParseFailed(f"the arguments of {tool.name} are wrong:{lines}{more}", faults=faults)
