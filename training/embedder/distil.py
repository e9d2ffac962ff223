"""Distils the static embedder from a sentence encoder: token vectors, principal axes, a fit to the encoder's own answers, eight bits.

    python -m training.embedder.distil teach --teacher FOLDER --texts texts.txt --out training/out/embedder
    python -m training.embedder.distil fit   --teacher FOLDER --texts texts.txt --out training/out/embedder

``FOLDER`` is the folder of the teacher's files (``model.safetensors``, ``vocab.txt``). ``teach`` is the long step and can be stopped and
started again; ``fit`` reads what has been taught so far. Needs torch and transformers, which the package itself does not.
"""

from __future__ import annotations

import argparse
import time
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from rookery.models.arrays import write_arrays
from rookery.models.static import FILE, Table

DIMS = 256
SIF = 1e-4
"""Smooth inverse frequency, a / (a + p): Arora et al., A Simple but Tough-to-Beat Baseline for Sentence Embeddings, ICLR 2017, section 3."""
CHUNK, BATCH = 8192, 64
MAX_TOKENS = 64
UNKNOWN = "[UNK]"


class Teacher:
    """The encoder: mean of the last layer's states, as its model card says, without the final normalisation."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.model: Any = AutoModel.from_pretrained(folder).eval()

    @torch.inference_mode()
    def encode(self, ids: Sequence[Sequence[int]]) -> np.ndarray:
        """Mean states of token lists (with the marks at both ends) of about one length."""
        longest = max(len(row) for row in ids)
        padded = torch.tensor([[*row, *[0] * (longest - len(row))] for row in ids])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])
        states = self.model(input_ids=padded, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).float()
        return ((states * weights).sum(1) / weights.sum(1)).numpy()

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        return self.tokenizer(list(texts), truncation=True, max_length=MAX_TOKENS)["input_ids"]


def kept(vocabulary: Sequence[str]) -> list[int]:
    """The tokens that the embedder keeps: the teacher knows English, so letters of other scripts and unused places go."""
    def wanted(token: str) -> bool:
        if token == UNKNOWN:
            return True
        if token.startswith("[") and token.endswith("]") and len(token) > 1:
            return False
        body = token.removeprefix("##")
        return all(ord(char) < 0x250 or unicodedata.name(char, "").startswith("GREEK") for char in body)

    return [at for at, token in enumerate(vocabulary) if wanted(token)]


def token_vectors(teacher: Teacher, keep: Sequence[int]) -> np.ndarray:
    """The encoder's output for each token alone (model2vec's first step), shape (tokens, 384)."""
    start, end = teacher.tokenizer.cls_token_id, teacher.tokenizer.sep_token_id
    rows = [teacher.encode([[start, token, end] for token in keep[at : at + 512]]) for at in range(0, len(keep), 512)]
    return np.concatenate(rows)


def teach(teacher: Teacher, texts: Sequence[str], out: Path, *, seconds: float) -> None:
    """Write the teacher's vectors of the texts, chunk by chunk, until the time is up."""
    begun = time.monotonic()
    for number, at in enumerate(range(0, len(texts), CHUNK)):
        path = out / f"taught-{number:03}.npy"
        if path.exists():
            continue
        if time.monotonic() - begun > seconds:
            return
        ids = teacher.ids(texts[at : at + CHUNK])
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        vectors = np.empty((len(ids), 384), np.float16)
        for first in range(0, len(order), BATCH):
            rows = order[first : first + BATCH]
            vectors[rows] = teacher.encode([ids[row] for row in rows])
        partial = path.with_suffix(".part")
        with partial.open("wb") as file:
            np.save(file, vectors)
        partial.rename(path)
        print(f"{path.name}: {time.monotonic() - begun:.0f} s", flush=True)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def axes(taught: np.ndarray) -> np.ndarray:
    """The principal axes of the teacher's unit vectors, not centred so that cosines are kept, shape (384, DIMS)."""
    values, vectors = np.linalg.eigh(taught.T @ taught)
    return vectors[:, np.argsort(values)[::-1][:DIMS]].astype(np.float32)


def fit(start: np.ndarray, bags: Sequence[np.ndarray], goals: np.ndarray, *, epochs: int, seed: int, rate: float = 3e-3) -> np.ndarray:
    """Token vectors whose plain mean points where the teacher's vector of the text does (loss: 1 - cosine; Adam, linear decay)."""
    torch.manual_seed(seed)
    table = torch.nn.EmbeddingBag.from_pretrained(torch.from_numpy(start.copy()), freeze=False, mode="mean", sparse=True)
    optimiser = torch.optim.SparseAdam(table.parameters(), lr=rate)
    draw = np.random.default_rng(seed)
    held = len(bags) // 50
    steps = epochs * ((len(bags) - held) // 512)
    done = 0
    for epoch in range(epochs):
        order = draw.permutation(len(bags) - held) + held
        for at in range(0, len(order) - 511, 512):
            rows = order[at : at + 512]
            optimiser.param_groups[0]["lr"] = rate * (1 - done / steps)
            done += 1
            loss = misfit(table, [bags[row] for row in rows], goals[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        with torch.no_grad():
            print(f"epoch {epoch + 1}: held-out cosine {1 - misfit(table, bags[:held], goals[:held]).item():.4f}", flush=True)
    return table.weight.detach().numpy()


def misfit(table: torch.nn.EmbeddingBag, bags: Sequence[np.ndarray], goals: np.ndarray) -> torch.Tensor:
    offsets = np.cumsum([0, *[len(bag) for bag in bags[:-1]]])
    found = table(torch.from_numpy(np.concatenate(bags)), torch.from_numpy(offsets))
    return 1 - torch.nn.functional.cosine_similarity(found, torch.from_numpy(goals)).mean()


def quantise(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eight bits and one scale a row."""
    scale = np.maximum(np.abs(table).max(axis=1) / 127, 1e-12)
    return np.clip(np.rint(table / scale[:, None]), -127, 127).astype(np.int8), scale.astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["teach", "fit"])
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    chosen.out.mkdir(parents=True, exist_ok=True)
    teacher = Teacher(chosen.teacher)
    vocabulary = (chosen.teacher / "vocab.txt").read_text("utf-8").splitlines()
    keep = kept(vocabulary)
    keep.insert(0, keep.pop(next(at for at, token in enumerate(keep) if vocabulary[token] == UNKNOWN)))
    texts = chosen.texts.read_text("utf-8").splitlines()
    if chosen.step == "teach":
        return teach(teacher, texts, chosen.out, seconds=chosen.seconds)
    taught = unit(np.concatenate([np.load(path) for path in sorted(chosen.out.glob("taught-*.npy"))]).astype(np.float32))
    turn = axes(taught)
    words = unit(token_vectors(teacher, keep)) @ turn
    share = 1 / (np.arange(1, len(keep) + 1) * np.log(len(keep)))  # Zipf: the vocabulary is in the order of frequency, more or less
    start = (words * (SIF / (SIF + share))[:, None]).astype(np.float32)
    names = [vocabulary[token] for token in keep]
    cut = Table(names, np.zeros((len(keep), 1), np.int8), np.zeros(len(keep), np.float32))  # texts are cut as they will be at run time
    bags = [np.array(cut.ids(text)[:MAX_TOKENS] or [0], np.int64) for text in texts[: len(taught)]]
    table = fit(start, bags, taught @ turn, epochs=chosen.epochs, seed=chosen.seed) if chosen.epochs else start
    quantised, scale = quantise(table)
    write_arrays(chosen.out / FILE, {"rows": quantised, "scale": scale}, {"vocabulary": names, "teacher": "sentence-transformers/all-MiniLM-L6-v2"})
    print(f"{len(keep)} tokens, {(chosen.out / FILE).stat().st_size / 1e6:.2f} MB")
    return None


if __name__ == "__main__":
    main()
