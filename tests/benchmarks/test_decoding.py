"""The measuring of decoding: its references are right, and what it finds on small things is known."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from benchmarks import decoding, vocabulary
from benchmarks.decoding_cost import densest, identifier, writer
from benchmarks.decoding_soundness import _is, pieces, reachable
from rookery.decoding import choice, regex
from rookery.decoding.tokens import tokens_of
from rookery.testing import RuledModel


def test_every_part_is_a_module() -> None:
    folder = Path(decoding.__file__).parent
    assert all((folder / f"decoding_{part}.py").is_file() for part in decoding.PARTS)


async def test_what_can_be_reached_is_counted_right() -> None:
    words = ["", "a", "b", "ab"]
    assert await reachable(words, choice("ab", "b"), 3) == {"ab", "b"}
    assert await reachable(words, regex("a?b*"), 2) == {"", "a", "b", "ab", "bb"}


def test_what_a_reply_is_held_against() -> None:
    import re

    assert _is('{"a": 1}', {"required": ["a"]}) and not _is("{", {}) and not _is("{}", {"required": ["a"]}) and _is("ab", re.compile("a.")) is True


def test_pieces_hold_every_byte_and_are_the_same_each_time() -> None:
    words = pieces(600)
    assert words == pieces(600) and len(set(words)) == 600 and set(words[1:257]) == {bytes([byte]) for byte in range(256)}


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def test_a_vocabulary_file_is_read(tmp_path: Path) -> None:
    tokens = ["<end>", "a", "Ġb", "é"]
    fields = (text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 4) + b"".join(map(text, tokens))
              + text("tokenizer.ggml.token_type") + struct.pack("<IIQ4i", 9, 5, 4, 3, 1, 1, 1)
              + text("tokenizer.ggml.eos_token_id") + struct.pack("<II", 4, 0))
    path = tmp_path / "v.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 3) + fields)
    read = vocabulary.read(path)
    assert list(read.tokens) == [b"", b"a", b" b", b"\xe9"] and read.end == {0}
    assert read.encode("a b") == [1, 2] and read.decode([1, 2]) == "a b"


def test_the_densest_method_is_found_and_one_name_is_timed() -> None:
    words = pieces(1200)
    tokens = tokens_of(RuledModel(lambda ids: [], words, end=[0]).token_model().vocabulary)
    quiet, loud = "\n    def one(self):\n" + "        pass\n" * 60, "\n    def two(self):\n        return self.it\n" + "        pass\n" * 60
    start, ids = densest(quiet + loud + quiet, tokens, 60)
    assert start == len(quiet) and len(ids) == 60
    first, alone, later, whole = identifier(tokens, ["alpha", "beta"], "beta")
    assert 0 < alone < first < whole and later


async def test_a_writer_writes_what_it_was_told() -> None:
    from rookery.models.model import Message, Request, complete

    model = writer(["", "x", "y"], [2, 1, 2])
    assert (await complete(model, Request((Message.of("user", "x"),))))[0] == "yxy"
    await model.aclose()


@pytest.mark.parametrize("part", ["soundness", "cost"])
def test_each_part_says_what_it_measures(part: str) -> None:
    from importlib import import_module

    assert "ecoding, part" in (import_module(f"benchmarks.decoding_{part}").__doc__ or "")
