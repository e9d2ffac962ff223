"""Conditions in CEL over the names of inputs and calls: typed against the graph before anything runs, computed as a call of it.

CEL is the Common Expression Language (https://cel.dev): it has no loops without end and reaches nothing but what it is given. The checker and
the evaluator are those of its authors (``cel-expr-python``, the C++ implementation); here is what joins them to our types and places.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin

from rookery.core.function import Tool
from rookery.core.graph import Const, Param, Ref, Source
from rookery.core.policy import Policy
from rookery.core.shape import missing_step, step_type
from rookery.core.types import element_type, fits, name_of, strip
from rookery.errors import StepWrong
from rookery.workflows.document import Node
from rookery.workflows.fault import nearest
from rookery.workflows.read import Reader

MAX_TEXT = 4_000
_TOKEN = re.compile(
    r"""(?P<text>[rRbB]{0,2}(?:\"\"\"[\s\S]*?\"\"\"|'''[\s\S]*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))|(?P<name>[A-Za-z_]\w*)"""
    r"""|(?P<number>\d+(?:\.\d+)?(?:[eE][-+]?\d+)?[uU]?)|(?P<comment>//[^\n]*)|(?P<sign>\S)"""
)
_PATH = re.compile(r"([^\W\d]\w*)((?:\.[^\W\d]\w*|\[\d{1,9}\])*)\Z")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_ERROR = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_OVERLOAD = re.compile(r"found no matching overload for '(?:_?(\W+?)_?|([^']+))' applied to '(.*)'")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_MACROS = frozenset({"all", "exists", "exists_one", "map", "filter"})
_WORDS = frozenset(
    [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)


CelType = str | tuple[Any, ...]
"""``INT``, ``STRING`` …; of a list a tuple of its elements' type, of a map one of its keys' and its values'."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int


def _tokens(text: str) -> list[_Token]:
    return [_Token(found.lastgroup or "", found[0], found.start()) for found in _TOKEN.finditer(text) if found.lastgroup != "comment"]


def read_formula(text: str, node: Node, variables: Mapping[str, str], reader: Reader, path: str) -> Formula | None:
    """A condition with the variables that it reads; None where nothing can be read of it."""
    if len(text) > MAX_TEXT:
        reader.fault(
            node, f"the condition is longer than {MAX_TEXT:,} characters", path, hint="compute it in a tool that returns bool", kind="expression"
        )
        return None
    if not text.strip():
        reader.fault(node, "the condition is empty", path, kind="expression")
        return None
    at = next((token.start for token in _tokens(text) if token.text == "$"), -1)
    if at >= 0:
        reader.fault(
            node, "names stand without $ in a condition", path, hint=f"write {text.replace('$', ''):.80}", kind="expression", start=at, length=1
        )
        return None
    return Formula(text, node, path, variables)


class Formula:
    """A condition as it is written, and the variables it reads."""

    def __init__(self, text: str, node: Node, path: str, variables: Mapping[str, str]) -> None:
        self.text = text
        self.node = node
        self.place = path
        self.tokens = _tokens(text)
        self.scope = variables
        """All names that could be read."""
        self.names = {
            token.text: variables[token.text] for index, token in enumerate(self.tokens) if self._is_root(index) and token.text in variables
        }
        """From each name it reads to the variable."""
        self.path_match = _PATH.match(text.strip())
        if self.path_match and self.path_match[1] in variables:  # nothing but a variable, whose name may be a word of CEL
            self.names = {self.path_match[1]: variables[self.path_match[1]]}

    @property
    def variables(self) -> set[str]:
        return set(self.names.values())

    def _is_root(self, index: int) -> bool:
        """Whether a token is a name that stands for itself: no field, no function."""
        token = self.tokens[index]
        if token.kind != "name" or token.text in _WORDS or (index and self.tokens[index - 1].text == "."):
            return False
        return not (index + 1 < len(self.tokens) and self.tokens[index + 1].text == "(")

    def direct(self, types: Mapping[str, Any]) -> Source | None:
        """The variable itself, where the condition is nothing but one that is a bool, or the constant ``true`` or ``false``."""
        word = self.text.strip()
        if word in ("true", "false"):
            return Const(word == "true")
        found = self.path_match
        variable = self.names.get(found[1]) if found else None
        if found is None or variable is None:
            return None
        steps = tuple(field or int(item) for field, item in _STEP.findall(found[2]))
        type_ = types.get(variable, Any)
        for step in steps:
            type_ = step_type(type_, step)
        return Ref(variable, steps) if fits(type_, bool) else None

    def condition(self, types: Mapping[str, Any], reader: Reader, name: str) -> Condition:
        """The tool that computes it; what is wrong with it under these types is noted."""
        known = {name: types.get(variable, Any) for name, variable in self.names.items()}
        text = self.text
        if not self._has_wrong_field(known, reader):
            text = self._checked(known, reader)
        return Condition(text, known, name)

    # -------------------------------------------------------------- fields

    def _has_wrong_field(self, known: Mapping[str, Any], reader: Reader) -> bool:
        """Note fields that are not there: CEL takes records for maps, whose keys it does not know."""
        bound: dict[str, Any] = {}
        tokens = self.tokens
        is_wrong = False
        for index, token in enumerate(tokens):
            if not self._is_root(index):
                continue
            if token.text in bound:
                type_ = bound[token.text]
            elif token.text in known:
                type_ = known[token.text]
            else:
                continue
            for at, step in _steps(tokens, index):
                if tokens[at].text in _MACROS and at + 2 < len(tokens) and tokens[at + 1].text == "(":
                    element = element_type(type_)
                    bound[tokens[at + 2].text] = element if element is not None else str if get_origin(strip(type_)) is dict else Any
                    break
                if at + 1 < len(tokens) and tokens[at + 1].text == "(":  # a method
                    break
                wrong = missing_step(type_, step)
                if wrong:
                    fields = list(getattr(strip(type_), "model_fields", None) or getattr(strip(type_), "__annotations__", {}))
                    hint = nearest(str(step), fields) or f"{token.text} is {name_of(type_)}"
                    self._note(wrong, tokens[at], hint, reader)
                    is_wrong = True
                    break
                type_ = step_type(type_, step)
        return is_wrong

    def _note(self, message: str, token: _Token, hint: str, reader: Reader) -> None:
        reader.fault(self.node, message, self.place, hint=hint, kind="expression", start=token.start, length=len(token.text))

    # -------------------------------------------------------------- the checker

    def _checked(self, known: Mapping[str, Any], reader: Reader) -> str:
        """The text as the checker takes it: a whole number beside a float is written as one, as people do it."""
        text = self.text
        for _ in range(20):
            message = _complaint(text, known)
            if message is None:
                return text
            changed = _with_float(text, message)
            if changed is None:
                self._fault(message, known, reader)
                return self.text
            text = changed
        return text

    def _fault(self, message: str, known: Mapping[str, Any], reader: Reader) -> None:
        found = _ERROR.search(message)
        start = _offset(self.text, int(found[1]), int(found[2])) if found else 0
        said = found[3] if found else message.partition("\n")[0]
        missing = _UNDECLARED.search(said)
        at = next((at for at, token in enumerate(self.tokens) if token.start == start), None)
        if missing and (at is None or self.tokens[at].kind != "name"):  # the checker names the dot or the bracket, we the name before it
            at = next((at for at in range(len(self.tokens) - 1, -1, -1) if self.tokens[at].start < start and self.tokens[at].kind == "name"), None)
        token = self.tokens[at] if at is not None else None
        is_called = at is not None and at + 1 < len(self.tokens) and self.tokens[at + 1].text == "("
        words, hint, length = _in_words(said, self.scope, known, is_called=is_called)
        start = token.start if token is not None else start
        reader.fault(self.node, words, self.place, hint=hint, kind="expression", start=min(start, len(self.text)),
                     length=length or (len(token.text) if token is not None else 1))  # fmt: skip


def _steps(tokens: list[_Token], index: int) -> Iterator[tuple[int, str | int]]:
    """The fields and items that follow a name, with the places of their tokens."""
    at = index + 1
    while at + 1 < len(tokens):
        if tokens[at].text == "." and tokens[at + 1].kind == "name":
            yield at + 1, tokens[at + 1].text
            at += 2
        elif tokens[at].text == "[" and tokens[at + 1].kind == "number" and at + 2 < len(tokens) and tokens[at + 2].text == "]":
            yield at + 1, int(tokens[at + 1].text) if tokens[at + 1].text.isdigit() else 0
            at += 3
        else:
            return


def _complaint(text: str, known: Mapping[str, Any]) -> str | None:
    """What the checker says of a condition; None when it is one."""
    types = {name: _cel_type(type_) for name, type_ in known.items()}
    short, names = _canonical(text, tuple(types))
    if _program(short, tuple(types[name] for name in names)) is not None:
        return None
    try:  # again with the names that the reader knows, for the message and its place
        type_ = _environment(types).compile(text).return_type().name()
    except RuntimeError as error:
        return str(error)
    return f"ERROR: <input>:1:1: it gives {_NAMES.get(type_, type_.lower())}, and a condition is true or false"


def _canonical(text: str, names: tuple[str, ...]) -> tuple[str, list[str]]:
    """A condition with its variables called ``_v0``, ``_v1`` …, and which those are: conditions that differ in names only are compiled once."""
    formula = Formula(text, _NOWHERE, "", {name: name for name in names})
    found = list(formula.names)
    tokens = formula.tokens
    parts, at = [], 0
    for index, token in enumerate(tokens):
        if formula._is_root(index) and token.text in formula.names:
            parts += [text[at : token.start], f"_v{found.index(token.text)}"]
            at = token.start + len(token.text)
    return "".join([*parts, text[at:]]), found


_NOWHERE = Node("scalar", 0, 0, 0, 0)


@lru_cache(4096)
def _program(text: str, types: tuple[CelType, ...]) -> tuple[Any, Any] | None:
    """A condition compiled, with its environment; None for what is none."""
    environment = _shared_environment(types)
    try:
        expression = environment.compile(text)
    except RuntimeError:
        return None
    return (environment, expression) if expression.return_type().name() in ("BOOL", "DYN") else None


@lru_cache(256)
def _shared_environment(types: tuple[CelType, ...]) -> Any:
    return _environment({f"_v{index}": type_ for index, type_ in enumerate(types)})


_NAMES = {"INT": "a whole number", "DOUBLE": "a number", "STRING": "text", "LIST": "a list", "MAP": "a mapping", "NULL": "nothing"}


def _environment(types: Mapping[str, CelType]) -> Any:
    from cel_expr_python import cel

    return cel.NewEnv(variables={name: _made(type_, cel.Type) for name, type_ in types.items()})


def _made(type_: CelType, kinds: Any) -> Any:
    if isinstance(type_, str):
        return getattr(kinds, type_)
    inner = [_made(one, kinds) for one in type_]
    return kinds.List(*inner) if len(inner) == 1 else kinds.Map(*inner)


_PLAIN = {bool: "BOOL", int: "INT", float: "DOUBLE", str: "STRING", bytes: "BYTES", type(None): "NULL"}


def _cel_type(type_: Any) -> CelType:
    """A type as CEL has it; what it has no word for is checked when it is computed."""
    type_ = strip(type_)
    if type_ in _PLAIN:
        return _PLAIN[type_]
    origin, args = get_origin(type_) or type_, get_args(type_)
    if origin is Literal:
        classes = {type(one) for one in args}
        return _PLAIN.get(classes.pop(), "DYN") if len(classes) == 1 else "DYN"
    element = element_type(type_)
    if element is not None:
        return (_cel_type(element),)
    if origin is dict and len(args) == 2 and strip(args[0]) in (str, int):
        return (_PLAIN[strip(args[0])], _cel_type(args[1]))
    if isinstance(origin, type) and (hasattr(origin, "model_fields") or hasattr(origin, "__dataclass_fields__")):
        return ("STRING", "DYN")
    return "DYN"


def _offset(text: str, line: int, column: int) -> int:
    lines = text.split("\n")
    return sum(len(one) + 1 for one in lines[: line - 1]) + column - 1


def _with_float(text: str, message: str) -> str | None:
    """The condition with the whole number beside the complained-of operator as a float; None where that is not what is wrong."""
    found = _ERROR.search(message)
    if found is None or ("'(double, int)'" not in found[3] and "'(int, double)'" not in found[3]):
        return None
    at = _offset(text, int(found[1]), int(found[2]))
    tokens = _tokens(text)
    index = next((index for index, token in enumerate(tokens) if token.start == at), None)
    if index is None:
        return None
    behind = index + (2 if index + 1 < len(tokens) and tokens[index + 1].text == "=" else 1)
    behind += behind < len(tokens) and tokens[behind].text == "-"
    for place in (behind,) if "'(double, int)'" in found[3] else (index - 1,):
        token = tokens[place] if 0 <= place < len(tokens) else None
        if token is not None and token.kind == "number" and token.text.isdigit():
            return text[: token.start] + token.text + ".0" + text[token.start + len(token.text) :]
    return None


_FUNCTIONS = "functions are size, has, all, exists, startsWith, endsWith, contains, matches, int, double, string, …"


def _in_words(said: str, scope: Mapping[str, str], known: Mapping[str, Any], *, is_called: bool) -> tuple[str, str, int]:
    """What the checker says in the words of those who write conditions: the message, a hint, and how much is meant."""
    found = _UNDECLARED.search(said)
    if found and is_called:
        return f"there is no function {found[1]}", _FUNCTIONS, len(found[1])
    if found:
        name = found[1].partition(".")[0]
        hint = nearest(name, scope) or f"names are {', '.join(list(scope)[:12]) or 'none'}; {_FUNCTIONS}"
        return f"there is no input or call {name}", hint, len(name)
    found = _OVERLOAD.search(said)
    if found:
        sign, types = found[1] or found[2], found[3].strip("()")
        hint = ""
        if "double" in types and "int" in types:
            hint = "write double(…) around the whole number"
        elif "dyn" not in types:
            hint = f"compare like with like; {', '.join(f'{name} is {name_of(type_)}' for name, type_ in list(known.items())[:6])}"
        return f"{sign} does not take ({types})", hint, 0
    if "it gives" in said:
        return said, "compare it: size(x) > 2, x == 'yes'", 0
    if "Syntax error" in said:
        return (
            f"this is no condition: {said.removeprefix('Syntax error: ').partition(' expecting ')[0]}",
            "CEL, as in size(sections) > 2 && topic != ''",
            0,
        )
    return said, "", 0


# ------------------------------------------------------------------ computing it


class Condition(Tool[..., Any]):
    """A condition as a call of the graph."""

    def __init__(self, text: str, types: Mapping[str, Any], name: str) -> None:
        params = {name: Param(name, type_) for name, type_ in types.items()}
        super().__init__(self._compute, name="condition", pure=True, doc=text, signature=(params, bool), policy=Policy(inline=True))
        self.text = text
        self.types = dict(types)
        self.place = name

    def _body(self) -> Any:
        return self.text

    def _compute(self, **values: Any) -> bool:
        types = {name: _cel_type(type_) for name, type_ in self.types.items()}
        short, names = _canonical(self.text, tuple(types))
        program = _program(short, tuple(types[name] for name in names))
        if program is None:
            raise StepWrong(f"{self.text!r:.200} is no condition")
        environment, expression = program
        found = expression.eval(environment.Activation({f"_v{index}": _plain(values[name]) for index, name in enumerate(names)}))
        value = found.value()
        if not isinstance(value, bool):
            hint = "test with has(x.field) or x != null first"
            raise StepWrong(f"the condition {self.text!r:.200} is not true or false: {value!s:.200}", hint=hint)
        return value


def condition(text: str, /, **types: Any) -> Condition:
    """A condition in CEL as a tool: ``condition("size(xs) > 2", xs=list[str])``. Raises StepWrong for what is none under these types."""
    said = _complaint(text, types)
    if said is not None:
        raise StepWrong(f"{text!r:.200} is no condition: {said.partition(chr(10))[0]}")
    return Condition(text, types, "condition")


def _plain(value: Any) -> Any:
    """A value as CEL takes it: records as maps."""
    if value is None or isinstance(value, bool | int | float | bytes):
        return value
    if type(value) is str:
        return value
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value, by_alias=False, serialize_unknown=True)
