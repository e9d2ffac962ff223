"""The parts of the Language Server Protocol 3.17 that analysers need, as data: positions, changes, items, signatures.

https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rookery.decoding.monitor import Facts, Parameter
from rookery.decoding.pythontext import bridge as python_bridge
from rookery.decoding.pythontext import spot

KINDS = {1: "text", 2: "function", 3: "function", 4: "class", 5: "property", 6: "statement", 7: "class", 8: "class", 9: "module", 10: "property",
         13: "enum", 14: "keyword", 15: "snippet", 20: "member", 21: "statement", 22: "class", 25: "class"}
"""CompletionItemKind, in our words (and jedi's)."""
JUNK = {"text", "keyword", "snippet"}
"""Kinds of items that are no knowledge about the program: words of the file, for instance."""
SUFFIXES = {"python": ".py", "typescript": ".ts", "javascript": ".js", "typescriptreact": ".tsx", "c": ".c", "cpp": ".cpp", "go": ".go",
            "rust": ".rs", "java": ".java", "csharp": ".cs"}
CAPABILITIES = {
    "general": {"positionEncodings": ["utf-16"]},
    "workspace": {"configuration": True, "workspaceFolders": True},
    "textDocument": {
        "synchronization": {}, "publishDiagnostics": {},
        "completion": {"completionItem": {"snippetSupport": False, "insertReplaceSupport": False, "labelDetailsSupport": True},
                       "contextSupport": True},
        "signatureHelp": {"signatureInformation": {"parameterInformation": {"labelOffsetSupport": True}}},
        "hover": {"contentFormat": ["plaintext", "markdown"]},
    },
}
_WORD = re.compile(r"[•.\s]*([^\W\d$][\w$]*|\$[\w$]*)")
_COMMENT_OR_STRING = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)|\"(?:[^\"\\\n]|\\.)*\"?|'(?:[^'\\\n]|\\.)*'?|`(?:[^`\\]|\\.)*`?|[()\[\]{}]", re.DOTALL)
_CLOSER = {"(": ")", "[": "]", "{": "}"}


def framed(message: Mapping[str, Any]) -> bytes:
    """A JSON-RPC message with the head that goes before it."""
    body = json.dumps({"jsonrpc": "2.0", **message}, ensure_ascii=False).encode("utf-8", "replace")
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


def position(text: str, at: int) -> dict[str, int]:
    """A place in a text as line and UTF-16 column."""
    line = text.rfind("\n", 0, at) + 1
    return {"line": text.count("\n", 0, line), "character": len(text[line:at].encode("utf-16-le", "replace")) // 2}


def change(old: str, new: str) -> dict[str, Any]:
    """The one edit that makes the new text of the old."""
    most = min(len(old), len(new))
    begin = _shared(old, new, most)
    end = _shared(old[::-1], new[::-1], most - begin)
    return {"range": {"start": position(old, begin), "end": position(old, len(old) - end)}, "text": new[begin : len(new) - end]}


def _shared(one: str, two: str, most: int) -> int:
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == two[:middle] else (low, middle - 1)
    return low


def bridge(language: str, before: str, after: str) -> str:
    """What stands between the cursor and the text after it, so that a server finds whole code."""
    if language == "python":
        return python_bridge(spot(before), after)
    if after.strip():
        return ""
    opened: list[str] = []
    for match in _COMMENT_OR_STRING.finditer(before):
        if match[0] in _CLOSER:
            opened.append(_CLOSER[match[0]])
        elif opened and match[0] == opened[-1]:
            opened.pop()
    return "\n" + "".join(reversed(opened)) if opened else ""


def facts_of(result: Any, *, trusts_incomplete: bool) -> Facts:
    """The names of a completion's answer, and of what kind each is.

    Items that would also change another place (an import that is added) are no names that are known here, and left out.
    """
    items = result.get("items", ()) if isinstance(result, dict) else result or ()
    complete = trusts_incomplete or not (isinstance(result, dict) and result.get("isIncomplete"))
    found: dict[str, str] = {}
    for item in items:
        kind = KINDS.get(item.get("kind", 6), "statement")
        if kind in JUNK or item.get("additionalTextEdits"):
            continue
        word = _word(item)
        if word:
            found.setdefault(word, kind)
    return Facts(tuple(found), is_complete=complete, detail=found)


def enum_of(facts: Facts, language: str) -> Facts:
    """Only an enum's members, as far as the server tells them from other names."""
    members = [name for name, kind in facts.detail.items() if kind == "member" or (kind == "enum" and language in ("c", "cpp"))]
    if not members and language == "python" and {"_missing_", "_generate_next_value_"} <= facts.detail.keys():
        members = [name for name, kind in facts.detail.items() if kind in ("property", "statement") and name.strip("_") not in ("name", "value")
                   and not name.startswith("_")]
    return Facts(tuple(members), is_complete=facts.is_complete, detail=dict.fromkeys(members, "member"))


def _word(item: Mapping[str, Any]) -> str:
    text = (item.get("textEdit") or {}).get("newText") or item.get("insertText") or item.get("label", "")
    match = _WORD.match(text)
    if match is None or str(item.get("label", "")).strip().startswith(("operator", "~")):
        return ""
    return match[1]


# ------------------------------------------------------------------ signatures


def signatures_of(result: Any, language: str) -> Facts:
    """The ways to call what a signatureHelp's answer is about."""
    found = []
    for signature in (result or {}).get("signatures", ()):
        labels = [_label(parameter, signature["label"]) for parameter in signature.get("parameters") or ()]
        found.append(tuple(_python(labels) if language == "python" else map(_other, labels)))
    return Facts(signatures=tuple(found))


def _label(parameter: Mapping[str, Any], whole: str) -> str:
    label = parameter["label"]
    if isinstance(label, str):
        return label
    raw = whole.encode("utf-16-le")
    return raw[2 * label[0] : 2 * label[1]].decode("utf-16-le", "replace")


def _python(labels: Iterable[str]) -> Iterator[Parameter]:
    """Python's parameters from labels such as ``size: int = 3``, ``*``, ``/``, ``**options``."""
    found: list[Parameter] = []
    keyword_only = False
    for label in map(str.strip, labels):
        name = re.split(r"[:=\s]", label, maxsplit=1)[0].lstrip("*")
        if label == "/":
            found = [Parameter(one.name, "positional", one.required) for one in found]
        elif label.startswith("**"):
            found.append(Parameter(name, "keywords", required=False))
        elif label.startswith("*"):
            keyword_only = True
            if name:
                found.append(Parameter(name, "rest", required=False))
        elif name:
            found.append(Parameter(name, "keyword" if keyword_only else "either", "=" not in label.replace("==", "")))
    return iter(found)


def _other(label: str) -> Parameter:
    """A parameter of a language that calls by position only."""
    label = label.strip()
    if label.startswith("...") or label.endswith("..."):
        return Parameter(label.strip("."), "rest", required=False)
    return Parameter(re.split(r"[:=?]", label, maxsplit=1)[0].strip(), "positional", not re.search(r"\?|=(?!>)", label))
