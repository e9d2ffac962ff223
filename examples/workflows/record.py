"""Write the cassettes of these workflows anew: answers that people wrote, by a piece of the prompt, replayed as if a model gave them.

python examples/workflows/record.py                 (all; or the names of some)

A cassette says of itself that it was scripted; ``--model openai:gpt-5-mini`` runs any of the workflows on a model instead.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path
from typing import Any

from rookery import start
from rookery.models.recorded import RecordedModel
from rookery.testing import ScriptedModel
from rookery.workflows import load

HERE = Path(__file__).parent


def script_of(folder: Path) -> Any:
    """What ``script.py`` beside a workflow holds: ``ANSWERS``, ``INPUTS``, ``SAYS`` to questions, and ``tools``."""
    spec = importlib.util.spec_from_file_location(f"script_of_{folder.name}", folder / "script.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def record(folder: Path) -> Any:
    """Run a workflow on its script, and keep the answers beside it. Gives the run's value."""
    script = script_of(folder)
    model = RecordedModel(folder / "answers.jsonl", inner=ScriptedModel(script.ANSWERS), mode="record")
    flow = load(folder / f"{folder.name}.yaml", tools=script.tools(model) if hasattr(script, "tools") else ())
    async with start(flow, inputs=getattr(script, "INPUTS", {}), model=model, models={"default": model}) as run:
        while await run.until_waiting():
            for call in list(run.view.questions):
                run.answer(call, getattr(script, "SAYS", {})[call])
            await asyncio.sleep(0)
        return await run


def main(names: list[str]) -> None:
    """Record some of the workflows, or all that have a script."""
    for folder in sorted(path.parent for path in HERE.glob("*/script.py")):
        if not names or folder.name in names:
            print(f"{folder.name}: {asyncio.run(record(folder))!s:.300}")


if __name__ == "__main__":
    main(sys.argv[1:])
