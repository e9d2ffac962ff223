"""Growing as a tool for a workflow: problems in, what the library has learned out. Registered with ``--tools``; ``ROOKERY_GROW`` names the model that
writes the code, where it is not the cassette beside this file."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rookery import Tool, tool
from rookery.tools import Example, Problem, ToolLibrary, grow

MODEL = os.environ.get("ROOKERY_GROW") or f"recorded:{Path(__file__).parent / 'answers.jsonl'}"


@dataclass
class Grown:
    """What a growth came to."""

    admitted: list[str]
    solved: list[str]
    rejected: list[str]


def growing(model: Any) -> Tool[..., Any]:
    """The tool, growing with a model."""

    @tool(effect=True)
    async def grow_tools(problems: str, library: str) -> Grown:
        """Solve problems (JSON: name, text, cases of arguments and value) and keep what their solutions have in common as proven tools."""
        given = [
            Problem(each["name"], each["text"], tuple(Example(case["arguments"], case["value"]) for case in each["cases"]))
            for each in json.loads(problems)
        ]
        async with ToolLibrary(path=Path(library)) as kept:
            found = await grow(kept, given, model=model)
        return Grown([*found.admitted], [*found.solved], [f"{each.name or each.problem}: {each.why}" for each in found.rejected])

    return grow_tools


grow_tools = growing(MODEL)
