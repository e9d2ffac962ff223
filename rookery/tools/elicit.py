"""Questions to a person across MCP: ours as forms for a client to show, and a server's forms as questions of the run.

Multi round-trip requests, revision 2026-07-28 (https://modelcontextprotocol.io/specification/draft/client/elicitation).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rookery.core.flow import ask
from rookery.core.tape import is_live
from rookery.errors import ToolFailed
from rookery.tools.intake import plain_text
from rookery.tools.schema import type_of

if TYPE_CHECKING:
    from mcp.types import ElicitRequest, InputRequiredResult, InputResponses

REVISION = "2026-07-28"
MAX_MESSAGE = 2_000
_FIELD = "answer"
_SIMPLE = frozenset({"string", "integer", "number", "boolean"})
"""What a form may ask for, choices among texts included."""


# ------------------------------------------------------------------ ours, for a client


def form(question: str, schema: Mapping[str, Any], shown: Any) -> ElicitRequest | None:
    """A question of a run as a form with one field; None for a type that forms do not have."""
    from mcp.types import ElicitRequest, ElicitRequestFormParams

    if schema.get("type") not in _SIMPLE:
        return None
    text = question if shown is None else f"{question}\n{json.dumps(shown, ensure_ascii=False, default=str)}"
    field = {key: value for key, value in schema.items() if key in ("type", "enum", "minimum", "maximum", "minLength", "maxLength", "description")}
    wanted = {"type": "object", "properties": {_FIELD: field}, "required": [_FIELD]}
    return ElicitRequest(params=ElicitRequestFormParams(message=text[:MAX_MESSAGE], requested_schema=wanted))


def given(response: Any) -> tuple[bool, Any]:
    """Whether the person answered, and what."""
    if getattr(response, "action", "") != "accept":
        return False, None
    return True, (response.content or {}).get(_FIELD)


# ------------------------------------------------------------------ a server's, for our person


async def answers(result: InputRequiredResult, *, server: str, tool: str) -> InputResponses:
    """Ask the person who watches the run all that a server wants to know.

    Raises ToolFailed outside of a run, and for what is no form: we lend servers neither our model nor our files.
    """
    from mcp.types import ElicitRequest, ElicitResult

    found: InputResponses = {}
    for key, request in (result.input_requests or {}).items():
        if not isinstance(request, ElicitRequest) or request.params.mode != "form":
            raise ToolFailed(f"{tool} of {server} wants {request.method}, which is not given to it", tool=tool)
        if not is_live():
            raise ToolFailed(f"{tool} of {server} wants to ask a person, and nobody can be asked here", tool=tool, hint="call it in a run")
        wanted: Mapping[str, Any] = dict(request.params.requested_schema)
        fields: Mapping[str, Any] = wanted.get("properties") or {}
        single = next(iter(fields)) if len(fields) == 1 else ""
        text = f"{server} asks: “{plain_text(request.params.message, MAX_MESSAGE)}”"
        value = await ask(type_of(fields[single] if single else wanted), text)
        found[key] = ElicitResult(action="accept", content={single: value} if single else value)
    return found
