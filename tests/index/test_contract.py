"""Every index keeps the contract."""

from __future__ import annotations

import numpy as np

from rookery.index.hybrid import Entry, Hybrid
from rookery.index.postings import Postings
from rookery.index.text import bag
from rookery.index.vectors import Vectors
from rookery.testing import check_index

TEXTS = ["rooks nest in colonies", "the price of bread", "a table of rainfall", "send a letter by post", "bread and butter"]
ROWS = np.random.default_rng(0).normal(size=(len(TEXTS), 32)).astype(np.float32)


def test_postings() -> None:
    check_index(Postings, [bag(text) for text in TEXTS])


def test_vectors() -> None:
    check_index(lambda: Vectors(32), list(ROWS))


def test_hybrid() -> None:
    check_index(lambda: Hybrid(32), [Entry(bag(text), row) for text, row in zip(TEXTS, ROWS, strict=True)])
