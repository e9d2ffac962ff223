"""Tools from an OpenAPI document (3.0 and 3.1): one for each operation, with typed parameters and calls of that document's server only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rookery.core.function import IdempotencyKey, Tool
from rookery.core.graph import MISSING, Param
from rookery.core.label import UNTRUSTED, source
from rookery.errors import DocumentInvalid, ToolUnfit
from rookery.tools.approval import Allow, allow_none, gated
from rookery.tools.document import SAFE, Document, Operation, read_document
from rookery.tools.intake import Intake, qualified, quoted
from rookery.tools.rest import Rest, Route
from rookery.tools.schema import identifier


def openapi_tools(
    document: Mapping[str, Any] | str | Path, *, name: str = "", base_url: str = "", headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None, allow: Allow = allow_none, timeout_s: float = 30.0, max_reply_bytes: int = 2_000_000,
) -> Intake:
    """The operations of an OpenAPI document as Tools, named by their ``operationId`` (``name__listPets`` with a ``name``).

    :param document: its data, its text (JSON or YAML), or the path of its file.
    :param base_url: where the API is, in place of the document's first server; calls go to this host and no other, and
        redirects are not followed.
    :param headers: sent with each call, such as ``{"Authorization": "Bearer …"}``; ``query`` likewise. Neither is logged or shown.
    :param allow: which calls of operations other than GET, HEAD and OPTIONS need no person's yes.
    :raises DocumentInvalid: all that is wrong with the document, each with its place as a JSON pointer. Operations that are right
        but cannot be tools (file uploads) are in ``unfit`` of what is returned.

    Calling a tool raises ToolFailed for a status of 300 and above (``status`` has it), ToolUnreachable (also for 429, 502, 503
    and 504, which may pass), ToolTimeout, ToolReplyWrong and ToolRefused.
    """
    found = Document(read_document(document), base_url)
    operations = found.operations()
    if found.faults:
        raise _invalid(found.faults)
    secrets = {key.lower() for key in headers or {}} | set(query or {})
    rest = Rest(found.base_url, headers=headers or {}, query=query or {}, timeout_s=timeout_s, max_reply_bytes=max_reply_bytes)
    tools: dict[str, Tool[..., Any]] = {}
    unfit: list[ToolUnfit] = []
    for operation in operations:
        tool = _tool(operation, rest, name, secrets)
        why = operation.unfit or (f"the name {tool.name} is taken" if tool.name in tools else "")
        if why:
            unfit.append(ToolUnfit(f"{operation.name}: {why}", tool=operation.name))
        else:
            tools[tool.name] = gated(tool, allow=allow)
    return Intake(tuple(tools.values()), tuple(unfit))


def _invalid(faults: Sequence[tuple[str, str]]) -> DocumentInvalid:
    lines = "".join(f"\n  {place}: {fault}" for place, fault in faults[:30])
    more = f"\n  … and {len(faults) - 30} more" if len(faults) > 30 else ""
    return DocumentInvalid(f"the OpenAPI document has {len(faults)} fault(s):{lines}{more}", faults=faults, hint="mend the document")


def _tool(operation: Operation, rest: Rest, name: str, secrets: set[str]) -> Tool[..., Any]:
    given = {ours for ours, place in operation.places.items() if place.name.lower() in secrets and place.kind in ("header", "query")}
    params = {ours: param for ours, param in operation.params.items() if ours not in given}
    key = identifier("idempotency_key", taken=params) if operation.method not in SAFE else ""
    tool_name = qualified(name, operation.name)
    route = Route(tool_name, operation.method.upper(), operation.path, operation.places, operation.body, operation.media)

    async def call(**arguments: Any) -> Any:
        token = arguments.pop(key, "") if key else ""
        sent = {ours: value for ours, value in arguments.items() if value is not None or params[ours].default is MISSING}
        return await rest.call(route, sent, key=token, returns=operation.returns)

    signature = {**params, key: Param(key, IdempotencyKey, "")} if key else params
    labels = frozenset({UNTRUSTED, source("openapi", name)})
    doc = quoted(f"{rest.host} ({operation.method.upper()} {operation.path})", operation.doc or operation.name)
    return Tool(
        call, name=tool_name, doc=doc, effect=operation.method not in SAFE, labels=labels, signature=(signature, operation.returns), outside=True,
        doc_labels=labels,
    )

