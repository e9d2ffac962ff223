"""The vocabulary of a tokenizer in the format of the ``tokenizers`` package: the bytes that each token stands for."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from rookery.errors import ModelUnknown

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class Pieces:
    """Tokens as bytes, from a ``tokenizer.json``. Implements :class:`rookery.models.model.Vocabulary`.

    Text is encoded as a continuation: no token is put before it, and no space.

    :param source: the JSON text.
    :param size: how many logits the model gives; ids past the tokenizer's own have no text.
    :param end: the ids that end a reply.
    :raises ModelUnknown: it is no tokenizer, or of a kind whose tokens have no fixed bytes.
    """

    def __init__(self, source: str, *, size: int, end: Collection[int], model: str = "") -> None:
        from tokenizers import Tokenizer

        try:
            data = json.loads(source)
            self._tokenizer = Tokenizer.from_str(json.dumps(_as_continuation(data)))
            kind = _kind(data)
            vocabulary = self._tokenizer.get_vocab(with_added_tokens=False)
            added = data.get("added_tokens") or []
        except Exception as error:  # the package raises plain Exception for whatever it cannot read
            raise ModelUnknown(f"the tokenizer can't be read: {type(error).__name__}: {error}", model=model,
                               hint="the model's folder needs the tokenizer.json that belongs to its weights") from error
        if kind == "words":
            raise ModelUnknown("tokens of this kind of tokenizer (WordPiece) have no fixed bytes", model=model,
                               hint="take a model that writes text: byte-level BPE or SentencePiece")
        tokens = [b""] * size
        for token, i in vocabulary.items():
            if i < size:
                tokens[i] = _bytes(token, kind)
        for entry in added:
            if entry["id"] < size:
                tokens[entry["id"]] = b"" if entry.get("special") else str(entry["content"]).encode()
        for i in end:
            tokens[i] = b""
        self._tokens = tuple(tokens)
        self._end = frozenset(end)

    @property
    def tokens(self) -> Sequence[bytes]:
        """The bytes of each token by id; empty for special tokens."""
        return self._tokens

    @property
    def end(self) -> frozenset[int]:
        """The ids that end a reply."""
        return self._end

    def encode(self, text: str) -> list[int]:
        """The ids of a text that goes on from another."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some ids; what is no UTF-8 becomes U+FFFD."""
        return b"".join(self._tokens[i] for i in ids).decode(errors="replace")


def _kind(data: dict[str, Any]) -> str:
    """``bytes``: byte-level BPE; ``spaces``: SentencePiece, with ▁ for a space; ``words``: WordPiece; ``plain``: as they stand."""
    said = json.dumps([data.get("decoder"), data.get("pre_tokenizer")], ensure_ascii=False)
    if '"ByteLevel"' in said:
        return "bytes"
    if '"WordPiece"' in said:
        return "words"
    return "spaces" if "▁" in said or '"Metaspace"' in said else "plain"


def _as_continuation(data: dict[str, Any]) -> dict[str, Any]:
    """The tokenizer without what it puts before a text: a space, or a token of its own."""
    out = dict(data) | {"post_processor": None, "truncation": None, "padding": None}
    normalizer = out.get("normalizer")
    if normalizer and normalizer.get("type") == "Sequence":
        kept = [step for step in normalizer["normalizers"] if step.get("type") != "Prepend"]
        out["normalizer"] = {"type": "Sequence", "normalizers": kept} if kept else None
    elif normalizer and normalizer.get("type") == "Prepend":
        out["normalizer"] = None
    out["pre_tokenizer"] = _without_prefix(out.get("pre_tokenizer"))
    return out


def _without_prefix(step: Any) -> Any:
    if not isinstance(step, dict):
        return step
    if step.get("type") == "Sequence":
        return step | {"pretokenizers": [_without_prefix(inner) for inner in step["pretokenizers"]]}
    if step.get("type") == "Metaspace":
        return step | {"prepend_scheme": "never"}
    return step | {"add_prefix_space": False} if step.get("type") == "ByteLevel" else step


def _bytes(token: str, kind: str) -> bytes:
    if kind == "bytes":
        letters = _letters()
        return bytes(letters[c] for c in token) if all(c in letters for c in token) else token.encode()
    match = _BYTE.fullmatch(token)
    if match:
        return bytes([int(match[1], 16)])
    return (token.replace("▁", " ") if kind == "spaces" else token).encode()


@lru_cache(maxsize=1)
def _letters() -> dict[str, int]:
    """The letter that byte-level BPE writes for each byte (GPT-2): printable ones are themselves, the others come after U+0100."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in set(shown)]
    return {chr(byte): byte for byte in shown} | {chr(0x100 + at): byte for at, byte in enumerate(hidden)}
