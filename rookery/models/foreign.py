"""Errors of client libraries mapped into our tree, by status and by name, so that no library is imported to do it."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rookery.errors import (
    ContextOverflow,
    ModelBusy,
    ModelError,
    ModelFault,
    ModelUnknown,
    ModelUnreachable,
    ReplyCut,
    ReplyMalformed,
    ReplyStalled,
    RequestRefused,
    RookeryError,
    SettingMissing,
)

_OVERFLOW = re.compile(
    r"context_length_exceeded|context[_ ](length|window|size)|maximum (context|prompt|input) length|prompt is too long"
    r"|input is too long|too many (input )?tokens|exceeds? the (model'?s? )?(maximum|limit|available context)",
    re.IGNORECASE,
)
_SPENT = re.compile(r"insufficient_quota|exceeded your current quota|billing|credit balance", re.IGNORECASE)
_CONNECT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ConnectionRefusedError", "gaierror", "ProxyError",
            "UnsupportedProtocol", "InvalidURL", "ClientConnectorError", "ClientConnectorDNSError"}
_CUT = {"RemoteProtocolError", "ReadError", "WriteError", "CloseError", "ConnectionResetError", "IncompleteRead",
        "BrokenPipeError", "ServerDisconnectedError", "ClientPayloadError"}
_STALLED = {"TimeoutException", "TimeoutError", "APITimeoutError", "Timeout"}
_UNSET = re.compile(r"missing credentials|api_key client option must be set", re.IGNORECASE)
_PREFIX = re.compile(r"^(?:(?:litellm\.)?\w*(?:Error|Exception)(?:: | - ))+")
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Border:
    """What the mapping needs to know of the model: for messages and hints only."""

    model: str
    address: str
    """The base URL, or whatever else says where the model is."""
    key_name: str
    """The environment variable that holds the key."""
    has_key: bool
    secret: str = ""
    """The key itself, to be cut out of messages."""

    def error(self, foreign: BaseException, *, reading: bool) -> RookeryError:
        """The error of our tree for ``foreign``; ``reading`` says that the reply had begun.

        Raise it ``from foreign``. Errors of our own tree come back as they are.
        """
        if isinstance(foreign, RookeryError):
            return foreign
        inner = getattr(foreign, "original_exception", None)
        if isinstance(inner, Exception) and inner is not foreign:
            return self.error(inner, reading=reading)  # litellm wraps what breaks in the middle of a stream
        names = [name for error in _chain(foreign) for name in (cls.__name__ for cls in type(error).__mro__)]
        own = {cls.__name__ for cls in type(foreign).__mro__}
        if isinstance(foreign, ImportError):
            package = foreign.name or "the package"
            return SettingMissing(f"{self.model} needs {package!r}, which is not installed", model=self.model,
                                  hint=f"pip install {package}")
        if _CONNECT & set(names):
            return ModelUnreachable(f"nobody answers at {self.address} ({self._text(_chain_end(foreign))})", model=self.model,
                                    hint="is the server running, and is the address right?")
        if _UNSET.search(str(foreign)):
            return self._no_entry("no key was sent")
        if _STALLED & set(names):
            return ReplyStalled(f"{self.address} sent nothing for too long", model=self.model,
                                hint="raise timeout_s if the model is only slow")
        status = getattr(foreign, "status_code", None)
        if isinstance(status, int) and status >= 300 and status != 500:  # litellm gives a 500 to whatever it knows no status of
            return self._status(status, foreign)
        if {"JSONDecodeError", "UnicodeDecodeError", "APIResponseValidationError"} & set(names):
            return ReplyMalformed(f"a piece of the reply is not what the protocol says: {self._text(foreign)}", model=self.model)
        if _CUT & set(names):
            return ReplyCut(f"{self.address} closed the connection before the end of the reply", model=self.model)
        if status == 500:
            return self._status(status, foreign)
        return self._other(foreign, own, reading=reading)

    def _status(self, status: int, foreign: BaseException) -> ModelError:
        text = self._text(foreign)
        said = f"{status}: {text}"
        if status in (400, 413, 422) and _overflows(foreign):
            return ContextOverflow(f"prompt and answer do not fit the window: {text}", model=self.model,
                                   hint="shorten the prompt, lower max_tokens, or take a model with a larger window")
        if status == 400 and "LLM Provider NOT provided" in text:
            return ModelUnknown(f"litellm knows no provider of {self.model.removeprefix('litellm:')!r}", model=self.model,
                                hint="write PROVIDER/NAME as in https://docs.litellm.ai/docs/providers")
        if status in (401, 403):
            return self._no_entry(said)
        if status == 404:
            return ModelUnknown(f"{self.address} has no such model or path: {text}", model=self.model,
                                hint="check the name, and the address: it usually ends in /v1")
        if status == 429 and _SPENT.search(text):
            return RequestRefused(said, model=self.model, hint="the account has no money left")
        waits = retry_after_s(foreign)
        if status in (425, 429, 529) or (status == 503 and waits is not None):
            return ModelBusy(said, model=self.model, retry_after_s=waits)
        if status >= 500 or status in (408, 409):
            return ModelFault(said, model=self.model)
        return RequestRefused(said, model=self.model, hint=_refusal_hint(text))

    def _no_entry(self, said: str) -> ModelError:
        if not self.has_key:
            return SettingMissing(f"{self.address} wants a key and none is set: {said}", model=self.model,
                                  hint=f"set {self.key_name}, or pass api_key_env=… with the name of the variable that holds it")
        return RequestRefused(f"{self.address} does not accept the key: {said}", model=self.model,
                              hint=f"check {self.key_name} and what its account may do")

    def _other(self, foreign: BaseException, own: set[str], *, reading: bool) -> ModelError:
        """No status and no transport error: an error inside a stream, or a complaint of the library itself."""
        text = self._text(foreign)
        if "APIConnectionError" in own:
            return ModelUnreachable(f"no connection to {self.address}: {text}", model=self.model,
                                    hint="is the server running, and is the address right?")
        if "APIError" in own:
            return self.stream_error(getattr(foreign, "body", None), text)
        if reading:
            return ReplyMalformed(f"the reply could not be read: {type(foreign).__name__}: {text}", model=self.model)
        return RequestRefused(f"the request could not be sent: {type(foreign).__name__}: {text}", model=self.model)

    def stream_error(self, body: Any, text: str = "") -> ModelError:
        """The error for an ``error`` object that came inside a stream, which has no status."""
        fields = body if isinstance(body, Mapping) else {}
        text = self._clean(str(fields.get("message") or text or body))
        labels = f"{fields.get('code')} {fields.get('type')} {text}"
        if _OVERFLOW.search(labels):
            return ContextOverflow(f"prompt and answer do not fit the window: {text}", model=self.model,
                                   hint="shorten the prompt, or lower max_tokens")
        if re.search(r"rate_limit|overloaded|\b(429|529)\b", labels):
            return ModelBusy(f"the server broke off: {text}", model=self.model)
        if re.search(r"invalid_request|\b400\b", labels):
            return RequestRefused(f"the server broke off: {text}", model=self.model)
        return ModelFault(f"the server broke off: {text}", model=self.model)

    def _text(self, foreign: BaseException) -> str:
        body = getattr(foreign, "body", None)
        inner = body.get("error", body) if isinstance(body, Mapping) else None
        message = inner.get("message") if isinstance(inner, Mapping) else None
        return self._clean(str(message or getattr(foreign, "message", None) or foreign or type(foreign).__name__))

    def _clean(self, text: str) -> str:
        text = text.replace(self.secret, "***") if self.secret else text
        text = _PREFIX.sub("", " ".join(text.split()))
        return text if len(text) <= _SHOWN else text[:_SHOWN] + " …"


def retry_after_s(foreign: BaseException) -> float | None:
    """Seconds that ``Retry-After`` asks for (RFC 9110 §10.2.3: seconds or a date), or ``retry-after-ms``; None if unsaid."""
    headers = getattr(getattr(foreign, "response", None), "headers", None) or getattr(foreign, "litellm_response_headers", None)
    if headers is None:
        return None
    milliseconds, text = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        if milliseconds:
            return max(0.0, float(milliseconds) / 1000)
        return max(0.0, float(text)) if text else None
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(str(text)).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _overflows(foreign: BaseException) -> bool:
    if any(cls.__name__ == "ContextWindowExceededError" for cls in type(foreign).__mro__):
        return True
    return bool(_OVERFLOW.search(f"{getattr(foreign, 'code', '')} {foreign} {getattr(foreign, 'body', '')}"))


def _refusal_hint(text: str) -> str:
    for field, hint in (
        ("response_format", "this server takes no JSON schema: build the model with json_schema=False"),
        ("json_schema", "this server takes no JSON schema: build the model with json_schema=False"),
        ("max_completion_tokens", "build the model with max_tokens_field='max_tokens'"),
        ("max_tokens", "build the model with max_tokens_field='max_completion_tokens'"),
        ("temperature", "this model takes no temperature: leave it unset"),
        ("logprobs", "this model gives no log-probabilities"),
        ("tool", "this server takes no tools: build the model with tools=False"),
    ):
        if field in text:
            return hint
    return "the server's message says what it minds"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what lies under it, down to the first of our own (which is about something else)."""
    seen = 0
    current: BaseException | None = error
    while current is not None and not isinstance(current, RookeryError) and seen < 16:
        yield current
        seen += 1
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _chain_end(error: BaseException) -> BaseException:
    *_, last = _chain(error)
    return last
