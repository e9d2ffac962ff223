"""Trains the Python models: Llama-type decoders of two sizes on the same tokens in the same order, Muon and AdamW.

``python -m training.python.train --size 8M --folder FOLDER --tokens 12e6`` goes on from FOLDER/8M.pt if that is there. The rate is flat and falls to
zero over the last ``--decay`` of the tokens. ``8M-flat.pt`` is the last state before the fall: renamed to ``8M.pt``, it is gone on from.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from training.game24.train import Block, Muon, Shape, write_safetensors
from training.python.data import VOCABULARY

HERE = Path(__file__).parent
CONTEXT = 512
SHAPES = {
    "2M": Shape(VOCABULARY, width=192, layers=4, heads=3, inner=448, context=CONTEXT),
    "8M": Shape(VOCABULARY, width=320, layers=6, heads=5, inner=768, context=CONTEXT),
}
PLACES = {"q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj", "o": "self_attn.o_proj", "gate": "mlp.gate_proj",
          "up": "mlp.up_proj", "down": "mlp.down_proj", "norm_1": "input_layernorm", "norm_2": "post_attention_layernorm"}
"""Where the parts of a block stand in Llama checkpoints."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Peaks of the learning rates, and the steps until they are reached."""

    muon: float = 0.02
    adam: float = 0.004
    warm_up: int = 60


class Decoder(nn.Module):
    """The model; the embedding is the head too."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.table = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, shape.norm_eps)
        half = shape.width // shape.heads // 2
        angles = torch.arange(shape.context)[:, None] * shape.rope_theta ** (-torch.arange(half) / half)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        nn.init.normal_(self.table.weight, std=0.02)
        for block in self.blocks:
            for linear in (block.o, block.down):
                nn.init.zeros_(linear.weight)
            for linear in (block.q, block.k, block.v, block.gate, block.up):
                nn.init.normal_(linear.weight, std=0.5 / math.sqrt(shape.width))

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats; ids and targets are (B, T)."""
        return F.cross_entropy(self.logits(ids).flatten(0, 1).float(), targets.flatten())

    def logits(self, ids: Tensor) -> Tensor:
        """(B, T, V)"""
        x = self.table(ids)
        cos, sin = self.cos[: ids.shape[1]].to(x.dtype), self.sin[: ids.shape[1]].to(x.dtype)
        for block in self.blocks:
            x = block(x, cos, sin)
        return self.norm(x) @ self.table.weight.T

    def export(self) -> dict[str, np.ndarray]:
        """The weights in fp16 under the names that Llama checkpoints use."""
        tensors = {"model.embed_tokens.weight": self.table.weight, "model.norm.weight": self.norm.weight}
        for i, block in enumerate(self.blocks):
            tensors |= {f"model.layers.{i}.{place}.weight": getattr(block, name).weight for name, place in PLACES.items()}
        return {name: tensor.detach().numpy().astype(np.float16) for name, tensor in tensors.items()}


def batches(ids: NDArray[np.uint16], size: int, seed: int, first: int) -> Iterator[Tensor]:
    """Windows drawn at random, (size, context + 1); the draw depends on seed and step alone, so both models see the same."""
    step = first
    while True:
        starts = np.random.default_rng([seed, step]).integers(0, len(ids) - CONTEXT - 1, size)
        yield torch.from_numpy(np.stack([ids[at : at + CONTEXT + 1] for at in starts]).astype(np.int64))
        step += 1


@torch.no_grad()
def validation(model: nn.Module, ids: NDArray[np.uint16], windows: int, size: int) -> float:
    """Nats a token over windows spread evenly over the dev packages."""
    starts = np.linspace(0, len(ids) - CONTEXT - 2, windows).astype(int)
    losses = []
    for at in range(0, windows, size):
        rows = torch.from_numpy(np.stack([ids[s : s + CONTEXT + 1] for s in starts[at : at + size]]).astype(np.int64))
        with torch.autocast("cpu", torch.bfloat16):
            losses.append(float(model(rows[:, :-1], rows[:, 1:])) * len(rows))
    return sum(losses) / windows


class Training:
    """A model on its way: weights, optimisers, what it has seen; kept in one file."""

    def __init__(self, size: str, folder: Path, rates: Rates, seed: int) -> None:
        torch.manual_seed(seed)
        self.shape, self.rates = SHAPES[size], rates
        self.model = Decoder(self.shape)
        matrices = [p for p in self.model.blocks.parameters() if p.ndim == 2]
        others = [p for p in self.model.parameters() if not any(p is m for m in matrices)]
        self.optimizers = [Muon(matrices, rates.muon), torch.optim.AdamW(others, rates.adam, (0.9, 0.98), weight_decay=0.01)]
        self.step = self.tokens = 0
        self.seconds = 0.0
        self.file = folder / f"{size}.pt"
        if self.file.exists():
            state = torch.load(self.file, weights_only=False)
            self.model.load_state_dict(state["model"])
            for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(kept)
            self.step, self.tokens, self.seconds = state["step"], state["tokens"], state["seconds"]

    def save(self, name: str = "") -> None:
        """Write the checkpoint so that a torn file is never left, and the weights as they would be shipped."""
        state = {"model": self.model.state_dict(), "optimizers": [o.state_dict() for o in self.optimizers],
                 "step": self.step, "tokens": self.tokens, "seconds": self.seconds}
        target = self.file.with_name(name) if name else self.file
        torch.save(state, target.with_suffix(".part"))
        target.with_suffix(".part").replace(target)
        metadata = {key: str(value) for key, value in asdict(self.shape).items() if key in ("heads", "context", "rope_theta", "norm_eps")}
        write_safetensors(target.with_suffix(".safetensors"), self.model.export(), metadata | {"step": str(self.step), "tokens": str(self.tokens)})

    def learn(self, compiled: nn.Module, rows: Tensor, share: float) -> float:
        """One step at ``share`` of the peak rates; gives the loss before it."""
        with torch.autocast("cpu", torch.bfloat16):
            loss = compiled(rows[:, :-1], rows[:, 1:])
        loss.backward()
        nn.utils.clip_grad_norm_(self.optimizers[1].param_groups[0]["params"], 1.0)
        for optimizer, peak in zip(self.optimizers, (self.rates.muon, self.rates.adam), strict=True):
            optimizer.param_groups[0]["lr"] = peak * share
            with torch.autocast("cpu", torch.bfloat16):
                optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.tokens += rows[:, :-1].numel()
        return float(loss.detach())


def share_of_peak(training: Training, tokens: float, decay: float) -> float:
    """Warm-up, flat, then down to zero in a line over the last ``decay`` of ``tokens``."""
    left = (tokens - training.tokens) / (decay * tokens) if decay else 1.0
    return min(1.0, (training.step + 1) / training.rates.warm_up, max(0.02, left))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SHAPES, default="8M")
    parser.add_argument("--folder", type=Path, default=HERE.parent / "out" / "python", help="where data.py wrote; checkpoints go there too")
    parser.add_argument("--tokens", type=float, default=40e6, help="stop after so many")
    parser.add_argument("--decay", type=float, default=0.2, help="share of the tokens over which the rate falls to zero; 0: stays flat")
    parser.add_argument("--batch", type=int, default=4, help="windows a step")
    parser.add_argument("--muon-rate", type=float, default=Rates().muon)
    parser.add_argument("--adam-rate", type=float, default=Rates().adam)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=float, default=120, help="seconds between lines of the curve, and checkpoints")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    training = Training(args.size, args.folder, Rates(args.muon_rate, args.adam_rate), args.seed)
    print(f"{args.size}: {sum(p.numel() for p in training.model.parameters()):,} parameters, from step {training.step}", flush=True)
    run(training, args, torch.compile(training.model) if args.compile else training.model)


def run(training: Training, args: argparse.Namespace, compiled: nn.Module) -> None:
    """Step after step until the tokens are used up; a line of the curve and a checkpoint now and then."""
    train, dev = (np.fromfile(args.folder / f"{split}.bin", np.uint16) for split in ("train", "dev"))
    curve = args.folder / f"{args.size}.csv"
    if not curve.exists():
        curve.write_text("seconds,step,tokens,train_nats,dev_nats,share_of_peak\n")
    smooth, last, began = math.nan, time.monotonic(), time.monotonic() - training.seconds
    for rows in batches(train, args.batch, args.seed, training.step):
        done = training.tokens >= args.tokens
        if done or time.monotonic() - last > args.every:
            last = time.monotonic()
            training.seconds = last - began
            share = share_of_peak(training, args.tokens, args.decay)
            line = [round(training.seconds), training.step, training.tokens, f"{smooth:.4f}",
                    f"{validation(compiled, dev, 96, args.batch):.4f}", f"{share:.3f}"]
            with curve.open("a", newline="") as file:
                csv.writer(file, lineterminator="\n").writerow(line)
            print(*line, flush=True)
            training.save(f"{args.size}-final.pt" if done else "")
            if share == 1.0:
                training.save(f"{args.size}-flat.pt")
        if done:
            return
        loss = training.learn(compiled, rows, share_of_peak(training, args.tokens, args.decay))
        smooth = loss if math.isnan(smooth) else 0.97 * smooth + 0.03 * loss


if __name__ == "__main__":
    main()
