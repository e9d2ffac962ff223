"""A model that answers from a cassette: replies recorded once from another model, kept at the level of neutral requests."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast

from rookery.errors import (
    CapabilityMissing,
    CassetteDamaged,
    CassetteMiss,
    ContextOverflow,
    ModelError,
    RequestRefused,
    SkillMissing,
)
from rookery.models.model import Capabilities, Chunk, Model, Request, Stop, TokenLogprob, ToolCall, Usage
from rookery.models.redact import Redactor
from rookery.models.wire import prompt_bound

VERSION = 1

_REFUSALS: Mapping[str, type[ModelError]] = {
    cls.__name__: cls for cls in (ContextOverflow, RequestRefused, CapabilityMissing, SkillMissing)
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One recorded reply and the request that it answered, as plain data."""

    key: str
    request: Mapping[str, Any]
    reply: Mapping[str, Any]


class RecordedModel:
    """Replays recorded replies, or records those of ``inner``.

    The file is JSON lines: a header that says who answered and when, then one reply a line. An equal request gets the replies
    recorded for it in their order. What is stored is the canonical request, so a cassette outlives client libraries; values
    in ``secrets``, values of environment variables that are named like keys, fields of ``extra`` that are named like keys, and
    text that looks like a key are replaced by ``[secret]`` before anything is compared or written. Usage is given as recorded,
    so a replayed run reports what the recorded one cost. A refusal (``ContextOverflow``, ``RequestRefused``,
    ``CapabilityMissing``, ``SkillMissing``) is an answer and is replayed as well; other failures, and replies that were not
    read to their end, are not recorded.

    :param mode: ``replay`` never asks ``inner``; ``record`` always does and begins a new file with the first reply;
        ``auto`` asks only for what the file does not have, and adds it.
    :param repeat: when an equal request comes more often than it was recorded, give the last reply again.

    :raises ModelUnknown: there is nothing to replay, the file is damaged, or a newer version wrote it.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        inner: Model | None = None,
        mode: Literal["replay", "record", "auto"] = "replay",
        secrets: Sequence[str] = (),
        repeat: bool = False,
    ) -> None:
        if mode not in ("replay", "record", "auto"):
            raise ValueError(f"mode is 'replay', 'record' or 'auto', not {mode!r}")
        if mode != "replay" and inner is None:
            raise ValueError(f"mode {mode!r} needs inner, the model whose replies are recorded")
        self._path = Path(path)
        self._name = f"recorded:{path}"
        self._inner = inner if mode != "replay" else None
        self._repeats = repeat and mode != "record"
        self._secrets = Redactor(secrets)
        self._entries: dict[str, list[Entry]] = {}
        self._used: dict[str, int] = {}
        header = None
        if mode != "record" and (mode == "replay" or self._path.exists()):
            header = self._load()
        self._header = header
        self._capabilities = self._describe(header)

    @property
    def capabilities(self) -> Capabilities:
        """Those of the model that was recorded; ``origin`` says which that was and when, or that it answers now."""
        return self._capabilities

    @property
    def origin(self) -> Mapping[str, Any]:
        """``kind`` (``model``, ``scripted``, ``simulated`` …), ``model`` and ``recorded_at`` (ISO 8601, UTC) of the cassette."""
        return dict(self._header["origin"]) if self._header else {}

    async def count_tokens(self, request: Request) -> int:
        """What was counted at the recording; else what ``inner`` counts; else an upper bound."""
        for entry in self._entries.get(self._key(request)[0], ()):
            if "usage" in entry.reply:
                return int(entry.reply["usage"]["prompt_tokens"])
        return await self._inner.count_tokens(request) if self._inner is not None else prompt_bound(request)

    async def aclose(self) -> None:
        """Closes ``inner``; the file is never left open."""
        if self._inner is not None:
            await self._inner.aclose()

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """The recorded reply, or that of ``inner``.

        :raises CassetteMiss: nothing is recorded for this request; the message has a diff against the nearest one.
        :raises RequestRefused: the file cannot be written.
        :raises ModelError: whatever ``inner`` raises.
        """
        key, canonical = self._key(request)
        recorded, used = self._entries.get(key, []), self._used.get(key, 0)
        self._used[key] = used + 1
        if recorded and (used < len(recorded) or self._repeats):
            for chunk in _chunks(recorded[min(used, len(recorded) - 1)].reply):
                yield chunk
            return
        if self._inner is None:
            raise self._miss(canonical, len(recorded))
        heard: list[Chunk] = []
        reply = cast("AsyncGenerator[Chunk]", self._inner.stream(request))
        async with aclosing(reply):
            try:
                async for chunk in reply:
                    heard.append(chunk)
                    if chunk.stop is not None:  # before it is given on: who has the last chunk may close at once
                        self._write(Entry(key, canonical, self._secrets.cut(_reply(heard))))
                    yield chunk
            except tuple(_REFUSALS.values()) as error:
                told = {"error": type(error).__name__, "reason": error.reason, "hint": error.hint, "model": error.model}
                self._write(Entry(key, canonical, self._secrets.cut(told)))
                raise

    def _key(self, request: Request) -> tuple[str, dict[str, Any]]:
        """The fingerprint and the canonical form, both without secrets."""
        plain = json.loads(json.dumps(request.canonical(), ensure_ascii=False, default=str))
        clean = self._secrets.cut(plain)
        if clean == plain:
            return request.fingerprint(), clean
        text = json.dumps(clean, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest(), clean

    # -------------------------------------------------------------- the file

    def _load(self) -> dict[str, Any]:
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise CassetteDamaged(f"the cassette {self._path} cannot be read: {error}", model=self._name,
                               hint="record one: RecordedModel(path, inner=…, mode='record')") from error
        header: dict[str, Any] | None = None
        for number, line in enumerate(lines, start=1):
            try:
                data = json.loads(line)
                if header is None:
                    header = self._check_header(data)
                    continue
                entry = Entry(data["key"], data["request"], data["reply"])
                _check_reply(entry.reply)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise CassetteDamaged(f"the cassette {self._path} is damaged in line {number}", model=self._name,
                                   hint="remove that line, or record anew with mode='record'") from error
            self._entries.setdefault(entry.key, []).append(entry)
        if header is None:
            raise CassetteDamaged(f"the cassette {self._path} is empty", model=self._name, hint="record anew with mode='record'")
        return header

    def _check_header(self, data: Any) -> dict[str, Any]:
        version = data["cassette"]
        if not isinstance(version, int) or not isinstance(data["origin"], dict) or not isinstance(data["capabilities"], dict):
            raise ValueError("not a cassette's header")
        if version > VERSION:
            raise CassetteDamaged(f"the cassette {self._path} has version {version}, and this rookery reads up to {VERSION}",
                               model=self._name, hint="upgrade rookery, or record anew with mode='record'")
        return cast("dict[str, Any]", data)

    def _describe(self, header: Mapping[str, Any] | None) -> Capabilities:
        if header is None:
            base = cast("Model", self._inner).capabilities
            origin = f"{base.origin or base.name}, being recorded"
        else:
            known: set[str] = {field.name for field in fields(Capabilities)}
            data: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value
                for key, value in header["capabilities"].items() if key in known
            }
            base = Capabilities(**data)
            told = header["origin"]
            origin = f"recorded from {told.get('model', '?')} ({told.get('kind', '?')}) at {told.get('recorded_at', '?')}"
            if self._inner is not None:
                origin += f", and what is missing from {self._inner.capabilities.name}"
        return replace(base, name=self._name, origin=origin, token_level=False, exact_token_count=False)

    def _write(self, entry: Entry) -> None:
        lines = [json.dumps(asdict(entry), ensure_ascii=False, separators=(",", ":"))]
        fresh = self._header is None
        if fresh:
            self._header = self._new_header()
            lines.insert(0, json.dumps(self._header, ensure_ascii=False, separators=(",", ":")))
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("w" if fresh else "a", encoding="utf-8") as file:
                file.write("\n".join([*lines, ""]))
        except OSError as error:
            raise RequestRefused(f"the cassette {self._path} cannot be written: {error.strerror}", model=self._name) from error
        self._entries.setdefault(entry.key, []).append(entry)

    def _new_header(self) -> dict[str, Any]:
        inner = cast("Model", self._inner).capabilities
        first = inner.origin.split(" ", 1)[0]
        kind = first if first in ("scripted", "simulated", "recorded", "rule-based") else "model"
        now = datetime.now(UTC).isoformat(timespec="seconds")
        origin = {"kind": kind, "model": inner.name, "said": inner.origin, "recorded_at": now}
        return {"cassette": VERSION, "origin": self._secrets.cut(origin), "capabilities": self._secrets.cut(asdict(inner))}

    # -------------------------------------------------------------- the miss

    def _miss(self, canonical: dict[str, Any], times: int) -> CassetteMiss:
        hint = f"if the change is meant, RecordedModel({str(self._path)!r}, inner=…, mode='auto') records what is missing"
        if times:
            return CassetteMiss(f"{self._path} answers this request {times} time(s), and it was asked once more",
                                model=self._name, hint=hint + "; repeat=True gives the last answer again")
        asked = _lines(canonical)
        others = [_lines(entries[0].request) for entries in self._entries.values()]
        if not others:
            return CassetteMiss(f"{self._path} has no replies", model=self._name, hint=hint)
        nearest = max(others, key=lambda lines: difflib.SequenceMatcher(None, lines, asked, autojunk=False).ratio())
        diff = list(difflib.unified_diff(nearest, asked, "recorded", "asked", lineterm="", n=1))
        shown = "\n".join(f"    {line[:200]}" for line in diff[:40]) + ("\n    …" if len(diff) > 40 else "")
        return CassetteMiss(f"{self._path} has no reply to this request; against the nearest of {len(others)}:\n{shown}",
                            model=self._name, hint=hint)


def _lines(canonical: Mapping[str, Any]) -> list[str]:
    """A canonical request as lines that a diff can show."""
    lines: list[str] = []
    for message in canonical.get("messages", ()):
        lines += [f"{message['role']}: {line}" for line in str(message["text"]).splitlines() or [""]]
        lines += [f"{message['role']} calls {call}" for call in message.get("tool_calls", ())]
    for key, value in canonical.items():
        if key == "sampling":
            lines += [f"{name} = {value[name]!r}" for name in value]
        elif key != "messages":
            lines += f"{key} = {json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)}".splitlines()
    return lines


# ------------------------------------------------------------------ replies as data


def _reply(chunks: Sequence[Chunk]) -> dict[str, Any]:
    last = chunks[-1]
    text = "".join(chunk.text for chunk in chunks)
    reply: dict[str, Any] = {"text": text, "stop": last.stop, "usage": asdict(last.usage or Usage())}
    scores = [[score.token, score.logprob, [list(top) for top in score.top]] for chunk in chunks for score in chunk.logprobs]
    calls = [[call.id, call.name, call.arguments] for chunk in chunks for call in chunk.tool_calls]
    return reply | ({"logprobs": scores} if scores else {}) | ({"tool_calls": calls} if calls else {})


def _chunks(reply: Mapping[str, Any], *, chars: int = 64) -> Iterator[Chunk]:
    """The reply in pieces again; with log-probabilities a piece is a few whole tokens."""
    if "error" in reply:
        raise _REFUSALS[reply["error"]](reply["reason"], model=reply["model"], hint=reply["hint"])
    text: str = reply["text"]
    scores = [
        TokenLogprob(token, value, tuple((name, score) for name, score in top)) for token, value, top in reply.get("logprobs", ())
    ]
    if scores and "".join(score.token for score in scores) == text:
        for start in range(0, len(scores), 8):
            few = tuple(scores[start : start + 8])
            yield Chunk("".join(score.token for score in few), logprobs=few)
    elif scores:
        yield Chunk(text, logprobs=tuple(scores))
    else:
        for start in range(0, len(text), chars):
            yield Chunk(text[start : start + chars])
    calls = tuple(ToolCall(*call) for call in reply.get("tool_calls", ()))
    yield Chunk(tool_calls=calls, stop=cast("Stop", reply["stop"]), usage=Usage(**reply["usage"]))


def _check_reply(reply: Mapping[str, Any]) -> None:
    """Build the reply once, so that a damaged one is found when the file is read."""
    with suppress(ModelError):
        list(_chunks(reply))
