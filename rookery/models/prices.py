"""What known models cost and how much they read: litellm's own table, read as a file; no import of litellm, no network."""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TABLE = "model_prices_and_context_window_backup.json"


@dataclass(frozen=True, slots=True)
class Price:
    """USD per token."""

    prompt_usd: float
    completion_usd: float
    cached_usd: float | None = None
    """Per prompt token that the server had in its cache; None: as any other."""

    def cost_usd(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> float:
        """What one reply costs; cached tokens are among the prompt tokens."""
        cached = min(cached_tokens, prompt_tokens)
        rate = self.prompt_usd if self.cached_usd is None else self.cached_usd
        return (prompt_tokens - cached) * self.prompt_usd + cached * rate + completion_tokens * self.completion_usd


@dataclass(frozen=True, slots=True)
class Known:
    """What the table says of one chat model."""

    price: Price | None
    context_tokens: int | None
    """What the table calls ``max_input_tokens``: some providers count the reply apart, so this is the cautious reading."""
    max_output_tokens: int | None
    json_schema: bool
    tools: bool
    reasons: bool
    """Thinks before it answers, and therefore takes no temperature and gives no log-probabilities."""


@functools.cache
def known(*names: str) -> Known | None:
    """The first of ``names`` that the table has; None when it has none, or litellm is not installed.

    Reads about 3 MB of JSON (40 ms) for each new question and keeps only the answer.
    """
    table = _table()
    return next((entry for name in names if (entry := _entry(table.get(name))) is not None), None)


def _entry(entry: Any) -> Known | None:
    if not isinstance(entry, Mapping) or entry.get("mode") not in ("chat", "completion", "responses"):
        return None
    prompt, completion = entry.get("input_cost_per_token"), entry.get("output_cost_per_token")
    priced = isinstance(prompt, (int, float)) and isinstance(completion, (int, float))
    return Known(
        price=Price(float(prompt or 0), float(completion or 0), entry.get("cache_read_input_token_cost")) if priced else None,
        context_tokens=_whole(entry.get("max_input_tokens")),
        max_output_tokens=_whole(entry.get("max_output_tokens")),
        json_schema=bool(entry.get("supports_response_schema")),
        tools=bool(entry.get("supports_function_calling")),
        reasons=bool(entry.get("supports_reasoning")),
    )


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, (int, float)) else None


def _table() -> Mapping[str, Any]:
    spec = importlib.util.find_spec("litellm")  # finds the folder and runs nothing
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        try:
            table = json.loads((Path(folder) / _TABLE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(table, dict):
            return table
    return {}
