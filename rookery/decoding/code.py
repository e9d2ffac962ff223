"""Where the code is in a reply: all of it, in a fenced block, or in a string of a JSON text that is being written."""

from __future__ import annotations

import json
import re

_FENCE = re.compile(r"^[ \t]*(```+|~~~+)[ \t]*([\w+#-]*)[^\n]*\n?", re.MULTILINE)
_ALIASES = {"py": "python", "python3": "python", "ts": "typescript", "js": "javascript", "c++": "cpp", "cc": "cpp"}


def code_in(reply: str, language: str) -> str | None:
    """The code that is being written at the end of a reply; None when no code of this language is.

    A reply that begins as a JSON object is JSON: code is what its open string says. A reply with a fence has code in its open fence, if that
    names the language or none. All else is code as it stands.
    """
    if reply.lstrip()[:1] == "{":
        found = open_string(reply)
        if found is not None or _is_json(reply):
            return found
    if "```" in reply or "~~~" in reply:
        return _open_fence(reply, language)
    return reply


def _is_json(reply: str) -> bool:
    return re.match(r'\s*\{\s*("|\}|$)', reply) is not None


def _open_fence(reply: str, language: str) -> str | None:
    mark, begin, tag = "", 0, ""
    for found in _FENCE.finditer(reply):
        if not mark:
            mark, begin, tag = found[1], found.end(), found[2].lower()
        elif found[1].startswith(mark) and not found[2]:
            mark = ""
    if not mark or begin > len(reply) or (reply[begin - 1 : begin] != "\n"):
        return None
    return reply[begin:] if not tag or _ALIASES.get(tag, tag) == language else None


def open_string(text: str) -> str | None:
    """What the open string of a JSON text says so far; None when no string value is open. A name of a field is no value."""
    begin = -1
    is_value = False
    at = 0
    while at < len(text):
        sign = text[at]
        if begin >= 0:
            if sign == "\\":
                at += 1
            elif sign == '"':
                begin = -1
        elif sign == '"':
            begin, is_value = at + 1, text[:at].rstrip()[-1:] in (":", "[") or (text[:at].rstrip()[-1:] == "," and _in_array(text[:at]))
        at += 1
    return _said(text[begin:]) if begin >= 0 and is_value else None


def _in_array(text: str) -> bool:
    """Whether the innermost open bracket of a JSON text is a square one."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", text)
    depth = 0
    for sign in reversed(bare):
        if sign in "]}":
            depth += 1
        elif sign in "[{":
            if depth == 0:
                return sign == "["
            depth -= 1
    return False


def _said(raw: str) -> str | None:
    raw = re.sub(r"\\(?:u[0-9a-fA-F]{0,3})?$", "", raw) if not raw.endswith("\\\\") else raw
    try:
        said = json.loads(f'"{raw}"', strict=False)
    except ValueError:
        return None
    return said if isinstance(said, str) else None
