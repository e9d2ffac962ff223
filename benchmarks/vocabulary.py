"""The tokens of a vocabulary-only GGUF file, as bytes; such a file of 128,000 tokens lies in the source archive of llama-cpp-python."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_SIZES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9
NORMAL, USER_DEFINED, BYTE = 1, 4, 6
"""Token types of GGUF whose text may stand in a reply."""


class Vocabulary:
    """A vocabulary without merges: tokens and their bytes; text falls into the longest tokens."""

    def __init__(self, tokens: Sequence[bytes], end: frozenset[int]) -> None:
        self.tokens = tokens
        self.end = end
        self._ids = {token: number for number, token in reversed(list(enumerate(tokens))) if token}

    def encode(self, text: str) -> list[int]:
        data, at, found = text.encode(), 0, []
        while at < len(data):
            size = next(size for size in range(min(64, len(data) - at), 0, -1) if data[at : at + size] in self._ids)
            found.append(self._ids[data[at : at + size]])
            at += size
        return found

    def decode(self, ids: Sequence[int]) -> str:
        return b"".join(self.tokens[token] for token in ids).decode("utf-8", "replace")


def read(path: Path) -> Vocabulary:
    """The vocabulary of a GGUF file with a byte-level BPE (``tokenizer.ggml.model`` is ``gpt2``)."""
    fields = _fields(path.read_bytes())
    letters = _letters()
    kinds = fields.get("tokenizer.ggml.token_type") or [NORMAL] * len(fields["tokenizer.ggml.tokens"])
    tokens = [bytes(letters[letter] for letter in text) if kind in (NORMAL, USER_DEFINED, BYTE) and all(letter in letters for letter in text) else b""
              for text, kind in zip(fields["tokenizer.ggml.tokens"], kinds, strict=True)]
    return Vocabulary(tokens, frozenset([fields["tokenizer.ggml.eos_token_id"]]))


def _letters() -> dict[str, int]:
    """GPT-2's letters for bytes: those that can be printed stand for themselves, the others for 256 and on."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + number): byte for number, byte in enumerate(rest)}


def _fields(raw: bytes) -> dict[str, Any]:
    assert raw[:4] == b"GGUF", "no GGUF file"
    count, at = struct.unpack_from("<Q", raw, 16)[0], 24

    def text() -> str:
        nonlocal at
        size = struct.unpack_from("<Q", raw, at)[0]
        at += 8 + size
        return raw[at - size : at].decode("utf-8", "replace")

    def value(kind: int) -> Any:
        nonlocal at
        if kind == _TEXT:
            return text()
        if kind == _ARRAY:
            inner, length = struct.unpack_from("<IQ", raw, at)
            at += 12
            if inner != _TEXT:
                form = f"<{length}{_SIZES[inner]}"
                at += struct.calcsize(form)
                return list(struct.unpack_from(form, raw, at - struct.calcsize(form)))
            return [value(inner) for _ in range(length)]
        form = "<" + _SIZES[kind]
        at += struct.calcsize(form)
        return struct.unpack_from(form, raw, at - struct.calcsize(form))[0]

    fields = {}
    for _ in range(count):
        name = text()
        kind = struct.unpack_from("<I", raw, at)[0]
        at += 4
        fields[name] = value(kind)
    return fields
