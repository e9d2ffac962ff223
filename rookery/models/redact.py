"""Cutting secrets out of plain data before it is compared or written."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

REDACTED = "[secret]"

_FIELD = re.compile(r"api[_-]?key|authorization|secret|password|passwd|cookie|credential|(^|[_-])(token|auth)$", re.IGNORECASE)
_VARIABLE = re.compile(r"(API_?KEY|ACCESS_KEY|SECRET|PASSWORD|TOKEN)S?$")
_TEXT = re.compile(
    r"\b(?:sk|pk|rk|xai|gsk)[-_][A-Za-z0-9_-]{16,}|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bhf_[A-Za-z0-9]{20,}"
    r"|\bAIza[0-9A-Za-z_-]{30,}|\bBearer\s+[A-Za-z0-9._~+/-]{12,}=*"
)
_SHORTEST = 12
"""Values of environment variables that are shorter are too likely to be ordinary words."""


class Redactor:
    """Replaces by ``[secret]``: the given values, values of environment variables that are named like keys, text fields that
    are named like keys, and text that looks like a key.
    """

    def __init__(self, values: Sequence[str] = ()) -> None:
        named = [value for name, value in os.environ.items() if _VARIABLE.search(name) and len(value) >= _SHORTEST]
        # The longest first, so that none is left over as the tail of a shorter one.
        self._values = sorted({value for value in (*values, *named) if value}, key=len, reverse=True)

    def cut(self, data: Any) -> Any:
        """A copy of JSON-like data without secrets."""
        if isinstance(data, str):
            return self._text(data)
        if isinstance(data, Mapping):
            return {key: REDACTED if self._hides(key, value) else self.cut(value) for key, value in data.items()}
        if isinstance(data, (list, tuple)):
            return [self.cut(item) for item in data]
        return data

    @staticmethod
    def _hides(key: Any, value: Any) -> bool:
        return isinstance(value, str) and _FIELD.search(str(key)) is not None

    def _text(self, text: str) -> str:
        for value in self._values:
            text = text.replace(value, REDACTED)
        return _TEXT.sub(REDACTED, text)
