"""Trains the Game of 24 model: a small Llama-type decoder, Muon and AdamW, a learning rate that follows the clock."""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import Tensor, nn

from rookery.models.skills import JUDGE, NEXT_STEPS
from training.game24.data import Example, Generator, moves, read_hands, show_state, tokenizer

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the decoder."""

    vocabulary: int
    width: int = 128
    layers: int = 5
    heads: int = 4
    inner: int = 352
    context: int = 256
    rope_theta: float = 10000.0
    norm_eps: float = 1e-5


class Block(nn.Module):
    """Attention and SwiGLU, each behind an RMSNorm and beside the residual stream."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        d, f = shape.width, shape.inner
        self.heads = shape.heads
        self.norm_1, self.norm_2 = nn.RMSNorm(d, shape.norm_eps), nn.RMSNorm(d, shape.norm_eps)
        self.q, self.k, self.v, self.o = (nn.Linear(d, d, bias=False) for _ in range(4))
        self.gate, self.up, self.down = nn.Linear(d, f, bias=False), nn.Linear(d, f, bias=False), nn.Linear(f, d, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        b, t, d = x.shape
        h = self.norm_1(x)
        q, k, v = (linear(h).view(b, t, self.heads, d // self.heads).transpose(1, 2) for linear in (self.q, self.k, self.v))
        a = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True)
        x = x + self.o(a.transpose(1, 2).reshape(b, t, d))
        h = self.norm_2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions in the half-split layout: x (B, heads, T, head width), cos and sin (T, half the head width)."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Decoder(nn.Module):
    """The model; the embedding of a number is the same with and without a space before it, up to one shared offset."""

    def __init__(self, shape: Shape, pieces: list[str]) -> None:
        super().__init__()
        self.shape = shape
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, shape.norm_eps)
        row_of: dict[str, int] = {}
        rows = [row_of.setdefault(p.strip() if p.strip().isdigit() else p, len(row_of)) for p in pieces]
        spaced = [p.startswith(" ") and p.strip().isdigit() for p in pieces]
        self.register_buffer("rows", torch.tensor(rows), persistent=False)
        self.register_buffer("spaced", torch.tensor(spaced, dtype=torch.float32)[:, None], persistent=False)
        self.table = nn.Parameter(self._start(list(row_of)))
        self.space = nn.Parameter(torch.randn(shape.width) * 0.02)
        half = shape.width // shape.heads // 2
        angles = torch.arange(shape.context)[:, None] * shape.rope_theta ** (-torch.arange(half) / half)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        for block in self.blocks:
            for linear in (block.o, block.down):
                nn.init.zeros_(linear.weight)
            for linear in (block.q, block.k, block.v, block.gate, block.up):
                nn.init.normal_(linear.weight, std=0.5 / math.sqrt(shape.width))

    def _start(self, names: list[str]) -> Tensor:
        # Numbers start with waves of many periods beside noise: sums then need not be learned number by number.
        d = self.shape.width
        table = torch.randn(len(names), d) * 0.02
        periods = torch.logspace(math.log10(2), math.log10(800), d // 2)
        for i, name in enumerate(names):
            if name.isdigit():
                phase = 2 * math.pi * int(name) / periods
                table[i] = 0.5 * table[i] + 0.024 * torch.cat((phase.cos(), phase.sin()))
        return table

    def embedding(self) -> Tensor:
        """The table by token id, shape (V, width)."""
        return self.table[self.rows] + self.spaced * self.space

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """The last hidden states (B, T, width) and the embedding table, which is also the head."""
        table = self.embedding()
        x = F.embedding(ids, table)
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        for block in self.blocks:
            x = block(x, cos, sin)
        return self.norm(x), table

    def export(self) -> dict[str, np.ndarray]:
        """The weights in fp16 under the names that Llama checkpoints use."""
        tensors = {"model.embed_tokens.weight": self.embedding(), "model.norm.weight": self.norm.weight}
        places = {"q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj", "o": "self_attn.o_proj",
                  "gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj",
                  "norm_1": "input_layernorm", "norm_2": "post_attention_layernorm"}
        for i, block in enumerate(self.blocks):
            tensors |= {f"model.layers.{i}.{place}.weight": getattr(block, name).weight for name, place in places.items()}
        return {name: tensor.detach().numpy().astype(np.float16) for name, tensor in tensors.items()}


def write_safetensors(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """The safetensors format: header length, JSON header, raw little-endian data."""
    header: dict[str, object] = {"__metadata__": metadata}
    at = 0
    for name, array in tensors.items():
        header[name] = {"dtype": "F16", "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(array.tobytes() for array in tensors.values()))


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal by five Newton-Schulz steps (Jordan et al. 2024, "Muon")."""

    def __init__(self, params: list[nn.Parameter], lr: float, momentum: float = 0.95, decay: float = 0.01) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[nn.Parameter]] = {}
            for p in group["params"]:
                by_shape.setdefault(p.shape, []).append(p)
            for shape, params in by_shape.items():
                updates = []
                for p in params:
                    m = self.state[p].setdefault("m", torch.zeros_like(p))
                    m.lerp_(p.grad, 1 - group["momentum"])
                    updates.append(p.grad.lerp(m, group["momentum"]))
                scale = group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
                for p, u in zip(params, orthogonal(torch.stack(updates)), strict=True):
                    p.mul_(1 - group["lr"] * group["decay"]).add_(u, alpha=-scale)


def orthogonal(g: Tensor) -> Tensor:
    """The nearest orthogonal matrices, roughly; g has shape (N, rows, columns)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    flip = g.shape[-2] > g.shape[-1]
    x = g.mT if flip else g
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        s = x @ x.mT
        x = a * x + (b * s + c * s @ s) @ x
    return x.mT if flip else x


# ------------------------------------------------------------------ batches

MIX = {"next 4": 10, "next 3": 9, "next 2": 6, "expression": 4}
"""Examples of each kind in a step of one worker; beside them the judge's, all in one batch."""
JUDGED = {4: 8, 3: 72, 2: 20, 1: 2}
LOSS_WEIGHT = {"next 4": 1.0, "next 3": 0.5, "next 2": 0.2, "expression": 0.3, "judge": 0.8}


def batches(generator: Generator) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
    """For ever: for each kind of example the ids and the targets (-100 where nothing is learned)."""
    while True:
        drawn = {"judge": [generator.judge(n) for n, count in JUDGED.items() for _ in range(count)]}
        for kind, count in MIX.items():
            if kind == "expression":
                drawn[kind] = [generator.expression() for _ in range(count)]
            else:
                drawn[kind] = [generator.next_steps(int(kind[-1])) for _ in range(count)]
        yield {kind: padded(examples) for kind, examples in drawn.items()}


def padded(examples: list[Example]) -> tuple[Tensor, Tensor]:
    """Ids (B, T) and, one place on, targets (B, T)."""
    width = max(len(e.prompt) + len(e.answer) for e in examples) - 1
    width += -width % 8
    ids = torch.ones(len(examples), width, dtype=torch.long)
    targets = torch.full((len(examples), width), -100)
    for row, e in enumerate(examples):
        whole = e.prompt + e.answer
        ids[row, : len(whole) - 1] = torch.tensor(whole[:-1])
        targets[row, len(e.prompt) - 1 : len(whole) - 1] = torch.tensor(e.answer)
    return ids, targets


def loss_of(model: nn.Module, ids: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy over the answers' tokens, in nats."""
    hidden, table = model(ids)
    learned = targets != -100
    return F.cross_entropy(hidden[learned] @ table.T, targets[learned])


# ------------------------------------------------------------------ evaluation on the dev hands


@torch.no_grad()
def evaluate(model: Decoder, dev: list[tuple[tuple[int, int], ...]]) -> dict[str, float]:
    """Share of first greedy steps that are legal and that keep 24; the judge's accuracy; how much good steps weigh."""
    tokens = tokenizer()
    def last(texts: list[list[int]]) -> Tensor:
        hidden, table = model(torch.tensor(texts))
        return hidden[:, -1] @ table.T

    rows = [tokens.encode(NEXT_STEPS.prompt(show_state(hand))) for hand in dev]
    for _ in range(10):
        rows = [[*row, int(i)] for row, i in zip(rows, last(rows).argmax(-1), strict=True)]
    legal = keeps = 0
    for hand, row in zip(dev, rows, strict=True):
        line = tokens.decode(row).split("Steps:\n")[1].split("\n")[0]
        found = {move.text: move.keeps for move in moves(hand)}
        legal += line in found
        keeps += found.get(line, False)
    sure, impossible = tokens.encode("sure")[0], tokens.encode("impossible")[0]
    out = {"legal": legal / len(dev), "keeps": keeps / len(dev)}
    known = [(tokens.encode(JUDGE.prompt(show_state(move.left))), move.keeps)
             for hand in dev for move in moves(hand) if move.result[1] == 1]
    judged = last([text for text, _ in known])
    right: dict[bool, list[bool]] = {True: [], False: []}
    for (_, truth), row in zip(known, judged, strict=True):
        right[truth].append(bool(row[sure] > row[impossible]) == truth)
    return out | {"sure right": float(np.mean(right[True])), "impossible right": float(np.mean(right[False]))}


# ------------------------------------------------------------------ the loop


def rate(elapsed: float, budget: float, step: int) -> float:
    """The learning rate as a share of its peak: warm-up, flat for 45 % of the time, then down to zero in a line."""
    return min(1.0, (step + 1) / 100) * min(1.0, max(0.0, (1 - elapsed / budget) / 0.55))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3000)
    parser.add_argument("--out", type=Path, default=HERE.parent / "out" / "game24")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--inner", type=int, default=352)
    parser.add_argument("--muon-rate", type=float, default=0.02)
    parser.add_argument("--adam-rate", type=float, default=0.004)
    parser.add_argument("--checkpoint-every", type=float, default=240)
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each; they average their gradients")
    parser.add_argument("--compile", action="store_true", help="torch.compile: minutes to start, faster after")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(train, (args, f"file://{folder}/meeting"), args.workers)


def train(rank: int, args: argparse.Namespace, meeting: str) -> None:
    """One worker: draws its own examples; the same weights as the others at every step."""
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=args.workers)
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)

    held_out, dev = read_hands(HERE / "held_out.csv"), read_hands(HERE / "dev.csv")
    generator = Generator(held_out | dev, seed=args.seed + 1000 * rank)
    tokens = tokenizer()
    tokens.save(args.out / "tokenizer.json")
    pieces = json.loads((args.out / "tokenizer.json").read_text())["pieces"]
    shape = Shape(len(pieces), args.width, args.layers, args.width // 32, args.inner)
    model = Decoder(shape, pieces)
    matrices = [p for name, p in model.blocks.named_parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if not any(p is m for m in matrices)]
    compiled = torch.compile(model, dynamic=True) if args.compile else model
    optimizers = [Muon(matrices, args.muon_rate), torch.optim.AdamW(others, args.adam_rate, (0.9, 0.98), weight_decay=0.01)]
    peaks = [args.muon_rate, args.adam_rate]
    say = print if rank == 0 else (lambda *_, **__: None)
    say(json.dumps({"parameters": sum(p.numel() for p in model.parameters()), **asdict(shape)}), flush=True)

    start = time.monotonic()
    last_checkpoint = last_line = 0.0
    elapsed, seen, smooth = 0.0, 0, dict.fromkeys(LOSS_WEIGHT, 0.0)
    for step, batch in enumerate(batches(generator)):
        for optimizer, peak in zip(optimizers, peaks, strict=True):
            optimizer.param_groups[0]["lr"] = peak * rate(elapsed, args.seconds, step)
        for kind, (ids, targets) in batch.items():
            loss = loss_of(compiled, ids, targets)
            (loss * LOSS_WEIGHT[kind]).backward()
            smooth[kind] += (loss.item() - smooth[kind]) * max(0.02, 1 / (step + 1))
            seen += ids.numel() * args.workers
        elapsed = average(model, time.monotonic() - start)
        nn.utils.clip_grad_norm_(others, 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        done = elapsed >= args.seconds
        if elapsed - last_line > 20 or done:
            last_line = elapsed
            line = {"s": round(elapsed), "step": step, "tok/s": round(seen / elapsed)}
            say(json.dumps(line | {kind: round(value, 4) for kind, value in smooth.items()}), flush=True)
        if rank == 0 and (elapsed - last_checkpoint > args.checkpoint_every or done):
            last_checkpoint = elapsed
            scores = evaluate(model, sorted(dev))
            say(json.dumps({"s": round(elapsed), "dev": {k: round(v, 3) for k, v in scores.items()}}), flush=True)
            config = {"heads": str(shape.heads), "context": str(shape.context), "rope_theta": str(shape.rope_theta),
                      "norm_eps": str(shape.norm_eps), "seconds": str(round(elapsed)), "step": str(step)}
            write_safetensors(args.out / "model.safetensors", model.export(), config)
        if done:
            return


def average(model: nn.Module, elapsed: float) -> float:
    """Average the gradients over the workers, in place; gives the average time, so that all see the same clock."""
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([*(g.flatten() for g in grads), torch.tensor([elapsed])])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    at = 0
    for g in grads:
        g.copy_(flat[at : at + g.numel()].view_as(g))
        at += g.numel()
    return float(flat[-1])


if __name__ == "__main__":
    main()
