"""Symbols in a message: ``<|route|>`` stores what follows under a name, ``<route>`` brings it back; and what only looks like one.

After AmadeusGPT (Ye et al., NeurIPS 2023), where a symbol points from the chat window into long-term memory. Here there may be many in a
message, they have versions (``<route@2>``), and what is brought back is not read for symbols again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_NAME = r"[^\W\d_][\w-]{0,63}"
_TOKEN = re.compile(rf"(?P<slash>\\+)?(?:<\|(?P<store>{_NAME})\|>|(?<![\w])<(?P<read>{_NAME})(?:@(?P<version>[1-9]\d{{0,8}}))?>)")
_TEMPLATES = """
im_start im_end im_sep endoftext end start begin system user assistant tool begin_of_text end_of_text start_header_id end_header_id eot_id eom_id
python_tag fim_prefix fim_middle fim_suffix endofprompt start_of_turn end_of_turn channel message return call vision_start vision_end image_pad
"""
RESERVED = frozenset(_TEMPLATES.split())
"""What chat templates write between ``<|`` and ``|>``; these are no symbols."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a message: plain text, a symbol that stores ``text``, or one that is to be brought back."""

    verb: Literal["text", "store", "read"]
    text: str
    """For ``store`` what follows the symbol, for ``read`` the symbol as it was written."""
    name: str = ""
    version: int | None = None


def parse(message: str) -> list[Part]:
    """The parts of a message in order. A backslash before a symbol makes it text; a tag that is closed (``<b>…</b>``) is text as well.

    What a symbol stores reaches to the next symbol that stores, or to the end; one blank or line break after the symbol is not part of it.
    Symbols to be brought back inside of it are stored as they are written.
    """
    parts: list[Part] = []
    text: list[str] = []
    name = ""
    at = 0

    def close() -> None:
        body = "".join(text)
        text.clear()
        if name:
            parts.append(Part("store", re.sub(r"\A(?:\r\n|\s)", "", body), name))
        elif body:
            parts.append(Part("text", body))

    for match in _TOKEN.finditer(message):
        text.append(message[at : match.start()])
        at = match.end()
        slashes = len(match["slash"] or "")
        written = message[match.start() + slashes : match.end()]
        found = match["store"] or match["read"]
        text.append("\\" * (slashes // 2))
        if slashes % 2 or found in RESERVED or (match["read"] and (name or f"</{found}>" in message)):
            text.append(written)
        elif match["store"]:
            close()
            name = found
        else:
            close()
            parts.append(Part("read", written, found, int(match["version"]) if match["version"] else None))
    text.append(message[at:])
    close()
    return parts


def escaped(text: str) -> str:
    """A text in which nothing is a symbol: ``parse`` gives it back as it is, as one piece of text."""
    return _TOKEN.sub(lambda match: "\\" * (2 * len(match["slash"] or "") + 1) + match.group()[len(match["slash"] or "") :], text)


_FENCE = re.compile(r"```[\w+-]*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)


def program_in(text: str) -> str:
    """The Python program that a stored text is, or has in its first fence; empty when it is none."""
    import ast

    fence = _FENCE.search(text)
    source = fence[1] if fence else text
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    return source if any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in body) else ""
