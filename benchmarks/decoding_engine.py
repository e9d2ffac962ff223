"""The embedded engine: what its prefix cache saves, and how fast it is beside llama.cpp and transformers, one thread each.

The prefix cache is measured on the shipped model ``embedded:python``, the engines on random weights of about 8M parameters (6 layers,
width 320, 3,072 tokens) that all of them load. A contestant that is not installed is left out and its targets have no data.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import ROOT, Slow, Target, Worker, finish, options, say, table
from rookery.models.embedded import WEIGHTS, EmbeddedModel
from rookery.models.model import Message, Request, Sampling, complete

SIBLINGS, PROMPT_TOKENS = 32, 400
CONTESTANTS = ("rookery", "llama.cpp", "transformers")
THREADS = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
START = """
import time; began = time.perf_counter()
import asyncio
from rookery.models.provider import model
from rookery.models.model import Message, Request, Sampling, complete
asyncio.run(complete(model("embedded:{name}"), Request((Message.of("user", {prompt!r}),), Sampling(max_tokens=1))))
print(time.perf_counter() - began)
"""
RESIDENT = "\nprint(next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM')) / 1024)"
CODE = '''import json
from pathlib import Path


class Store:
    """Values by name, kept in one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values: dict[str, object] = {}
        self.is_changed = False

    def load(self) -> None:
        """Read what is there; a file that is missing is an empty store."""
        if self.path.exists():
            self.values = json.loads(self.path.read_text())

    def get(self, name: str, default: object = None) -> object:
        return self.values.get(name, default)

    def put(self, name: str, value: object) -> None:
        if self.values.get(name) != value:
            self.values[name] = value
            self.is_changed = True

    def remove(self, name: str) -> bool:
        found = self.values.pop(name, None)
        self.is_changed = self.is_changed or found is not None
        return found is not None

'''


# ------------------------------------------------------------------ part 5: the prefix cache


def prompts(count: int) -> list[str]:
    """Siblings: the same begin of about 400 tokens, and each an end of its own."""
    encode = EmbeddedModel("python").token_model().vocabulary.encode
    begin, more = CODE, 0
    while len(encode(begin)) < PROMPT_TOKENS - 12:
        begin += f"    def size_{more}(self) -> int:\n        return len(self.values)\n\n"
        more += 1
    return [f"{begin}    def part_{number}(self" for number in range(count)]


def unique_tokens(texts: Sequence[str]) -> int:
    """The nodes of the tree that the prompts' tokens form."""
    encode = EmbeddedModel("python").token_model().vocabulary.encode
    return len({tuple(ids[:size]) for ids in map(encode, texts) for size in range(1, len(ids) + 1)})


async def _siblings(texts: Sequence[str], cached_prompts: int) -> tuple[float, int]:
    """Seconds for the first token of each, all asked at once, and the tokens that had to be computed."""
    model = EmbeddedModel("python", cached_prompts=cached_prompts)
    await complete(model, _first_token("x = 1\n"))  # loads the weights
    began = time.perf_counter()
    replies = await asyncio.gather(*(complete(model, _first_token(text)) for text in texts))
    seconds = time.perf_counter() - began
    await model.aclose()
    return seconds, sum(usage.prompt_tokens - usage.cached_tokens for _, usage, _ in replies)


def _first_token(text: str) -> Request:
    return Request((Message.of("user", text),), Sampling(temperature=0.0, max_tokens=1))


def prefix_cache(rounds: int) -> dict[str, Any] | None:
    """Part 5; None where the model is not shipped."""
    if not (WEIGHTS / "python" / "model.safetensors").exists():
        return None
    texts = prompts(SIBLINGS)
    unique = unique_tokens(texts)
    laps = [(asyncio.run(_siblings(texts, 64)), asyncio.run(_siblings(texts, 0))) for _ in range(rounds)]
    with_cache, without = min(lap[0][0] for lap in laps), min(lap[1][0] for lap in laps)
    return {"siblings": SIBLINGS, "unique_tokens": unique, "prefilled_tokens": laps[0][0][1], "prefilled_without": laps[0][1][1],
            "with_cache_s": with_cache, "without_s": without, "share_prefilled": laps[0][0][1] / unique, "speed_up": without / with_cache}


# ------------------------------------------------------------------ part 6: engines


def engines(rounds: int, *, steps: int) -> dict[str, Any]:
    """Tokens a second of each contestant, taking turns; each in a process of its own with one thread."""
    os.environ.update(THREADS)
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "benchmarks.decoding_engine_peers", folder], cwd=ROOT, check=True)
        workers = {name: Worker("benchmarks.decoding_engine_peers") for name in CONTESTANTS}
        for lap in range(rounds):
            for name, worker in workers.items():
                if found.get(name, {}).get("absent"):
                    continue
                try:
                    answer = worker.ask({"do": name, "folder": folder, "steps": steps}, timeout_s=300)
                except (Slow, ChildProcessError) as error:
                    answer = {"absent": str(error)}
                say(f"lap {lap + 1}, {name}: {json.dumps(answer)[:160]}")
                kept = found.setdefault(name, answer)
                found[name] = kept | {key: max(kept[key], value) for key, value in answer.items() if key.endswith("_per_s")}
        for worker in workers.values():
            worker.close()
        logits = {name: Path(folder, f"{name}.json") for name in CONTESTANTS}
        mine, theirs = (json.loads(path.read_text()) if path.exists() else None for path in (logits["rookery"], logits["transformers"]))
    apart = None if mine is None or theirs is None else max(abs(a - b) for a, b in zip(mine, theirs, strict=True))
    return {"contestants": found, "logits_apart": apart}


def start_up(rounds: int) -> dict[str, float | None]:
    """Seconds from the first line to the first token, and MB above a bare Python, of the largest model that is shipped."""
    name, prompt = ("python", "import os\nos.") if (WEIGHTS / "python" / "model.safetensors").exists() else ("game24", "")
    if not prompt:
        return {"start_s": None, "resident_mb": None}
    environment = os.environ | THREADS
    code = START.format(name=name, prompt=prompt) + RESIDENT

    def run(text: str) -> list[float]:
        return [float(line) for line in subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, cwd=ROOT,
                                                       env=environment).stdout.split()]

    laps = [run(code) for _ in range(rounds)]
    return {"start_s": min(lap[0] for lap in laps), "resident_mb": min(lap[1] for lap in laps) - run(RESIDENT)[0]}


# ------------------------------------------------------------------ the whole


def targets_of(figures: dict[str, Any]) -> list[Target]:
    cache = figures["prefix_cache"] or {}
    found, start = figures["engines"]["contestants"], figures["start_up"]

    def ratio(other: str, key: str = "decode_per_s") -> float | None:
        ours, theirs = found["rookery"].get("decode_per_s"), found.get(other, {}).get(key)
        return None if not ours or not theirs else ours / theirs

    batch, one = found["rookery"].get("siblings_per_s"), found["rookery"].get("decode_per_s")
    return [
        Target("prefilled tokens of 32 siblings, beside the unique ones", cache.get("share_prefilled"), 1.05, "×"),
        Target("32 siblings, speed with the prefix cache", cache.get("speed_up"), 5.0, "×", at_least=True),
        Target("tokens/s beside llama.cpp f32", ratio("llama.cpp"), 0.85, "×", at_least=True),
        Target("tokens/s beside transformers", ratio("transformers"), 1.8, "×", at_least=True),
        Target("tokens/s of 32 siblings beside one", batch / one if batch and one else None, 4.5, "×", at_least=True),
        Target("start-up to the first token", start["start_s"], 0.5, " s"),
        Target("memory over bare Python", start["resident_mb"], 100.0, " MB"),
        Target("logits apart from torch", figures["engines"]["logits_apart"], 1e-4),
    ]


def lines_of(figures: dict[str, Any]) -> list[str]:
    lines = []
    if cache := figures["prefix_cache"]:
        lines.append(f"{cache['siblings']} siblings: {cache['prefilled_tokens']} tokens computed of {cache['unique_tokens']} different ones in "
                     f"{1000 * cache['with_cache_s']:.0f} ms; without the cache {cache['prefilled_without']} in {1000 * cache['without_s']:.0f} ms")
    lines += table(["engine", "prefill tok/s", "decode tok/s", "32 siblings tok/s", ""], [
        [name, found.get("prefill_per_s"), found.get("decode_per_s"), found.get("siblings_per_s"), found.get("absent", "")]
        for name, found in figures["engines"]["contestants"].items()])
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    chosen = options(__doc__, argv)
    rounds = 2 if chosen.quick else 5
    figures = {"prefix_cache": prefix_cache(rounds), "engines": engines(rounds, steps=64 if chosen.quick else 128), "start_up": start_up(rounds)}
    return finish("decoding_engine", figures, targets_of(figures), lines_of(figures), chosen)


if __name__ == "__main__":
    sys.exit(main())
