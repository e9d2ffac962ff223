"""The rules that come with rookery: what ``decode=`` takes, by name in Python and in YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from os import PathLike, fspath
from typing import Any, Final, Literal

from rookery.core.template import as_text
from rookery.core.types import schema as schema_of
from rookery.decoding import constraint
from rookery.decoding.constraint import Names
from rookery.decoding.listed import Listed, ToolNames, Whole
from rookery.decoding.lookup import Folder, Lookup
from rookery.decoding.monitor import PENALTY_NATS, Rule, Site
from rookery.errors import RuleWrong
from rookery.models.model import Request, ToolOffer

PATH_AFTER: Final = (
    r"""(?:["'](?:path|file|file_path|filename|file_name)["']\s*:\s*|\b(?:path|file|file_path|filename)\s*=\s*|\bopen\(\s*|\bPath\(\s*)(?P<quote>["'])$"""
)
CITATION_AFTER: Final = r"(?:\[@|;\s?@|\\cite[a-z]*\{|\\cite[a-z]*\{[^}]*,)$"
UNITS: Final = ("m", "km", "cm", "mm", "µm", "nm", "kg", "g", "mg", "t", "s", "ms", "µs", "ns", "min", "h", "d", "A", "mA", "K", "°C", "mol", "cd",
                "Hz", "kHz", "MHz", "GHz", "N", "Pa", "kPa", "bar", "J", "kJ", "kWh", "W", "kW", "MW", "V", "mV", "Ω", "F", "T", "l", "ml", "%", "B",
                "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "bit", "rad", "°", "m²", "m³", "m/s", "km/h", "m/s²", "USD", "EUR")


def regex(pattern: str) -> Rule:
    """The reply matches a regular expression from its first character to its last.

    :raises RuleWrong: the pattern can't be read, or has what Python's ``re`` and Rust's ``regex`` do not share: look-around, back-references.
    """
    return Rule(Whole(constraint.regular(pattern)), name="regex")


def choice(*texts: str) -> Rule:
    """The reply is one of these texts.

    :raises RuleWrong: there are none, or one is empty.
    """
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise RuleWrong("choice takes at least one text, and none of them empty", rule="choice", hint='choice("yes", "no")')
    return Rule(Whole(Names(tuple(texts), "")), name="choice")


def json_schema(type_: Any) -> Rule:
    """The reply is JSON of a type (a pydantic model, a dataclass, ``list[int]`` …) or of a JSON Schema given as a mapping; fields in order.

    :raises RuleWrong: it has no schema, or one with what can't be held to.
    """
    wanted = type_ if isinstance(type_, Mapping) else schema_of(type_)
    return Rule(Whole(constraint.schema(wanted)), name="json_schema")


def grammar(lark: str) -> Rule:
    """The reply is a text of a grammar in Lark's notation, whose rule ``start`` is the whole.

    :raises RuleWrong: it can't be read.
    """
    return Rule(Whole(constraint.lark(lark)), name="grammar")


def tool_names(tools: Sequence[Any] | Callable[[], Iterable[str]] = ()) -> Rule:
    """Calls of tools written as JSON name tools that exist; and arguments, and values of enums, that these have.

    :param tools: tools, or what models are offered (``ToolOffer``); a function that gives the names of those there are now; nothing: those
        that the request offers.
    """
    if callable(tools):
        return Rule(ToolNames(kind="tools"), Lookup(tools), name="tool_names")
    return Rule(ToolNames(tuple(_offer(tool) for tool in tools)), name="tool_names")


def file_paths(root: str | PathLike[str] = ".", *, suffixes: Sequence[str] = (), after: str = PATH_AFTER) -> Rule:
    """Paths of files are those that exist below ``root``, written relative to it: values of ``"path":``, ``"file":``, and in ``open("…``.

    :param suffixes: only these: ``(".py",)``.
    :param after: a regular expression for the text before a path; its group ``quote`` says what ends the path.
    """
    return Rule(Listed(_pattern(after), "\"'`( ", kind="files", ends="\"'`) \n"), Folder(fspath(root), tuple(suffixes)), name="file_paths")


def citations(keys: Iterable[str] | Callable[[], Iterable[str]], *, after: str = CITATION_AFTER) -> Rule:
    """Keys of citations are known ones: after ``[@``, ``; @`` and in LaTeX's citing commands."""
    return _known(keys, after=after, triggers="@{,", ends="]};, ", name="citations", form="spaced")


def ids(table: Sequence[object] | Callable[[], Iterable[object]], *, field: str = "id") -> Rule:
    """Ids are those of a table: values of a JSON field, numbers with or without quotes.

    :param table: the ids, or a function that gives those there are now.
    """
    return _known(table, after=rf'"{re.escape(field)}"\s*:$', triggers=":", ends=",} \n]", name="ids", form="json")


def units(known: Iterable[str] = UNITS, *, field: str = "unit", in_prose: bool = False) -> Rule:
    """Units are known ones: values of a JSON field, and (``in_prose``) what follows a number and a space."""
    quoted = re.escape(field)
    rule = _known(tuple(known), after=rf'"{quoted}s?"\s*:\s*"$', triggers='"', ends='"', name="units")
    return rule & _known(tuple(known), after=r"\d $", triggers=" ", ends=" .,;:)\n", name="units") if in_prose else rule


def _known(names: Iterable[object] | Callable[[], Iterable[object]], *, after: str, triggers: str, ends: str, name: str,
           form: Literal["plain", "spaced", "json"] = "plain") -> Rule:
    if callable(names):
        return Rule(Listed(_pattern(after), triggers, kind=name, ends=ends, form=form), Lookup(names), name=name)
    listed = tuple(str(entry) for entry in names)
    if not listed:
        raise RuleWrong(f"{name} was given nothing to choose from", rule=name, hint="give the names, or a function that looks them up")
    return Rule(Listed(_pattern(after), triggers, listed, ends=ends, form=form), name=name)


def _pattern(after: str) -> str:
    try:
        re.compile(after)
    except re.error as error:
        raise RuleWrong(f"after={after!r:.80} can't be read: {error}") from error
    return after


def _offer(tool: Any) -> tuple[str, str]:
    """A tool's name, and its arguments' schema as JSON text."""
    if isinstance(tool, ToolOffer):
        return tool.name, json.dumps(dict(tool.arguments))
    params = getattr(tool, "params", None)
    if params is None:
        raise RuleWrong(f"{tool!r:.60} is no tool", rule="tool_names", hint="give functions decorated with @tool, or ToolOffers")
    properties = {name: schema_of(param.type) for name, param in params.items()}
    return tool.name, json.dumps({"type": "object", "properties": properties})


RULES: Final[Mapping[str, tuple[str, str]]] = {
    "regex": ("rookery.decoding.rules", "regex"),
    "choice": ("rookery.decoding.rules", "choice"),
    "json_schema": ("rookery.decoding.rules", "json_schema"),
    "grammar": ("rookery.decoding.rules", "grammar"),
    "tool_names": ("rookery.decoding.rules", "tool_names"),
    "file_paths": ("rookery.decoding.rules", "file_paths"),
    "citations": ("rookery.decoding.rules", "citations"),
    "ids": ("rookery.decoding.rules", "ids"),
    "units": ("rookery.decoding.rules", "units"),
    "members": ("rookery.decoding.members", "members"),
    "python_members": ("rookery.decoding.members", "members"),
    "python_imports": ("rookery.decoding.imports", "imports"),
    "python_arity": ("rookery.decoding.arity", "arity"),
    "python_instantiation": ("rookery.decoding.instantiation", "instantiation"),
    "python_enum_members": ("rookery.decoding.enum_members", "enum_members"),
    "typestate": ("rookery.decoding.typestate", "typestate"),
}
"""By name: the module and the function that makes the rule."""
MODES: Final = ("hard", "soft", "off")


def named(name: str, *arguments: Any, **options: Any) -> Rule:
    """A rule by its name, as YAML writes it.

    :raises RuleWrong: there is none of this name, or it does not take these options.
    """
    if name not in RULES:
        from difflib import get_close_matches

        near = get_close_matches(name, RULES, 1)
        raise RuleWrong(f"there is no monitor {name!r}", rule=name,
                        hint=f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(RULES))}")
    module, function = RULES[name]
    try:
        rule = getattr(import_module(module), function)(*arguments, **options)
    except TypeError as error:
        raise RuleWrong(f"monitor {name}: {error}", rule=name, hint="give its options: {" + name + ": {…}}") from error
    assert isinstance(rule, Rule)
    return replace(rule, name=rule.name or name)


def rule_of(data: Any) -> Rule:
    """A rule as YAML has it: a name, a list of names, or a mapping ``{monitors: […], mode: soft, nats: 4, budget_s: 0.1, level: 1}``.

    Each monitor is a name, or a mapping from its name to its options: ``{python_members: {project: ./src}}``; all of them must hold.

    :raises RuleWrong: anything in it is not known or out of its range.
    """
    if isinstance(data, Rule):
        return data
    if isinstance(data, str | list | tuple):
        data = {"monitors": [data] if isinstance(data, str) else list(data)}
    if not isinstance(data, Mapping):
        raise RuleWrong(f"decode= takes a rule, a name or a mapping, not {data!r:.60}", hint="decode=regex(r\"\\d+\"), or decode=\"python_members\"")
    unknown = sorted(set(data) - {"monitors", "mode", "nats", "budget_s", "level", "optimistic"})
    if unknown or not data.get("monitors"):
        what = f"decode has no field {unknown[0]!r}" if unknown else "decode names no monitors"
        raise RuleWrong(what, hint="fields are monitors, mode, nats, budget_s, level, optimistic")
    rule: Rule | None = None
    for entry in data["monitors"]:
        name, options = next(iter(entry.items())) if isinstance(entry, Mapping) and len(entry) == 1 else (entry, {})
        if not isinstance(name, str):
            raise RuleWrong(f"a monitor is a name or {{name: options}}, not {entry!r:.60}")
        one = named(name, **options) if isinstance(options, Mapping) else named(name, options)
        rule = one if rule is None else rule & one
    assert rule is not None
    return _moded(rule, data)


def _moded(rule: Rule, data: Mapping[str, Any]) -> Rule:
    mode, level, budget_s = data.get("mode", "hard"), data.get("level"), data.get("budget_s")
    if mode not in MODES:
        raise RuleWrong(f"mode is {mode!r}", hint=f"one of {', '.join(MODES)}")
    if level not in (None, 1, 2, 3, 4):
        raise RuleWrong(f"level is {level!r}", hint="1 mask, 2 grammar on the server, 3 stop and force, 4 validate and repair; or leave it out")
    if mode == "soft":
        rule = rule.soft(float(data.get("nats", PENALTY_NATS)))
    elif mode == "off":
        rule = rule.off()
    if budget_s is not None:
        rule = rule.within(float(budget_s))
    if data.get("optimistic"):
        rule = rule.optimistic()
    return rule.at_level(level) if level is not None else rule


def bound(rule: Rule, arguments: Mapping[str, Any], request: Request) -> Rule:
    """The rule for one call: holes of its sites filled with the call's arguments, tools that it does not name taken from the request."""
    if rule.parts:
        return replace(rule, parts=tuple(bound(part, arguments, request) for part in rule.parts))
    monitor = rule.monitor
    if isinstance(monitor, ToolNames) and not monitor.tools and not monitor.kind and request.tools:
        monitor = replace(monitor, tools=tuple(map(_offer, request.tools)))
    site = rule.site
    if any("{" in text for text in (site.path, site.before, site.after)):
        site = Site(*(_filled(text, arguments) for text in (site.path, site.before, site.after)))
    return replace(rule, monitor=monitor, site=site)


def _filled(text: str, arguments: Mapping[str, Any]) -> str:
    """A text whose holes that name an argument are filled; other braces stay."""
    return re.sub(r"\{([A-Za-z_]\w*)\}", lambda hole: as_text(arguments[hole[1]]) if hole[1] in arguments else hole[0], text)
