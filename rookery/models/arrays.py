"""Named arrays and some facts in one file, mapped into memory: the safetensors layout, written so that it is whole or not there.

Layout: https://github.com/huggingface/safetensors, "Format". Facts are JSON in the metadata.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_KINDS = {"F64": "<f8", "I64": "<i8", "U64": "<u8", "F32": "<f4", "I32": "<i4", "F16": "<f2", "I8": "|i1", "U8": "|u1", "BOOL": "|b1"}
_NAMES = {kind: name for name, kind in _KINDS.items()}
Array = NDArray[Any]


def write_arrays(path: Path, arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> None:
    """Write a file in place of the one that is there; after a crash it is the old one or the new one, whole.

    :raises OSError: it cannot be written; what was there is untouched.
    """
    ordered = sorted(arrays.items(), key=lambda entry: (-entry[1].dtype.itemsize, entry[0]))  # wide kinds first: all stay aligned
    header: dict[str, Any] = {"__metadata__": {"facts": json.dumps(facts, ensure_ascii=False)}}
    at = 0
    for name, array in ordered:
        header[name] = {"dtype": _NAMES[array.dtype.str], "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    head = json.dumps(header, ensure_ascii=False).encode()
    head += b" " * (-len(head) % 8)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            file.write(len(head).to_bytes(8, "little") + head)
            for _, array in ordered:
                file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def read_arrays(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays of a file, mapped (changes stay in memory and never reach the file), and its facts.

    :raises OSError: it cannot be opened.
    :raises ValueError: it is no such file, or a part is missing.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        whole = path.stat().st_size
        if not 2 <= size <= whole - 8:
            raise ValueError(f"{path.name} has no header")
        try:
            header = json.loads(file.read(size))
            facts = json.loads(header.pop("__metadata__")["facts"])
            mapped = np.memmap(path, np.uint8, mode="c") if whole > 8 + size else np.zeros(whole, np.uint8)
            arrays = {name: _part(mapped, 8 + size, entry) for name, entry in header.items()}
        except (KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path.name} has a damaged header") from error
    return arrays, facts


def _part(mapped: Array, base: int, entry: Mapping[str, Any]) -> Array:
    first, last = entry["data_offsets"]
    kind = np.dtype(_KINDS[entry["dtype"]])
    shape = tuple(entry["shape"])
    if not 0 <= first <= last <= len(mapped) - base or last - first != kind.itemsize * int(np.prod(shape)):
        raise ValueError("a part of the file is missing")
    return np.asarray(mapped[base + first : base + last]).view(kind).reshape(shape)
