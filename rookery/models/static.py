"""The embedder that ships with rookery: one vector a token, summed; no network, no torch, some ten microseconds a text.

The vectors were distilled from a sentence encoder (``training/embedder``). Method: model2vec (https://github.com/MinishLab/model2vec)
and tokens split as BERT does (Devlin et al., NAACL 2019; Wu et al., arXiv 1609.08144, section 4.1).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from rookery.errors import ModelUnknown
from rookery.models.embedder import Purpose

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WEIGHTS = Path(__file__).parent / "weights" / "static"
FILE = "embedder.safetensors"
NAMES = ("minilm",)
_PIECE = re.compile(r"[^\W\d_]+|\d+|[+#%$&@°€£]")
_DIGITS = 4
"""Of a longer number only so many digits are read: the rest says nothing about the meaning."""
_WORD_CHARS = 40
_CACHED_WORDS = 1 << 15


class StaticEmbedder:
    """An :class:`rookery.models.embedder.Embedder` over English texts; a text is the mean of its tokens' vectors.

    Deterministic, and the same for documents and queries. Other languages share only names and numbers with it.

    :param name: which one; empty is ``minilm``.
    :param folder: where the weights are, when they are not the package's own.
    :raises ModelUnknown: there is no such one.
    """

    def __init__(self, name: str = "", *, folder: Path | None = None) -> None:
        name = name or NAMES[0]
        if name not in NAMES and folder is None:
            raise ModelUnknown(f"there is no static embedder {name!r}", model=f"static:{name}", hint=f"there is {', '.join(NAMES)}")
        self._name = name
        self._path = (folder or WEIGHTS) / FILE

    @property
    def fingerprint(self) -> str:
        """The name and the first digits of the hash of the weights.

        :raises ModelUnknown: the weights are damaged.
        """
        return f"static:{self._name}/{_table(self._path).digest}"

    async def embed(self, texts: Sequence[str], *, purpose: Purpose = "document") -> NDArray[np.float32]:
        """See :meth:`Embedder.embed`; 256 dimensions. Runs at once, on the loop: a thousand short texts take some 20 ms.

        :raises ModelUnknown: the weights are damaged.
        """
        return _table(self._path).embed(texts)

    async def aclose(self) -> None:
        """Nothing is held."""


class Table:
    """Token vectors and how texts are cut into tokens.

    :param rows: eight-bit vectors, shape (tokens, dims); row 0 is the unknown token.
    :param scale: one factor a row.
    """

    def __init__(self, vocabulary: Sequence[str], rows: NDArray[np.int8], scale: NDArray[np.float32], *, digest: str = "") -> None:
        self.digest = digest
        self._rows, self._scale = rows, scale
        self._ids = {token: number for number, token in enumerate(vocabulary)}
        self._known: dict[str, tuple[int, ...]] = {}

    def ids(self, text: str) -> list[int]:
        """The tokens of a text."""
        found: list[int] = []
        for word in pieces(text):
            ids = self._known.get(word)
            if ids is None:
                ids = self._split(word)
                if len(self._known) < _CACHED_WORDS:
                    self._known[word] = ids
            found.extend(ids)
        return found

    def embed(self, texts: Iterable[str]) -> NDArray[np.float32]:
        """One unit row a text; zeros for a text without tokens."""
        import numpy as np

        bags = [self.ids(text) for text in texts]
        sums = np.zeros((len(bags), self._rows.shape[1]), np.float32)
        for row, bag in enumerate(bags):
            if bag:
                sums[row] = (self._scale[bag, None] * self._rows[bag]).sum(axis=0)
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        return (sums / np.where(norms > 0, norms, 1)).astype(np.float32)

    def _split(self, word: str) -> tuple[int, ...]:
        """The longest known pieces from the left, those after the first marked with ``##``; one unknown token if there is a gap."""
        found: list[int] = []
        at = 0
        while at < len(word):
            mark = "##" if at else ""
            end = next((end for end in range(len(word), at, -1) if mark + word[at:end] in self._ids), None)
            if end is None:
                return (0,)
            found.append(self._ids[mark + word[at:end]])
            at = end
        return tuple(found)


def pieces(text: str) -> list[str]:
    """The words, numbers and telling signs of a text, in lower case and without accents."""
    text = text.lower()
    if not text.isascii():
        text = "".join(char for char in unicodedata.normalize("NFD", text) if unicodedata.category(char) != "Mn")
    return [piece[: _DIGITS if piece[0].isdigit() else _WORD_CHARS] for piece in _PIECE.findall(text)]


@lru_cache(maxsize=4)
def _table(path: Path) -> Table:
    from rookery.models.arrays import read_arrays

    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        arrays, facts = read_arrays(path)
        return Table(facts["vocabulary"], arrays["rows"], arrays["scale"], digest=digest)
    except (OSError, ValueError, KeyError) as error:
        raise ModelUnknown(f"the weights of the static embedder cannot be read: {error}", model="static", hint="install rookery again") from error
