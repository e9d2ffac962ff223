"""The skills of the embedded model: the exact prompts it was trained on, and which of them a text is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Skill:
    """One thing a trained model can do: a fixed opening, the variable part, a fixed closing."""

    name: str
    opening: str
    """The instruction; the variable part follows it directly."""
    closing: str
    """What stands between the variable part and the reply."""
    example: str
    """A variable part, for messages to people."""

    def prompt(self, body: str) -> str:
        """The whole prompt for a variable part."""
        return f"{self.opening}{body}{self.closing}"

    def match(self, text: str) -> str | None:
        """The prompt in its one true spelling if ``text`` is this skill's prompt, else None.

        White space around the text and at the ends of its lines does not matter, nor does a missing final newline.
        """
        text = "\n".join(line.rstrip() for line in text.strip().splitlines())
        opening, closing = self.opening.rstrip(), self.closing.rstrip()
        if not text.startswith(opening) or not text.endswith(closing) or len(text) < len(opening) + len(closing):
            return None
        return self.prompt(text[len(opening) : len(text) - len(closing)].strip())


NEXT_STEPS = Skill(
    name="next_steps",
    opening="Game of 24: combine two of the numbers with +, -, * or / and say what is left.\n"
    "One step a line, like: 8 + 2 = 10 (left: 8 10 14)\nNumbers: ",
    closing="\nSteps:\n",
    example="2 8 8 14",
)
JUDGE = Skill(
    name="judge",
    opening="Game of 24: can these numbers still make 24, each used once, with +, -, * or /?\n"
    "Answer sure, likely or impossible.\nNumbers: ",
    closing="\nAnswer: ",
    example="8 10 14",
)
EXPRESSION = Skill(
    name="expression",
    opening="Game of 24: write the steps as one expression that uses each number of the hand once.\nHand: ",
    closing="\nExpression: ",
    example="2 8 8 14\nSteps:\n8 + 2 = 10 (left: 8 10 14)\n…",
)

SKILLS: Mapping[str, tuple[Skill, ...]] = {"game24": (NEXT_STEPS, JUDGE, EXPRESSION)}
"""The skills of each embedded model by the model's name."""


def canonical(text: str, skills: tuple[Skill, ...]) -> str | None:
    """The text in the spelling the model was trained on, or None when it is no prompt of these skills."""
    return next((prompt for skill in skills if (prompt := skill.match(text)) is not None), None)
