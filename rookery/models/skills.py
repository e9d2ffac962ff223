"""The skills of the embedded models: the prompts they were trained on, and which of them a text is."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class Skill(Protocol):
    """One thing a trained model can do."""

    @property
    def name(self) -> str: ...

    @property
    def asks(self) -> str:
        """What its prompts look like, for messages to people."""
        ...

    def match(self, text: str) -> str | None:
        """The prompt in its one true spelling if ``text`` is one of this skill's, else None."""
        ...


@dataclass(frozen=True, slots=True)
class Form:
    """A skill that is asked in fixed words: an opening, the variable part, a closing."""

    name: str
    opening: str
    """The instruction; the variable part follows it directly."""
    closing: str
    """What stands between the variable part and the reply."""
    example: str
    """A variable part, for messages to people."""

    @property
    def asks(self) -> str:
        """The opening's first line."""
        return f"{self.opening.splitlines()[0]!r} …"

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


NEXT_STEPS = Form(
    name="next_steps",
    opening="Game of 24: combine two of the numbers with +, -, * or / and say what is left.\n"
    "One step a line, like: 8 + 2 = 10 (left: 8 10 14)\nNumbers: ",
    closing="\nSteps:\n",
    example="2 8 8 14",
)
JUDGE = Form(
    name="judge",
    opening="Game of 24: can these numbers still make 24, each used once, with +, -, * or /?\n"
    "Answer sure, likely or impossible.\nNumbers: ",
    closing="\nAnswer: ",
    example="8 10 14",
)
EXPRESSION = Form(
    name="expression",
    opening="Game of 24: write the steps as one expression that uses each number of the hand once.\nHand: ",
    closing="\nExpression: ",
    example="2 8 8 14\nSteps:\n8 + 2 = 10 (left: 8 10 14)\n…",
)


_TEXT = re.compile(
    r"""("{3}|'{3})(?:\\.|(?!\1).)*(?:\1|\Z)|"(?:\\.|[^"\\\n])*(?:"|$)|'(?:\\.|[^'\\\n])*(?:'|$)|\#[^\n]*""", re.DOTALL | re.MULTILINE)
"""Strings and comments, those without an end too."""
_TWO_WORDS = re.compile(r"(?<![\w.])([^\W\d]\w*)[ \t]+(?=([^\W\d]\w*))")
_KEYWORDS = frozenset(keyword.kwlist) | frozenset(keyword.softkwlist)
MAX_PROSE = 0.3
"""A text is no Python when a larger share of its lines reads like prose."""


@dataclass(frozen=True, slots=True)
class Continuation:
    """A skill that is asked by the text itself: Python code, which goes on after its last letter, as it stands."""

    name: str = "continue_python"
    asks: str = "Python code, to be gone on with; no questions, no instructions, no other language"

    def match(self, text: str) -> str | None:
        """The text if it reads like Python: two plain words stand side by side in strings and comments only.

        Code that does not parse, or that begins or ends in the middle of a statement or a string, is Python all the same.
        """
        from_code = text, text.partition('"""')[2], text.partition("'''")[2]  # it may begin inside of a docstring
        return text if any(map(_reads_like_python, from_code)) else None


def _reads_like_python(text: str) -> bool:
    lines = [line for line in _TEXT.sub('""', text).splitlines() if line.strip()]
    prose = [_is_prose(line) for line in lines]
    return bool(lines) and not (prose[0] and prose[-1]) and sum(prose) <= MAX_PROSE * len(lines)


def _is_prose(line: str) -> bool:
    return any(not {match[1], match[2]} & _KEYWORDS for match in _TWO_WORDS.finditer(line))


@dataclass(frozen=True, slots=True)
class Trained:
    """What is known of an embedded model before its weights are read."""

    skills: tuple[Skill, ...]
    context_tokens: int
    too_long: str
    """What to do about a prompt that fills the window."""
    first_tokens: int = 0
    """So many tokens at the begin of each prompt are its instruction, which others begin with too."""
    least_shared_tokens: int = 1
    """A shared begin is used from so many tokens on."""


TRAINED: Mapping[str, Trained] = {
    "game24": Trained((NEXT_STEPS, JUDGE, EXPRESSION), 256, "shorten the prompt", first_tokens=1, least_shared_tokens=256),
    "python": Trained((Continuation(),), 512, "give it the last lines before the place to go on from: about 40 of them fit", least_shared_tokens=16),
}
"""The embedded models by name."""


def canonical(text: str, skills: tuple[Skill, ...]) -> str | None:
    """The text in the spelling the model was trained on, or None when it is no prompt of these skills."""
    return next((prompt for skill in skills if (prompt := skill.match(text)) is not None), None)
