"""What of an expression is being written at a cursor in Python code: what a dot looks into, and which arguments a call has so far."""

from __future__ import annotations

from dataclasses import dataclass

from rookery.decoding.pythontext import SOFT_KEYWORDS, Spot, Token, match_of, spot


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call, so far as it is written."""

    text: str
    name: str = ""
    """Of a keyword argument."""
    stars: int = 0
    """1 for ``*items``, 2 for ``**options``."""

    @property
    def is_empty(self) -> bool:
        return not self.text.strip()


@dataclass(frozen=True, slots=True)
class Call:
    """A call whose bracket is open at the cursor."""

    callee: str
    """The expression that is called."""
    end: int
    """Where, in the logical line, the callee ends."""
    arguments: tuple[Argument, ...]
    """The last is being written, and may be empty."""


def receiver(where: Spot) -> str | None:
    """The expression that the dot at the cursor looks into; None when there is no dot, or it ends a number or an ellipsis."""
    tokens = where.tokens
    if where.place != "code" or not tokens or tokens[-1].text != "." or not where.line.endswith("."):
        return None
    begin, end = _last_primary(tokens[:-1])
    if begin is None or end != len(tokens) - 1:
        return None
    return where.line[tokens[begin].at : tokens[-1].at].strip()


def about(kind: str, text: str) -> tuple[str, str]:
    """The place that a question at the end of ``text`` is really about, as the text before it, and what it is about there.

    The signatures of a call are the same wherever among its arguments the cursor stands, and a case's enum is that of the match's subject.
    """
    where = spot(text)
    if kind == "members":
        return text, receiver(where) or ""
    if kind == "signatures":
        found = call(where)
        return (text[: where.start + found.end + 1], found.callee) if found else (text, "")
    if kind == "enum":
        begun = match_of(text, where)
        return (text[: begun[0]], begun[1]) if begun else (text, "")
    if kind == "imports":
        return text, where.line.strip()
    return text, ""


def _last_primary(tokens: tuple[Token, ...]) -> tuple[int | None, int]:
    """Where the expression of names, dots, calls and subscripts that ends the tokens begins, and where it ends."""
    begin: int | None = None
    stack: list[int | None] = []
    for at, token in enumerate(tokens):
        if token.kind == "mark" and token.text in "([{" and len(token.text) == 1:
            stack.append(begin if begin is not None and _ends_value(tokens[at - 1]) else at)
            begin = None
        elif token.kind == "mark" and token.text in ")]}":
            begin = stack.pop() if stack else None
        elif token.kind in ("name", "number", "string"):
            previous = tokens[at - 1] if at else None
            goes_on = begin is not None and previous is not None and (
                previous.text == "." or (previous.kind == "string" and token.kind == "string"))
            begin = begin if goes_on else at
        elif token.text != ".":
            begin = None
    if begin is not None and tokens and not _ends_value(tokens[-1]):
        begin = None
    return begin, len(tokens)


def _ends_value(token: Token) -> bool:
    return token.kind in ("name", "string", "number") or (token.kind == "mark" and token.text in (")", "]", "}"))


def call(where: Spot) -> Call | None:
    """The call whose arguments are being written; None where the innermost open bracket is none of a call."""
    if where.place != "code":
        return None
    tokens = where.tokens
    stack: list[int] = []
    for at, token in enumerate(tokens):
        if token.kind == "mark" and len(token.text) == 1:
            if token.text in "([{":
                stack.append(at)
            elif token.text in ")]}" and stack:
                stack.pop()
    if not stack or tokens[stack[-1]].text != "(":
        return None
    opened = stack[-1]
    begin, _ = _last_primary(tokens[:opened])
    if begin is None or tokens[opened - 1].kind in ("number", "string"):
        return None
    if begin and tokens[begin - 1].text in ("def", "class"):
        return None
    if begin == 0 and tokens[0].text in SOFT_KEYWORDS and opened == 1:
        return None  # match (x), case (…), type (…)
    end = tokens[opened].at
    return Call(where.line[tokens[begin].at : end].strip(), end, _arguments(where.line, tokens[opened + 1 :], end + 1))


def _arguments(line: str, tokens: tuple[Token, ...], start: int) -> tuple[Argument, ...]:
    found: list[Argument] = []
    inner: list[Token] = []
    depth = 0
    for token in tokens:
        if token.kind == "mark" and len(token.text) == 1:
            depth += (token.text in "([{") - (token.text in ")]}")
        if depth == 0 and token.text == "," and not _is_lambda(inner):
            found.append(_argument(line[start : token.at], inner))
            inner, start = [], token.at + 1
        else:
            inner.append(token)
    return (*found, _argument(line[start:], inner))


def _is_lambda(tokens: list[Token]) -> bool:
    """Whether the tokens end among a lambda's parameters."""
    depth = waiting = 0
    for token in tokens:
        depth += (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}"))
        if depth == 0:
            waiting += (token.text == "lambda") - (token.text == ":" and waiting > 0)
    return waiting > 0


def _argument(text: str, tokens: list[Token]) -> Argument:
    if tokens and tokens[0].text in ("*", "**"):
        return Argument(text, stars=len(tokens[0].text))
    if len(tokens) > 1 and tokens[0].kind == "name" and tokens[1].text == "=":
        return Argument(text, name=tokens[0].text)
    return Argument(text)
