"""rookery: programs whose steps are filled in by language models, as typed graphs that are checked, durable and fast."""

from rookery.core.flow import ask, loop, when
from rookery.core.function import Prompt, Tool, graph, prompt, tool
from rookery.core.graph import Graph, Variable
from rookery.core.label import Label
from rookery.core.limit import Limit
from rookery.core.policy import Attempts, Policy, all_or_fail, keep_ok, none_for_failed
from rookery.engine.cache import ResultCache
from rookery.engine.door import fork, resume, run, show, start
from rookery.engine.log import MemoryLog
from rookery.engine.run import Run
from rookery.engine.sqlite import SQLiteLog
from rookery.errors import GraphInvalid, RookeryError

__version__ = "0.1.0"
__all__ = [
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
    "Tool",
    "Variable",
    "all_or_fail",
    "ask",
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
