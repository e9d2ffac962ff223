"""Decoding: rules about what a model may write next, and decoders that work on its tokens."""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rookery.decoding.arity import arity
    from rookery.decoding.automaton import Automaton
    from rookery.decoding.beam import diverse_beam
    from rookery.decoding.best import best_of_n
    from rookery.decoding.contrast import contrast
    from rookery.decoding.desk import Desk
    from rookery.decoding.enum_members import enum_members
    from rookery.decoding.imports import imports
    from rookery.decoding.instantiation import instantiation
    from rookery.decoding.jedi_analyser import Jedi
    from rookery.decoding.ladder import Guarded, check
    from rookery.decoding.language_server import LanguageServer
    from rookery.decoding.level import Level, Tally, Task
    from rookery.decoding.members import members
    from rookery.decoding.monitor import Analyser, Constraint, Cursor, Facts, Monitor, Query, Rule, Site
    from rookery.decoding.rules import (
        choice,
        citations,
        file_paths,
        grammar,
        ids,
        json_schema,
        named,
        regex,
        rule_of,
        tool_names,
        units,
    )
    from rookery.decoding.switching import switching
    from rookery.decoding.typestate import typestate

__all__ = [
    "Analyser",
    "Automaton",
    "Constraint",
    "Cursor",
    "Desk",
    "Facts",
    "Guarded",
    "Jedi",
    "LanguageServer",
    "Level",
    "Monitor",
    "Query",
    "Rule",
    "Site",
    "Tally",
    "Task",
    "arity",
    "best_of_n",
    "check",
    "choice",
    "citations",
    "contrast",
    "diverse_beam",
    "enum_members",
    "file_paths",
    "grammar",
    "ids",
    "imports",
    "instantiation",
    "json_schema",
    "members",
    "named",
    "regex",
    "rule_of",
    "switching",
    "tool_names",
    "typestate",
    "units",
]

_AT_FIRST_USE = (
    dict.fromkeys(("Analyser", "Constraint", "Cursor", "Facts", "Monitor", "Query", "Rule", "Site"), "monitor")
    | dict.fromkeys(("Level", "Tally", "Task"), "level")
    | dict.fromkeys(("Guarded", "check"), "ladder")
    | dict.fromkeys(("choice", "citations", "file_paths", "grammar", "ids", "json_schema", "named", "regex", "rule_of"), "rules")
    | dict.fromkeys(("tool_names", "units"), "rules")
    | {name: name for name in ("arity", "contrast", "enum_members", "imports", "instantiation", "members", "switching", "typestate")}
    | {"Automaton": "automaton", "Jedi": "jedi_analyser", "LanguageServer": "language_server"}
    | {"Desk": "desk", "best_of_n": "best", "diverse_beam": "beam"}
)
"""By name: its module. A program without rules loads none of them: it only reads values out of text."""


class _Package(ModuleType):
    """Functions and the modules that they live in share names; the function is what a name stands for."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _AT_FIRST_USE and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    module = _AT_FIRST_USE.get(name)
    if module is None:
        raise AttributeError(f"module 'rookery.decoding' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"rookery.decoding.{module}"), name)
    return value
