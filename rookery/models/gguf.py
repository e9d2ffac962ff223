"""The header of a GGUF file: what the model is, and whether the file is whole; its weights are not read."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from rookery.errors import WeightsDamaged

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_BLOCKS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 40), 10: (256, 84), 11: (256, 110),
           12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50),
           20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8),
           29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17)}
"""Of each type of tensor (ggml.h, ``ggml_type``): numbers in a block, and its bytes. One that is missing here is not measured."""
_PLAIN = frozenset({0, 1, 24, 25, 26, 27, 28, 30})
_MOST = 1 << 26
"""No string, array or list of a file that is whole has more entries or bytes."""


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What the header says."""

    fields: Mapping[str, Any]
    """Numbers, truths and texts by key; arrays are left out."""
    quantised: bool
    """Some weights are not stored as floating-point numbers."""
    bytes: int
    """The file's size."""

    @property
    def context_tokens(self) -> int | None:
        """The window that the model was trained for."""
        found = self.fields.get(f"{self.fields.get('general.architecture')}.context_length")
        return found if isinstance(found, int) else None


def read_gguf_header(path: Path, *, model: str = "") -> GgufHeader:
    """The header (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), and a check that all tensors it names are in the file.

    :raises WeightsDamaged: it is no GGUF file, or it is cut.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise WeightsDamaged(f"{path.name} is no GGUF file", model=model, path=str(path), hint="name a .gguf file")
            fields, quantised, needed = _read(file)
    except (struct.error, EOFError, UnicodeDecodeError, KeyError, OverflowError) as error:
        raise WeightsDamaged(f"the header of {path.name} is cut or damaged ({type(error).__name__}: {error})", model=model, path=str(path),
                             hint="fetch the file again") from error
    if needed > size:
        raise WeightsDamaged(f"{path.name} is cut: it has {size:,} of {needed:,} bytes", model=model, path=str(path), hint="fetch the file again")
    return GgufHeader(fields, quantised, size)


def _read(file: BinaryIO) -> tuple[dict[str, Any], bool, int]:
    version = _scalar(file, "<I")
    if not 2 <= version <= 3:
        raise KeyError(f"version {version}")
    tensors, pairs = _scalar(file, "<Q"), _scalar(file, "<Q")
    fields: dict[str, Any] = {}
    for _ in range(_bounded(pairs)):
        key = _string(file)
        value = _value(file, _scalar(file, "<I"))
        if value is not None:
            fields[key] = value
    types, end = set[int](), 0
    for _ in range(_bounded(tensors)):
        _string(file)
        count = 1
        for _ in range(_bounded(_scalar(file, "<I"))):
            count *= _scalar(file, "<Q")
        kind, offset = _scalar(file, "<I"), _scalar(file, "<Q")
        types.add(kind)
        numbers, width = _BLOCKS.get(kind, (1, 0))
        end = max(end, offset + count // numbers * width)
    alignment = int(fields.get("general.alignment", 32)) or 32
    start = -(-file.tell() // alignment) * alignment
    return fields, bool(types - _PLAIN), start + end if tensors else file.tell()


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(file)
    if kind != _ARRAY:
        return _scalar(file, _SCALARS[kind])
    inner, count = _scalar(file, "<I"), _bounded(_scalar(file, "<Q"))
    if inner in _SCALARS:
        _skip(file, struct.calcsize(_SCALARS[inner]) * count)
    else:
        for _ in range(count):
            _skip(file, _scalar(file, "<Q")) if inner == _STRING else _value(file, inner)
    return None


def _scalar(file: BinaryIO, form: str) -> Any:
    return struct.unpack(form, file.read(struct.calcsize(form)))[0]


def _string(file: BinaryIO) -> str:
    size = _bounded(_scalar(file, "<Q"))
    data = file.read(size)
    if len(data) < size:
        raise EOFError("a text is cut")
    return data.decode("utf-8", "replace")


def _skip(file: BinaryIO, count: int) -> None:
    file.seek(_bounded(count), 1)


def _bounded(count: int) -> int:
    if count > _MOST:
        raise OverflowError(f"a count of {count}")
    return count
