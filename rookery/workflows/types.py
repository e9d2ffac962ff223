"""Types as text, both ways: ``list[Section] | None`` to the type and back; and a workflow's own types as classes and back."""

from __future__ import annotations

import ast
import enum
import types as python_types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from rookery.core.graph import MISSING
from rookery.core.types import strip

PLAIN: dict[str, Any] = {
    "str": str, "int": int, "float": float, "bool": bool, "bytes": bytes, "None": type(None), "null": type(None),
    "Any": Any, "list": list, "dict": dict,
    "tuple": tuple, "set": set, "frozenset": frozenset,
}  # fmt: skip
"""Types that need no import."""
IMPORTED = {
    "date": "datetime",
    "datetime": "datetime",
    "time": "datetime",
    "timedelta": "datetime",
    "Decimal": "decimal",
    "UUID": "uuid",
    "Path": "pathlib",
}
"""Types of the standard library that may be named, and their modules."""
OTHERS = {
    "string": "str", "text": "str", "integer": "int", "number": "float",
    "boolean": "bool", "array": "list", "object": "dict", "List": "list", "Dict": "dict",
    "Optional": "… | None",
}  # fmt: skip
"""What people of other languages write, and what it is here."""
MAX_TEXT = 2_000


class NoType(Exception):
    """A text that is no type; ``start`` and ``length`` say which piece of it."""

    def __init__(self, message: str, *, name: str = "", start: int = 0, length: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.name = name
        """The name that is not known, if that is it."""
        self.start = start
        self.length = length


def read_type(text: str, known: Mapping[str, Any]) -> Any:
    """The type that a text names: of PLAIN, IMPORTED and ``known``. Nothing is evaluated. Raises NoType."""
    found = PLAIN.get(text)
    if found is not None:
        return found
    if len(text) > MAX_TEXT:
        raise NoType(f"this is longer than a type ({MAX_TEXT:,} characters)")
    lead = len(text) - len(text.lstrip())
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        return _type(tree, known, lead)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        offset = getattr(error, "offset", None)
        start = min(max(0, (offset or 1) - 1 + lead), max(0, len(text) - 1))
        raise NoType("this is no type", start=start, length=1) from None


def _type(node: ast.expr, known: Mapping[str, Any], lead: int) -> Any:
    if isinstance(node, ast.Constant):
        if node.value is None:
            return type(None)
        if isinstance(node.value, str):
            return read_type(node.value, known)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return Union[_type(node.left, known, lead), _type(node.right, known, lead)]  # noqa: UP007
    if isinstance(node, ast.Name):
        return _named(node, known, lead)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        return _subscript(node, node.value.id, known, lead)
    raise _wrong("this is no type", node, lead)


def _named(node: ast.Name, known: Mapping[str, Any], lead: int) -> Any:
    name = node.id
    if name in known:
        return known[name]
    if name in PLAIN:
        return PLAIN[name]
    if name in IMPORTED:
        from importlib import import_module

        return getattr(import_module(IMPORTED[name]), name)
    raise _wrong(f"there is no type {name}", node, lead, name=name)


def _wrong(message: str, node: ast.expr, lead: int, *, name: str = "") -> NoType:
    return NoType(message, name=name, start=node.col_offset + lead, length=(node.end_col_offset or node.col_offset + 1) - node.col_offset)


def _subscript(node: ast.Subscript, name: str, known: Mapping[str, Any], lead: int) -> Any:
    parts = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name == "Literal":
        values = [_literal(part, lead) for part in parts]
        return Literal[tuple(values)]
    if name == "Optional" and len(parts) == 1:
        return Union[_type(parts[0], known, lead), None]  # noqa: UP007
    if name == "tuple":
        is_open = len(parts) == 2 and isinstance(parts[1], ast.Constant) and parts[1].value is ...
        inner = [_type(part, known, lead) for part in (parts[:1] if is_open else parts)]
        return tuple.__class_getitem__((inner[0], ...)) if is_open else tuple.__class_getitem__(tuple(inner))
    wanted = {"list": 1, "set": 1, "frozenset": 1, "dict": 2}.get(name)
    if wanted is None:
        if name in known or name in PLAIN or name in IMPORTED:
            raise _wrong(f"{name} takes no […]", node, lead)
        raise _wrong(f"there is no type {name}", node.value, lead, name=name)
    if len(parts) != wanted:
        raise _wrong(f"{name}[…] takes {wanted} type{'s' if wanted > 1 else ''}, not {len(parts)}", node, lead)
    inner = [_type(part, known, lead) for part in parts]
    return PLAIN[name].__class_getitem__(tuple(inner) if len(inner) > 1 else inner[0])


def _literal(node: ast.expr, lead: int) -> Any:
    negative = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
    inner = node.operand if isinstance(node, ast.UnaryOp) and negative else node
    if isinstance(inner, ast.Constant) and isinstance(inner.value, str | int | bool | type(None)) and (not negative or isinstance(inner.value, int)):
        return -inner.value if negative else inner.value  # type: ignore[operator]
    raise _wrong("Literal[…] takes texts and whole numbers", node, lead)


# ------------------------------------------------------------------ back to text


class NotInYaml(Exception):
    """A type, or a part of one, that a workflow file can't say."""


def write_type(type_: Any, name_class: Callable[[type], str]) -> str:
    """A type as text; ``name_class`` gives the name of a class of one's own. Raises NotInYaml."""
    if type_ is None or type_ is type(None):
        return "None"
    if type_ is Any or type_ is object:
        return "Any"
    origin, args = get_origin(type_), get_args(type_)
    if origin is Annotated:
        return write_type(args[0], name_class)
    if origin is Literal:
        if not all(isinstance(one, str | int | bool | type(None)) and not isinstance(one, enum.Enum) for one in args):
            raise NotInYaml("a Literal of enumeration members or bytes")
        return f"Literal[{', '.join(map(repr, args))}]"
    if origin is Union or origin is python_types.UnionType:
        return " | ".join(write_type(one, name_class) for one in args)
    if origin in (list, set, frozenset, dict, tuple):
        inner = ["..." if one is Ellipsis else write_type(one, name_class) for one in args]
        return f"{getattr(origin, '__name__', origin)}[{', '.join(inner)}]"
    if isinstance(type_, type) and origin is None:
        name: str = type_.__name__
        is_known = PLAIN.get(name) is type_ or IMPORTED.get(name) == type_.__module__
        return name if is_known else name_class(type_)
    if isinstance(type_, typing.ForwardRef):
        return type_.__forward_arg__
    bare = strip(type_)
    if bare is not type_:
        return write_type(bare, name_class)
    raise NotInYaml(f"the type {type_!r:.80}")


# ------------------------------------------------------------------ types of one's own


def made_class(name: str, hints: Mapping[str, tuple[Any, Any, Mapping[str, Any]]], doc: str = "") -> type:
    """A class with fields: from name to type, default (or MISSING), and pydantic's bounds and description."""
    from pydantic import Field, create_model

    made: dict[str, Any] = {}
    for field, (type_, default, bounds) in hints.items():
        known = {key: value for key, value in bounds.items() if value is not None and value != ""}
        made[field] = (type_, Field(**known) if default is MISSING else Field(default, **known))
    made_type: type = create_model(name, __doc__=doc or None, __module__="rookery_workflow", **made)
    return made_type


BOUNDS = ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern", "description")


def fields_of(class_: type) -> tuple[dict[str, tuple[Any, Any, dict[str, Any]]], str]:
    """The fields of a pydantic model, a dataclass or a TypedDict, with defaults and bounds, and its docstring.

    Raises NotInYaml for what a workflow file can't say: validators, aliases, default factories, bases with behaviour.
    """
    if hasattr(class_, "__pydantic_fields__") or hasattr(class_, "model_fields"):
        return _model_fields(class_)
    if is_dataclass(class_):
        return _dataclass_fields(class_)
    raise NotInYaml(f"the class {class_.__name__}, which is no pydantic model and no dataclass")


def _model_fields(class_: Any) -> tuple[dict[str, tuple[Any, Any, dict[str, Any]]], str]:
    decorators = class_.__pydantic_decorators__
    for kind in (
        "validators",
        "field_validators",
        "root_validators",
        "field_serializers",
        "model_serializers",
        "model_validators",
        "computed_fields",
    ):
        if getattr(decorators, kind, None):
            raise NotInYaml(f"{class_.__name__}'s {kind.replace('_', ' ')} ({', '.join(getattr(decorators, kind))})")
    found: dict[str, tuple[Any, Any, dict[str, Any]]] = {}
    for name, info in class_.__pydantic_fields__.items():
        if info.alias or info.validation_alias or info.serialization_alias:
            raise NotInYaml(f"the alias of {class_.__name__}.{name}")
        if info.default_factory is not None:
            raise NotInYaml(f"the default factory of {class_.__name__}.{name}")
        bounds: dict[str, Any] = {"description": info.description} if info.description else {}
        for item in info.metadata:
            known = {key: getattr(item, key) for key in BOUNDS if getattr(item, key, None) is not None}
            if not known:
                raise NotInYaml(f"{item!r:.60} on {class_.__name__}.{name}")
            bounds |= known
        found[name] = (info.annotation, MISSING if info.is_required() else info.default, bounds)
    return found, _own_doc(class_)


def _dataclass_fields(class_: Any) -> tuple[dict[str, tuple[Any, Any, dict[str, Any]]], str]:
    hints = get_type_hints(class_, include_extras=True)
    found: dict[str, tuple[Any, Any, dict[str, Any]]] = {}
    for field in fields(class_):
        if field.default_factory is not NO_DEFAULT:
            raise NotInYaml(f"the default factory of {class_.__name__}.{field.name}")
        found[field.name] = (hints[field.name], MISSING if field.default is NO_DEFAULT else field.default, {})
    return found, ""


def _own_doc(class_: Any) -> str:
    import inspect

    return inspect.cleandoc(class_.__doc__) if class_.__doc__ and "__doc__" in vars(class_) else ""


def described(class_: type) -> Any:
    """What the fields of a class say; two classes of which this is equal can stand for one another."""
    try:
        found, _ = fields_of(class_)
        named = {name: (write_type(type_, lambda inner: inner.__name__), default, bounds) for name, (type_, default, bounds) in found.items()}
    except NotInYaml:
        return class_
    return named


def classes_in(type_: Any, found: dict[str, type]) -> None:
    """Collect the classes with fields that a type names, by their names."""
    for inner in get_args(type_):
        if not isinstance(inner, list):
            classes_in(inner, found)
    if isinstance(type_, type) and get_origin(type_) is None and found.get(type_.__name__) is not type_:
        if hasattr(type_, "__pydantic_fields__"):
            found[type_.__name__] = type_
            for info in type_.__pydantic_fields__.values():
                classes_in(info.annotation, found)
        elif is_dataclass(type_):
            found[type_.__name__] = type_
            for inner in get_type_hints(type_).values():
                classes_in(inner, found)
