"""What was taken in from elsewhere: the tools, what could not become one and why, and words of others made fit to be shown."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rookery.core.function import Tool
from rookery.errors import ToolUnfit

MAX_NAME = 64
"""Model servers take names of tools up to so many characters."""
MAX_DESCRIPTION = 1_000
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]")
"""What a reader does not see and a model reads: control, direction and tag characters."""


@dataclass(frozen=True, slots=True)
class Intake:
    """Tools taken in together; iterate it for them."""

    tools: tuple[Tool[..., Any], ...]
    unfit: tuple[ToolUnfit, ...] = ()
    """What could not become a tool, with the reason."""

    def __iter__(self) -> Iterator[Tool[..., Any]]:
        return iter(self.tools)

    def __len__(self) -> int:
        return len(self.tools)

    def __getitem__(self, name: str) -> Tool[..., Any]:
        """The tool of this name. Raises KeyError."""
        for tool in self.tools:
            if tool.name == name:
                return tool
        raise KeyError(name)


def plain_text(text: str, most: int) -> str:
    """Text of others as it may be shown and offered: without what cannot be seen, in one paragraph, and not too long."""
    text = " ".join(_CONTROL.sub("", text).replace("“", '"').replace("”", '"').split())
    return text if len(text) <= most else text[: most - 1] + "…"


def quoted(source: str, text: str) -> str:
    """What a source says of its tool, as a description that says whose words these are."""
    return f"{source} says of this tool: “{plain_text(text, MAX_DESCRIPTION)}”"


def qualified(source: str, name: str) -> str:
    """``source__name`` in letters that all model servers take; one that is too long keeps its beginning and gets a digest."""
    whole = f"{source}__{name}" if source else name
    made = re.sub(r"[^A-Za-z0-9_-]", "_", whole)
    return made if len(made) <= MAX_NAME else f"{made[: MAX_NAME - 9]}_{hashlib.blake2b(whole.encode(), digest_size=4).hexdigest()}"
