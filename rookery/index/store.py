"""An index as one file: its arrays, its ids, what kind it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rookery.errors import IndexDamaged, IndexFull, IndexTooNew
from rookery.models.arrays import read_arrays, write_arrays

Packed = dict[str, NDArray[Any]]
VERSION = 1
_AGAIN = "build the index again from what it indexes"


def write(path: Path, kind: str, arrays: Packed, facts: Mapping[str, Any]) -> None:
    """Write an index's file; a crash leaves the old one or the new one.

    :raises IndexFull: the disk is full or the folder read-only.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(path, arrays, {"kind": kind, "version": VERSION, **facts})
    except OSError as error:
        raise IndexFull(f"{path} cannot be written: {error.strerror or error}", path=str(path),
                        hint="free space, or choose another folder") from error


def read(path: Path, kind: str) -> tuple[Packed, dict[str, Any]]:
    """The arrays, mapped from the file, and the facts.

    :raises IndexDamaged: it cannot be read, or is of another kind.
    :raises IndexTooNew: a newer rookery wrote it.
    """
    try:
        arrays, facts = read_arrays(path)
    except (OSError, ValueError) as error:
        raise IndexDamaged(f"{path} cannot be read: {error}", path=str(path), hint=_AGAIN) from error
    if facts.get("kind") != kind:
        raise IndexDamaged(f"{path} holds {facts.get('kind', 'something else')}, not {kind}", path=str(path), hint=_AGAIN)
    if facts.get("version", 0) > VERSION:
        raise IndexTooNew(f"{path} was written by a newer rookery", path=str(path), hint="upgrade rookery, or build the index again")
    return arrays, facts


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """What is missing or has the wrong shape inside a file that could be read.

    :raises IndexDamaged: always from within, for whatever numpy or a dict says of it.
    """
    try:
        yield
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise IndexDamaged(f"{path} is damaged: {error}", path=str(path), hint=_AGAIN) from error


def text_array(texts: Sequence[str | None]) -> NDArray[np.uint8]:
    """A list of texts (or None) as bytes."""
    return np.frombuffer(json.dumps(list(texts), ensure_ascii=False).encode("utf-8", "surrogatepass"), np.uint8)


def texts_of(array: NDArray[Any]) -> list[Any]:
    """The list that :func:`text_array` took."""
    found: list[Any] = json.loads(array.tobytes().decode("utf-8", "surrogatepass"))
    return found
