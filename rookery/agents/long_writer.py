"""Long texts: a plan with a length for each section, then section by section, each knowing the plan and what stands before it.

AgentWrite (LongWriter, arXiv 2408.07055, section 3): a model asked for a long text in one go stops early; asked for it in parts it does not.
"""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from rookery.core.function import Prompt, graph, prompt
from rookery.core.graph import Graph


class SectionPlan(BaseModel):
    """What one section is to hold."""

    heading: str
    points: str = Field(description="its main points, in a sentence or two")
    words: int = Field(ge=1, le=5_000, description="how long it is to be")


class LongText(BaseModel):
    """A text in sections."""

    plan: list[SectionPlan]
    sections: list[str]

    @property
    def words(self) -> int:
        """How many words all sections have."""
        return sum(len(section.split()) for section in self.sections)

    def __str__(self) -> str:
        return "\n\n".join(f"## {plan.heading}\n\n{text}" for plan, text in zip(self.plan, self.sections, strict=True))


@prompt
def plan_sections(task: str, words: int) -> list[SectionPlan]:
    """Plan this text of about {words} words. Divide it into sections of 200 to 1000 words; for each give a heading, its main points and its length,
    so that the lengths add up.

    {task}
    """


@prompt(form="text")
def write_section(task: str, plan: list[SectionPlan], so_far: str, section: SectionPlan) -> str:
    """You write one section of a longer text. Write this section only, without its heading, in about the length that the plan gives it; do not
    repeat what stands before, and do not conclude the text unless it is the last section.

    The task: {task}

    The plan: {plan}

    What stands before: {so_far}

    The section: {section}
    """


def long_writer(*, before_chars: int = 12_000, roles: Mapping[str, Prompt[..., Any]] | None = None) -> Graph:
    """A graph from a task and a number of words to a ``LongText``.

    Sections are written one after another, each with the last ``before_chars`` characters of what stands before it (AgentWrite passes all of it;
    the end is what a section has to join, and the plan says the rest). ``roles`` are other prompts for ``plan_sections`` and ``write_section``.
    """
    made = {each.name: each for each in (plan_sections, write_section)} | dict(roles or {})

    @graph
    async def long_writer(task: str, words: int = 2_000) -> LongText:
        """Write a long text."""
        plan = await made["plan_sections"](task=task, words=words)
        sections: list[str] = []
        for section in plan:
            before = "\n\n".join(sections)[-before_chars:] if before_chars else ""
            sections.append(str(await made["write_section"](task=task, plan=plan, so_far=before, section=section)).strip())
        return LongText(plan=plan, sections=sections)

    return long_writer
