"""The tool ``ask_person``: a model asks the person who watches the run; only what depends on the answer waits."""

from __future__ import annotations

from rookery.core.flow import ask
from rookery.core.function import tool
from rookery.core.tape import is_live
from rookery.errors import ToolRefused

MAX_QUESTION = 2_000


@tool
async def ask_person(question: str) -> str:
    """Ask the person you work for, when only they can know or decide; the answer is text."""
    if not is_live():
        raise ToolRefused("nobody can be asked outside of a run", tool="ask_person", hint="call it in a run")
    answer: str = await ask(str, question[:MAX_QUESTION])
    return answer
