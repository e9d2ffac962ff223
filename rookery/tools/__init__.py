"""Tools: a library of them, sandboxes to run them in, doors to those of others, and a few built in; each is loaded at its first use."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rookery.tools.approval import Allow, allow, allow_all, allow_if, allow_none, gated
    from rookery.tools.calculator import calculate
    from rookery.tools.files import file_tools
    from rookery.tools.growth import grow
    from rookery.tools.intake import Intake
    from rookery.tools.ladder import best_sandbox, run_python
    from rookery.tools.library import ToolLibrary
    from rookery.tools.mcp import McpServer
    from rookery.tools.openapi import openapi_tools
    from rookery.tools.package import package_tools
    from rookery.tools.person import ask_person
    from rookery.tools.problem import Problem
    from rookery.tools.python import python_tool
    from rookery.tools.record import Example, ToolRecord
    from rookery.tools.sandbox import Outcome, Program, Sandbox, SandboxLimit
    from rookery.tools.serve import ToolServer
    from rookery.tools.source import from_source
    from rookery.tools.use import Calls, choose
    from rookery.tools.web import web_tool

__all__ = [
    "Allow",
    "Calls",
    "Example",
    "Intake",
    "McpServer",
    "Outcome",
    "Problem",
    "Program",
    "Sandbox",
    "SandboxLimit",
    "ToolLibrary",
    "ToolRecord",
    "ToolServer",
    "allow",
    "allow_all",
    "allow_if",
    "allow_none",
    "ask_person",
    "best_sandbox",
    "calculate",
    "choose",
    "file_tools",
    "from_source",
    "gated",
    "grow",
    "openapi_tools",
    "package_tools",
    "python_tool",
    "run_python",
    "web_tool",
]

_AT_FIRST_USE = {
    "approval": ("Allow", "allow", "allow_all", "allow_if", "allow_none", "gated"),
    "calculator": ("calculate",),
    "files": ("file_tools",),
    "growth": ("grow",),
    "intake": ("Intake",),
    "ladder": ("best_sandbox", "run_python"),
    "library": ("ToolLibrary",),
    "mcp": ("McpServer",),
    "openapi": ("openapi_tools",),
    "package": ("package_tools",),
    "person": ("ask_person",),
    "problem": ("Problem",),
    "python": ("python_tool",),
    "record": ("Example", "ToolRecord"),
    "sandbox": ("Outcome", "Program", "Sandbox", "SandboxLimit"),
    "serve": ("ToolServer",),
    "source": ("from_source",),
    "use": ("Calls", "choose"),
    "web": ("web_tool",),
}


def __getattr__(name: str) -> Any:
    module = next((module for module, names in _AT_FIRST_USE.items() if name in names), None)
    if module is None:
        raise AttributeError(f"module 'rookery.tools' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"rookery.tools.{module}"), name)
    return value
