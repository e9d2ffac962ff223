"""Vocabularies in the format of ``tokenizers``: the bytes of each token, text that goes on from another, kinds that have none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.errors import ModelUnknown
from rookery.models.pieces import Pieces
from tests.models.tiny import SPECIAL, write_tokenizer


@pytest.fixture(scope="module")
def byte_level(tmp_path_factory: pytest.TempPathFactory) -> Pieces:
    data = write_tokenizer(tmp_path_factory.mktemp("tokenizer"))
    return Pieces(json.dumps(data), size=len(data["model"]["vocab"]) + 5, end=[0])


def sentencepiece() -> dict[str, Any]:
    """A tokenizer as Llama 2's: ▁ for spaces, one put before each text, bytes for what has no piece."""
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "r", "o", "k", "ro", "ok", "rook", "▁rook"]
    merges = ["r o", "o k", "ro ok", "▁ rook"]
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "content": words[i], "special": True, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False} for i in range(3)],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
                                                           {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": None, "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
                                                     {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": True, "byte_fallback": True, "ignore_merges": False, "vocab": {word: i for i, word in enumerate(words)},
                  "merges": merges},
    }


def test_special_tokens_have_no_text(byte_level: Pieces) -> None:
    assert [byte_level.tokens[i] for i in range(len(SPECIAL))] == [b""] * len(SPECIAL)
    assert byte_level.end == {0} and byte_level.tokens[-1] == b"", "ids past the tokenizer's own have no text"
    assert {bytes([byte]) for byte in range(256)} <= set(byte_level.tokens)


@given(text=st.text(max_size=40))
def test_text_comes_back(byte_level: Pieces, text: str) -> None:
    ids = byte_level.encode(text)
    assert byte_level.decode(ids) == text
    assert b"".join(byte_level.tokens[i] for i in ids) == text.encode()


@given(text=st.text(alphabet="rok é\n你", max_size=20))
def test_sentencepiece_goes_on_without_a_space(text: str) -> None:
    words = Pieces(json.dumps(sentencepiece()), size=267, end=[2])
    assert words.decode(words.encode(text)) == text


def test_sentencepiece_has_bytes() -> None:
    words = Pieces(json.dumps(sentencepiece()), size=267, end=[2])
    assert words.tokens[266] == b" rook" and words.tokens[3 + 0xC3] == b"\xc3"
    assert words.encode("rook rook") == [265, 266]


def test_what_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    for wrong in ("", "{}", "[1]", '{"model": {"type": "BPE"}}'):
        with pytest.raises(ModelUnknown, match="tokenizer"):
            Pieces(wrong, size=10, end=[0])
    pieces = {"version": "1.0", "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True}, "pre_tokenizer": {"type": "BertPreTokenizer"},
              "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                        "vocab": {"[UNK]": 0, "rook": 1, "##s": 2}}}
    with pytest.raises(ModelUnknown, match="WordPiece"):
        Pieces(json.dumps(pieces), size=3, end=[0])
