"""A move: what a model decided to do next, to use tools or to answer; how that is asked for in text, and read out of what it wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rookery.core.types import load_foreign, name_of, schema
from rookery.core.value import codec
from rookery.decoding.jsontext import candidates, repaired
from rookery.decoding.parse import parse
from rookery.errors import NotSerialisable, ParseFailed
from rookery.models.model import ToolCall, ToolOffer

ANSWER = "answer"
"""The offer by which a model that calls functions natively gives a typed answer."""
MOST_USES = 32
"""So many calls of one move are carried out; a move with more is read as a mistake."""


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a tool that a model wants. Whether there is such a tool, and the arguments fit it, is found out when it is used."""

    tool: str
    arguments: str
    """JSON text of one object, as the model wrote it."""
    id: str = ""
    """The model server's own name for the call, where it has one."""


@dataclass(frozen=True, slots=True)
class Move:
    """What a model decided: uses of tools, which are carried out side by side, or its answer."""

    uses: tuple[Use, ...] = ()
    answer: str | None = None
    """JSON text of the answer, a value of the type asked for; None while tools are used."""
    thought: str = ""
    """What it said beside that."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one use, as the model is shown it."""

    tool: str
    text: str
    name: str = ""
    """Its symbol: ``<name>`` in later arguments stands for the whole text."""
    id: str = ""
    """Of the Use that it answers."""
    failed: bool = False


# ------------------------------------------------------------------ what is asked for


def rules(offers: Sequence[ToolOffer], returns: Any) -> str:
    """How a move is to be written, for a model that is told so in words. Raises NotSerialisable for a type without JSON Schema."""
    wanted = "a text" if returns is str else f"a value of this JSON Schema: {_compact(schema(returns))}"
    final = f'{{"thought": "why", "answer": ...}}\nThe answer is {wanted}'
    if not offers:
        return f"Reply with one JSON object and nothing else:\n{final}"
    tools = "\n".join(f"- {told.name}: {' '.join(told.description.split())}\n  arguments: {_compact(told.arguments)}" for told in offers)
    return (
        f"You have these tools:\n{tools}\n\nReply with one JSON object and nothing else. To use tools, several at once where none needs what "
        'another gives:\n{"thought": "why", "calls": [{"tool": "NAME", "arguments": {}}]}\n'
        f"When you know the answer:\n{final}"
    )


def move_schema(offers: Sequence[ToolOffer], returns: Any) -> dict[str, Any]:
    """The JSON Schema of a move, for servers that hold a reply to one. Raises NotSerialisable."""
    definitions: dict[str, Any] = {}
    final = _object(thought={"type": "string"}, answer=_lifted(schema(returns), "answer", definitions))
    whole: dict[str, Any] = final
    if offers:
        calls = [_object(tool={"const": told.name}, arguments=_lifted(told.arguments, told.name, definitions)) for told in offers]
        wanted = {"type": "array", "minItems": 1, "items": {"anyOf": calls}}
        whole = {"anyOf": [_object(thought={"type": "string"}, calls=wanted), final]}
    return {**whole, "$defs": definitions} if definitions else whole


def answer_offer(returns: Any) -> ToolOffer:
    """The typed answer as something that can be called natively. Raises NotSerialisable."""
    definitions: dict[str, Any] = {}
    arguments = _object(value=_lifted(schema(returns), "value", definitions))
    return ToolOffer(ANSWER, "Give your answer, once you know it.", {**arguments, "$defs": definitions} if definitions else arguments)


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _lifted(part: Mapping[str, Any], owner: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """A schema whose definitions stand at the root of another one, under names of their own."""
    own = part.get("$defs")
    body: dict[str, Any] = {key: value for key, value in part.items() if key != "$defs"}
    if not own:
        return body
    for name, definition in own.items():
        definitions[f"{owner}_{name}"] = _renamed(definition, owner)
    return _renamed(body, owner)  # type: ignore[no-any-return]


def _renamed(node: Any, owner: str) -> Any:
    if isinstance(node, list):
        return [_renamed(item, owner) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: f"#/$defs/{owner}_{value[8:]}" if key == "$ref" and isinstance(value, str) and value.startswith("#/$defs/")
            else _renamed(value, owner) for key, value in node.items()}


def _compact(data: Any) -> str:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


# ------------------------------------------------------------------ what was written


def read_move(text: str, calls: Sequence[ToolCall], returns: Any) -> Move:
    """The move that a reply is: native calls, a JSON object, or plain words where the answer is a text.

    Raises ParseFailed with all faults when it is none, or when its answer is not of the type ``returns``.
    """
    if calls:
        return _native(text, calls, returns)
    first: ParseFailed | None = None
    for piece in candidates(text):
        data = _data(piece)
        if not isinstance(data, dict) or not {"calls", "answer", "tool", "tool_calls"} & data.keys():
            continue
        try:
            return _written(data, returns)
        except ParseFailed as error:
            first = first or error
    if first is not None:
        raise first
    return _bare(text, returns)


def _data(piece: str) -> Any:
    try:
        return json.loads(piece)
    except (ValueError, RecursionError):
        mended = repaired(piece)
        return None if mended is None else json.loads(mended)


def _written(data: Mapping[str, Any], returns: Any) -> Move:
    thought = data.get("thought")
    thought = thought if isinstance(thought, str) else ""
    calls = data.get("calls") or data.get("tool_calls") or ([data] if "tool" in data else [])
    if not calls and "answer" in data:
        return Move((), _answer(data["answer"], returns), thought)
    calls = [calls] if isinstance(calls, dict) else calls
    if not calls:
        raise _failed([("$", 'there are neither "calls" nor an "answer"')])
    if not isinstance(calls, list) or len(calls) > MOST_USES:
        raise _failed([("$.calls", f"it is a list of at most {MOST_USES} calls")])
    faults: list[tuple[str, str]] = []
    uses = tuple(_use(call, f"$.calls[{place}]", faults) for place, call in enumerate(calls))
    if faults:
        raise _failed(faults)
    return Move(uses, None, thought)


def _use(call: Any, path: str, faults: list[tuple[str, str]]) -> Use:
    name = (call.get("tool") or call.get("name")) if isinstance(call, dict) else None
    if not isinstance(name, str):
        faults.append((path, 'a call is {"tool": "NAME", "arguments": {}}'))
        return Use("", "")
    arguments = call.get("arguments", {})
    return Use(name, arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False))


def _native(text: str, calls: Sequence[ToolCall], returns: Any) -> Move:
    final = next((call for call in calls if call.name == ANSWER), None)
    others = tuple(Use(call.name, call.arguments, call.id) for call in calls if call is not final)[:MOST_USES]
    if final is None or others:  # an answer beside calls was given before their results were known
        return Move(others, None, text)
    data = _data(final.arguments)
    if not isinstance(data, dict):
        raise _failed([("$", "the answer's arguments are no JSON object")])
    return Move((), _answer(data.get("value", data), returns), text)


def _bare(text: str, returns: Any) -> Move:
    """An answer that stands alone, without the object around it."""
    stripped = text.strip()
    if returns is str:
        if not stripped or stripped[0] in "{[":
            raise _failed([("$", "there is no move in the reply")])
        return Move((), _dumped(stripped, str))
    try:
        return Move((), _dumped(parse(text, returns), returns))
    except ParseFailed as error:
        raise _failed([("$", "there is no move in the reply"), *((f"$.answer{path[1:]}", message) for path, message in error.faults)]) from error


def _answer(data: Any, returns: Any) -> str:
    if returns is str and not isinstance(data, str):
        data = json.dumps(data, ensure_ascii=False)
    try:
        return _dumped(load_foreign(json.dumps(data, ensure_ascii=False).encode("utf-8", "replace"), returns), returns)
    except ParseFailed as error:
        raise _failed([(f"$.answer{path[1:]}", message) for path, message in error.faults]) from error


def _dumped(value: Any, returns: Any) -> str:
    try:
        return codec(returns).dump(value).decode()
    except NotSerialisable as error:
        raise _failed([("$.answer", f"not a {name_of(returns)} that can be kept: {error.reason}")]) from error


def _failed(faults: list[tuple[str, str]]) -> ParseFailed:
    lines = "".join(f"\n  {path}: {message}" for path, message in faults[:20])
    return ParseFailed(f"not a move:{lines}", faults=faults)


def repair(error: ParseFailed, *, native: bool) -> str:
    """What is said to a model whose reply was no move."""
    lines = "".join(f"\n- {path}: {' '.join(message.split())[:300]}" for path, message in (error.faults or (("$", error.reason),))[:12])
    again = "Call a tool or give your answer." if native else "Reply again with one JSON object as described, and nothing else."
    return f"Your reply could not be used:{lines}\n{again}"
