"""rookery: programs whose steps are filled in by language models, as typed graphs that are checked, durable and fast."""

from typing import TYPE_CHECKING, Any

from rookery.core.flow import ask, loop, when
from rookery.core.function import Prompt, Tool, graph, prompt, tool
from rookery.core.graph import Graph
from rookery.core.label import Label
from rookery.core.limit import Limit
from rookery.core.passage import clear, clear_if, declassify, endorse
from rookery.core.policy import Attempts, Policy, all_or_fail, keep_ok, none_for_failed
from rookery.core.variable import Variable
from rookery.errors import GraphInvalid, RookeryError

if TYPE_CHECKING:
    from rookery.agents.agent import Agent
    from rookery.agents.team import Team
    from rookery.engine.cache import ResultCache
    from rookery.engine.door import fork, resume, run, show, start
    from rookery.engine.log import MemoryLog
    from rookery.engine.run import Run
    from rookery.engine.sqlite import SQLiteLog

__version__ = "0.1.0"
__all__ = [
    "Agent",
    "Attempts",
    "Graph",
    "GraphInvalid",
    "Label",
    "Limit",
    "MemoryLog",
    "Policy",
    "Prompt",
    "ResultCache",
    "RookeryError",
    "Run",
    "SQLiteLog",
    "Team",
    "Tool",
    "Variable",
    "all_or_fail",
    "ask",
    "clear",
    "clear_if",
    "declassify",
    "endorse",
    "fork",
    "graph",
    "keep_ok",
    "loop",
    "none_for_failed",
    "prompt",
    "resume",
    "run",
    "show",
    "start",
    "tool",
    "when",
]

_AT_FIRST_USE = {
    "Agent": "rookery.agents.agent",
    "MemoryLog": "rookery.engine.log",
    "ResultCache": "rookery.engine.cache",
    "Run": "rookery.engine.run",
    "SQLiteLog": "rookery.engine.sqlite",
    "Team": "rookery.agents.team",
    "fork": "rookery.engine.door",
    "resume": "rookery.engine.door",
    "run": "rookery.engine.door",
    "show": "rookery.engine.door",
    "start": "rookery.engine.door",
}
"""The engine is loaded by those who run something; to describe a program or to check it, nobody needs it."""


def __getattr__(name: str) -> Any:
    module = _AT_FIRST_USE.get(name)
    if module is None:
        raise AttributeError(f"module 'rookery' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(module), name)
    return value
