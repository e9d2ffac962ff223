"""Values by content: a value's bytes are stored once under their hash, and everything else carries the reference.

A reference is text: ``=JSON`` for what is small enough to stand for itself, ``#HASH`` for stored bytes, ``@HASH`` for a
list, stored as a hash chain of its elements' references, so that an append writes only what is new, and ``!KEYED`` for a
secret, whose bytes are nowhere.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from typing import Any

from rookery.core.types import dumper, element_type, loader, shareable, validator
from rookery.errors import LogCorrupt

INLINE_BYTES = 64
"""Values up to this many bytes of JSON stand in the reference itself."""
SEQUENCE_BYTES = 512
"""Lists whose JSON is larger are stored element by element."""

Get = Callable[[str], bytes]
"""From a hash to the stored bytes; raises LogCorrupt when they are missing."""


def digest(data: bytes) -> str:
    """The hash that a value's bytes are stored under: 32 hex digits of BLAKE2b."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


class Codec:
    """How values of one type are validated, written and read; made once per type."""

    __slots__ = ("dump", "element", "load", "shareable", "type", "validate")

    def __init__(self, type_: Any) -> None:
        self.type = type_
        self.validate: Callable[[Any], Any] = validator(type_)
        self.dump: Callable[[Any], bytes] = dumper(type_)
        self.load: Callable[[bytes], Any] = loader(type_)
        self.shareable: bool = shareable(type_)
        element = element_type(type_) if getattr(type_, "__origin__", type_) is list else None
        self.element: Codec | None = codec(element) if element is not None and element is not Any else None


_codecs: dict[Any, Codec] = {}


def codec(type_: Any) -> Codec:
    """The codec of a type; the same object each time."""
    try:
        found = _codecs.get(type_)
    except TypeError:  # an annotation that can't be hashed
        return Codec(type_)
    if found is None:
        found = _codecs[type_] = Codec(type_)
    return found


class Writer:
    """Turns values into references and remembers which bytes are new.

    ``known`` holds the hashes that are stored already; ``new`` collects what must be stored with the next commit.
    """

    def __init__(self, *, known: set[str] | None = None, key: bytes = b"") -> None:
        self.known: set[str] = known if known is not None else set()
        self.new: list[tuple[str, bytes]] = []
        self.key = key
        self._recent: list[tuple[Codec, list[str], list[str]]] = []

    def write(self, value: Any, codec: Codec) -> str:
        """The reference of a value. Raises NotSerialisable."""
        if self._recent and codec.element is not None and type(value) is list and value:
            done, chain = self._prefix(value, codec.element)
            if done:  # it begins with a list that was large enough to be stored by element, so it is too
                return self._sequence(value, codec.element, done, chain)
        data = codec.dump(value)
        if len(data) <= INLINE_BYTES:
            return "=" + data.decode()
        if codec.element is not None and len(data) > SEQUENCE_BYTES and type(value) is list:
            return self._sequence(value, codec.element, 0, [])
        return self.store(data)

    def secret(self, value: Any, codec: Codec) -> str:
        """A keyed reference: equal secrets of one run have equal ones, and nothing can be read from it."""
        return "!" + hmac.new(self.key, codec.dump(value), "sha256").hexdigest()[:32]

    def take(self) -> list[tuple[str, bytes]]:
        """What is new since the last take."""
        new, self.new = self.new, []
        return new

    def store(self, data: bytes) -> str:
        """The reference of bytes, whatever their size."""
        name = digest(data)
        if name not in self.known:
            self.known.add(name)
            self.new.append((name, data))
        return "#" + name

    def _sequence(self, items: list[Any], element: Codec, done: int, chain: list[str]) -> str:
        references = [self.write(item, element) for item in items[done:]]
        for reference in references:
            chain.append(digest(f"{chain[-1] if chain else ''}|{reference}".encode()))
        if all(type(item) is str for item in items[done:]):
            self._recent = [(element, list(items), chain), *self._recent[:7]]
        if chain[-1] not in self.known:
            start = next((i for i in range(len(chain) - 1, 0, -1) if chain[i - 1] in self.known), 0)
            if start < done:  # the prefix was seen but never stored: its references are needed too
                references = [self.write(item, element) for item in items[start:]]
                done = start
            body = json.dumps([chain[start - 1] if start else "", references[start - done :]], separators=(",", ":")).encode()
            self.known.add(chain[-1])
            self.new.append((chain[-1], body))
        return "@" + chain[-1]

    def _prefix(self, items: list[Any], element: Codec) -> tuple[int, list[str]]:
        """The longest recent list of texts that this one begins with: how long it is, and its chain."""
        best: tuple[int, list[str]] = 0, []
        for known, texts, chain in self._recent:
            if known is not element or not best[0] < len(texts) <= len(items) or type(items[-1]) is not str:
                continue
            if texts[0] is items[0] and items[: len(texts)] == texts:
                best = len(texts), list(chain)
        return best


def read(reference: str, codec: Codec, get: Get) -> Any:
    """The value of a reference, a fresh object. Raises LogCorrupt for a reference that cannot be followed."""
    mark, rest = reference[:1], reference[1:]
    if mark == "=":
        return codec.load(rest.encode())
    if mark == "#":
        return codec.load(get(rest))
    if mark == "@":
        element = codec.element or plain_codec()
        return [read(item, element, get) for item in _items(rest, get)]
    raise LogCorrupt(f"not a reference: {reference[:40]!r}", hint="the log is damaged")


def _items(name: str, get: Get) -> list[str]:
    pieces: list[list[str]] = []
    while name:
        name, references = json.loads(get(name))
        pieces.append(references)
    return [reference for piece in reversed(pieces) for reference in piece]


def plain(reference: str, get: Get) -> Any:
    """The value of a reference as plain JSON data, whatever its type; a secret as the text ``<secret>``."""
    mark, rest = reference[:1], reference[1:]
    if mark == "!":
        return "<secret>"
    if mark == "@":
        return [plain(item, get) for item in _items(rest, get)]
    try:
        return json.loads(rest if mark == "=" else get(rest))
    except ValueError as error:
        raise LogCorrupt(f"value {reference[:40]!r} is not JSON", hint="the log is damaged") from error


def needs(reference: str, get: Get) -> Iterator[str]:
    """The hashes of all stored bytes that a reference stands on, itself included."""
    mark, name = reference[:1], reference[1:]
    if mark == "#":
        yield name
    elif mark == "@":
        while name:
            yield name
            name, references = json.loads(get(name))
            for item in references:
                yield from needs(item, get)


def plain_codec() -> Codec:
    """The codec of values of no declared type. Not made at import: the first codec loads what types may be made of."""
    return codec(Any)
