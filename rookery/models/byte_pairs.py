"""A byte-level byte-pair vocabulary for source code: any text goes in, and comes out again to the byte."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from rookery.errors import ModelUnknown

PATTERN = (
    r"\n[ \t]*"  # a line end with the indentation after it
    r"| ?_*(?:[A-Z]?[a-z]+|[A-Z]+(?![a-z]))"  # a word of an identifier: get, _name, HTTP, Server
    r"| ?_*[0-9]{1,3}"
    r"| ?_+"
    r"| ?[^\sA-Za-z0-9_]+"  # signs stay apart from letters, so a text that ends in a dot ends in a token
    r"|[ \t]+|\s"
)
"""Pieces that no token crosses. The same in :mod:`re` and in Oniguruma."""


class BytePairTokenizer:
    """Joins the pair of neighbours that makes the token of lowest id, until no pair makes one (Sennrich et al., arXiv 1508.07909, §3.2).

    Implements :class:`rookery.models.model.Vocabulary`. Ids stand in the order in which their merges were learned, so no list of
    merges is kept. ``tokens`` are the bytes by id; all 256 single bytes are among them.
    """

    def __init__(self, tokens: Sequence[bytes], *, end: int) -> None:
        self._tokens = tuple(tokens)
        self._end = frozenset({end})
        self._ids = {token: i for i, token in enumerate(self._tokens) if token}
        self._pattern = re.compile(PATTERN)
        self._of_piece = lru_cache(maxsize=16_384)(self._merged)

    @staticmethod
    def load(path: Path) -> BytePairTokenizer:
        """Read the JSON file that :meth:`save` wrote.

        :raises ModelUnknown: the file is missing or damaged.
        """
        try:
            data = json.loads(path.read_text("utf-8"))
            return BytePairTokenizer([base64.b85decode(token) for token in data["tokens"]], end=data["end"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelUnknown(f"{path.name} is no readable vocabulary ({type(error).__name__}: {error})",
                               hint="install rookery again") from error

    def save(self, path: Path) -> None:
        """Write the tokens as JSON."""
        data = {"end": next(iter(self._end)), "tokens": [base64.b85encode(token).decode() for token in self._tokens]}
        path.write_text(json.dumps(data), "utf-8")

    @property
    def tokens(self) -> Sequence[bytes]:
        """The bytes of each token by id; empty for the token that ends a file."""
        return self._tokens

    @property
    def end(self) -> frozenset[int]:
        """The ids that end a reply."""
        return self._end

    def encode(self, text: str) -> list[int]:
        """The ids of any text."""
        ids: list[int] = []
        for piece in self._pattern.findall(text):
            ids += self._of_piece(piece)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some ids; bytes that are no UTF-8 come out as U+FFFD."""
        return b"".join(self._tokens[i] for i in ids).decode(errors="replace")

    def _merged(self, piece: str) -> tuple[int, ...]:
        raw = piece.encode(errors="surrogatepass")
        parts = [raw[i : i + 1] for i in range(len(raw))]
        while len(parts) > 1:
            found = [(self._ids.get(a + b, 1 << 30), i) for i, (a, b) in enumerate(pairwise(parts))]
            best, at = min(found)
            if best == 1 << 30:
                break
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        return tuple(self._ids[part] for part in parts)
