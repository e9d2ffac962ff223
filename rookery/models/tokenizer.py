"""The vocabulary of the embedded model: whole numbers, operators and whole instructions as single tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from rookery.errors import SkillMissing


class PieceTokenizer:
    """A fixed list of pieces, matched longest first; a number is one piece or none, never part of another.

    Implements :class:`rookery.models.model.Vocabulary`. ``pieces`` are the texts by id; the ids in ``special`` stand for
    no text. Encoding and decoding are exact inverses on every text that can be encoded.
    """

    def __init__(self, pieces: Sequence[str], *, end: int, special: Sequence[int] = ()) -> None:
        self._pieces = tuple(pieces)
        self._end = frozenset({end})
        hidden = {end, *special}
        self._tokens = tuple(b"" if i in hidden else piece.encode() for i, piece in enumerate(pieces))
        self._ids = {piece: i for i, piece in enumerate(pieces) if i not in hidden}
        longest_first = sorted(self._ids, key=len, reverse=True)
        self._pattern = re.compile("|".join(_bounded(piece) for piece in longest_first))

    @staticmethod
    def load(path: Path) -> PieceTokenizer:
        """Read the JSON file that :meth:`save` wrote."""
        data = json.loads(path.read_text("utf-8"))
        return PieceTokenizer(data["pieces"], end=data["end"], special=data["special"])

    def save(self, path: Path) -> None:
        """Write pieces and special ids as JSON."""
        special = [i for i, token in enumerate(self._tokens) if not token and i not in self._end]
        data = {"pieces": self._pieces, "end": next(iter(self._end)), "special": special}
        path.write_text(json.dumps(data, ensure_ascii=False), "utf-8")

    @property
    def tokens(self) -> Sequence[bytes]:
        """The bytes of each token by id; empty for special tokens."""
        return self._tokens

    @property
    def end(self) -> frozenset[int]:
        """The ids that end a reply."""
        return self._end

    def encode(self, text: str) -> list[int]:
        """The ids of a text.

        :raises SkillMissing: some part of the text is no piece; the message shows it.
        """
        ids: list[int] = []
        at = 0
        while at < len(text):
            match = self._pattern.match(text, at)
            if match is None:
                raise SkillMissing(f"the embedded model has no token for {text[at : at + 20]!r}",
                                   hint="it knows whole numbers from 0 to 400 and fractions like 8/3, nothing else")
            ids.append(self._ids[match[0]])
            at = match.end()
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some ids; special tokens give none."""
        return b"".join(self._tokens[i] for i in ids).decode()


def _bounded(piece: str) -> str:
    before = r"(?<!\d)" if piece[0].isdigit() else ""
    after = r"(?!\d)" if piece[-1].isdigit() else ""
    return before + re.escape(piece) + after
