"""The first program of the README: an article of sections that are written side by side, each as soon as its title is there.

python examples/article.py                              (a script answers: it shows how the program runs, no more)
python examples/article.py --topic crows --model openai:gpt-5-mini
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys

from pydantic import BaseModel

from rookery import RookeryError, graph, prompt, start, tool
from rookery.testing import ScriptedModel
from rookery.tui.progress import watch


class Section(BaseModel):
    """One section of the article."""

    title: str
    text: str


@prompt
def titles(topic: str, n: int) -> list[str]:
    """List {n} section titles for an article about {topic}."""


@prompt
def section(title: str, topic: str) -> Section:
    """Write the section "{title}" of an article about {topic}: one short paragraph."""


@tool
def join(parts: list[Section]) -> str:
    """The sections as one text."""
    return "\n\n".join(f"{part.title}\n{'-' * len(part.title)}\n{part.text}" for part in parts)


@graph
def article(topic: str) -> str:
    """An article of five sections."""
    heads = titles(topic=topic, n=5)  # a Variable[list[str]]
    return join(parts=section.each(title=heads, topic=topic))


def scripted() -> ScriptedModel:
    """Stands in for a model: its answers are written below, nobody thought of them for your topic."""

    def answer(request: object) -> str:
        text = request.text  # type: ignore[attr-defined]
        if text.startswith("List"):
            return json.dumps(["Where they live", "What they eat", "How they nest", "What they say", "Whom they trust"])
        title = re.findall(r'section "(.*?)" of', text)[0]
        return json.dumps({"title": title, "text": "A scripted paragraph stands here; a model would write a real one."})

    return ScriptedModel(answer, delay_s=0.05)


def main() -> int:
    """Write an article on the chosen model and print it."""
    options = argparse.ArgumentParser(description="Write an article, its sections side by side.")
    options.add_argument("--topic", default="rooks")
    options.add_argument("--model", help="provider:NAME[@BASE_URL]; without it a script answers")
    chosen = options.parse_args()
    model = chosen.model or scripted()
    if not chosen.model:
        print("the answers are scripted, no model is asked; --model openai:gpt-5-mini asks one\n", file=sys.stderr)
    try:
        print(asyncio.run(watch(lambda: start(article, topic=chosen.topic, model=model), title=f"article about {chosen.topic}")))
    except RookeryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
