"""Calls of an HTTP API as a document describes them: arguments into path, query, headers and body, and the answer into a value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from rookery.errors import ParseFailed, ToolFailed, ToolRefused, ToolReplyWrong, ToolUnreachable
from rookery.tools.fetch import Answer, Outgoing, exchange
from rookery.tools.intake import plain_text
from rookery.tools.schema import conform

MAY_PASS = frozenset({429, 502, 503, 504})
"""The server is busy or away; the same call may succeed later."""
SHORTEST_SECRET = 6
"""What is shorter is too likely to be an ordinary word of the answer."""
_SHOWN = 2_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where an argument goes, and how it is written there (OpenAPI 3.1.1, section 4.8.12)."""

    name: str
    kind: str
    """``path``, ``query``, ``header`` or ``cookie``."""
    style: str = "simple"
    explode: bool = False
    is_json: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """One operation."""

    tool: str
    method: str
    path: str
    places: Mapping[str, Place]
    body: str = ""
    """The argument that is the body."""
    media: str = ""


class Rest:
    """The one server of an API, and what goes with each call to it."""

    def __init__(self, base_url: str, *, headers: Mapping[str, str], query: Mapping[str, str], timeout_s: float, max_reply_bytes: int) -> None:
        self.base_url = base_url
        self.host = urlsplit(base_url).netloc.rpartition("@")[2]
        self.headers = dict(headers)
        self.query = dict(query)
        self.timeout_s = timeout_s
        self.max_reply_bytes = max_reply_bytes

    def __repr__(self) -> str:
        return f"<Rest {self.host}>"

    async def call(self, route: Route, arguments: Mapping[str, Any], *, key: str, returns: Any) -> Any:
        """Make a call. Raises as ``openapi_tools`` says."""
        answer = self._without_secrets(await exchange(self._request(route, arguments, key), tool=route.tool))
        if answer.status in MAY_PASS:
            raise ToolUnreachable(f"{self.host} answered {answer.status}: {self._said(answer)}", tool=route.tool, hint="try again later")
        if answer.status >= 300:
            what = "points elsewhere, which is not followed" if answer.status < 400 else self._said(answer)
            raise ToolFailed(f"{route.tool}: {self.host} answered {answer.status}: {what}", tool=route.tool, status=answer.status)
        return self._value(route, answer, returns)

    def _said(self, answer: Answer) -> str:
        return plain_text(answer.text, _SHOWN) or "nothing more"

    def _without_secrets(self, answer: Answer) -> Answer:
        """What came back goes into logs and to models; our secrets do not, should the server send them back."""
        content = answer.content
        for secret in (*self.headers.values(), *self.query.values()):
            for part in (secret, secret.rpartition(" ")[2]):
                if len(part) >= SHORTEST_SECRET:
                    content = content.replace(part.encode(), b"[secret]")
        return replace(answer, content=content)

    # ---------------------------------------------------------------- there

    def _request(self, route: Route, arguments: Mapping[str, Any], key: str) -> Outgoing:
        path = route.path
        query: list[tuple[str, str]] = []
        headers: dict[str, str] = {"accept": "application/json, text/*;q=0.5"}
        cookies: list[tuple[str, str]] = []
        for ours, value in arguments.items():
            place = route.places.get(ours)
            if place is None:
                continue
            if place.kind == "path":
                path = path.replace(f"{{{place.name}}}", _segment(route, place, value))
            elif place.kind == "query":
                query += _pairs(place, value)
            elif place.kind == "header":
                headers[place.name.lower()] = _header(route, place, _simple(place, value))
            else:
                cookies += _pairs(place, value)
        if cookies:
            headers["cookie"] = "; ".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in cookies)
        if key:
            headers["idempotency-key"] = key  # draft-ietf-httpapi-idempotency-key-header
        content = None
        if route.body in arguments:
            content, headers["content-type"] = _body(route, arguments[route.body])
        url = self.base_url + quote(path, safe="/%:@!$&'()*+,;=~-._") + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        return Outgoing(
            method=route.method, url=url, headers=headers, content=content, secret_headers=self.headers, secret_query=self.query,
            timeout_s=self.timeout_s, max_bytes=self.max_reply_bytes,
        )

    # ---------------------------------------------------------------- back

    def _value(self, route: Route, answer: Answer, returns: Any) -> Any:
        if not answer.content:
            value: Any = "" if returns is str else None
        elif answer.media_type == "application/json" or answer.media_type.endswith("+json"):
            try:
                value = json.loads(answer.content, parse_constant=_no_constant)
            except (ValueError, RecursionError) as error:
                raise ToolReplyWrong(f"{route.tool}: {self.host} sent what is not JSON: {error}", tool=route.tool) from error
        elif answer.media_type.startswith("text/") or answer.media_type in ("", "application/xml", "application/yaml"):
            value = answer.text
        else:
            raise ToolReplyWrong(f"{route.tool}: {self.host} sent {answer.media_type:.80}; only JSON and text are read", tool=route.tool)
        try:
            return conform(value, returns)
        except ParseFailed as error:
            raise ToolReplyWrong(f"{route.tool}: {self.host} sent what its document does not say: {error.reason:.500}", tool=route.tool) from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


# ------------------------------------------------------------------ how arguments are written


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | int | float | dict | list) or value is None else str(value)


def _simple(place: Place, value: Any) -> str:
    """Commas between items; ``a,1,b,2`` or, exploded, ``a=1,b=2`` for objects."""
    if place.is_json:
        return json.dumps(value)
    if isinstance(value, list):
        return ",".join(map(_text, value))
    if isinstance(value, dict):
        sign = "=" if place.explode else ","
        return ",".join(f"{key}{sign}{_text(item)}" for key, item in value.items())
    return _text(value)


def _segment(route: Route, place: Place, value: Any) -> str:
    """One piece of the path, which cannot become several, none, or a way up."""
    text = _simple(place, value)
    if text in ("", ".", ".."):
        raise ToolRefused(f"{route.tool}: {place.name} cannot be {text!r}, which would name another place", tool=route.tool)
    mark = {"label": ".", "matrix": f";{place.name}="}.get(place.style, "")
    return quote(mark, safe=";=.") + quote(text, safe=",")


def _pairs(place: Place, value: Any) -> list[tuple[str, str]]:
    if place.is_json:
        return [(place.name, json.dumps(value))]
    if isinstance(value, dict):
        if place.style == "deepObject":
            return [(f"{place.name}[{key}]", _text(item)) for key, item in value.items()]
        if place.explode:
            return [(str(key), _text(item)) for key, item in value.items()]
        return [(place.name, _simple(place, value))]
    if isinstance(value, list):
        if place.explode:
            return [(place.name, _text(item)) for item in value]
        sign = {"spaceDelimited": " ", "pipeDelimited": "|"}.get(place.style, ",")
        return [(place.name, sign.join(map(_text, value)))]
    return [(place.name, _text(value))]


def _header(route: Route, place: Place, text: str) -> str:
    if not text.isascii() or not text.isprintable():
        raise ToolRefused(f"{route.tool}: {place.name} goes into a header, which takes printable ASCII only", tool=route.tool)
    return text


def _body(route: Route, value: Any) -> tuple[bytes, str]:
    kind = route.media.partition(";")[0].strip().lower()
    if kind == "text/plain":
        return _text(value).encode(), "text/plain; charset=utf-8"
    if kind == "application/x-www-form-urlencoded":
        pairs = [pair for name, item in dict(value or {}).items() for pair in _pairs(Place(str(name), "query", "form", True), item)]
        return urlencode(pairs).encode(), kind
    return json.dumps(value, ensure_ascii=False).encode(), "application/json" if "*" in kind else route.media
