"""Carrying out the shared suites against a memory; tests assert that nothing is wrong, the benchmark counts."""

from __future__ import annotations

import json
import re
from pathlib import Path

from rookery.errors import ItemUnknown
from rookery.memory import Memory
from rookery.memory.exact import ExactVectors
from tests.memory.cases import Case, Step

LINE = re.compile(r'\[memory [0-9a-f]{8}/[0-9a-f]{12} \| \d{4}[^\n]*\] ("(?:[^"\\\n]|\\.)*")')


async def wrong_in(case: Case, folder: Path) -> str:
    """The first step of a symbol case that does not give what it must; empty when all do."""
    memories: dict[str, Memory] = {}
    try:
        for number, step in enumerate(case.steps, 1):
            if step.verb == "reopen":
                for memory in memories.values():
                    await memory.aclose()
                memories.clear()
                continue
            if step.scope not in memories:
                memories[step.scope] = Memory(scope=step.scope, path=folder, vectors=ExactVectors())
            fault = await _wrong(step, memories[step.scope])
            if fault:
                return f"step {number} ({step.verb} {step.text[:60]!r}): {fault}"
        return ""
    finally:
        for memory in memories.values():
            await memory.aclose()


async def _wrong(step: Step, memory: Memory) -> str:
    if step.verb == "read":
        found = (await memory.read(step.text, window=step.window, labels=step.labels)).text
        return "" if step.expect is None or found == step.expect else f"gave {found[:200]!r}"
    if step.verb == "quoted":
        found = (await memory.read(step.text)).text
        match = LINE.fullmatch(found)
        return "" if match and json.loads(match[1]) == step.expect else f"gave {found[:200]!r}"
    if step.verb == "symbol":
        text = await memory.symbol(step.text, step.version)
        return "" if text == step.expect else f"has {text[:200]!r}"
    if step.verb == "list":
        names = await memory.symbols()
        return "" if names == step.expect else f"has {names}"
    if step.verb == "forget":
        await memory.forget(scope=memory.scope)
        return ""
    try:
        await memory.symbol(step.text, step.version)
    except ItemUnknown:
        return ""
    return "was found"


def unquoted(text: str, payload: str) -> str:
    """What is wrong with a rendered recollection that holds a payload; empty when it is one line of quoted data with its source."""
    lines = text.split("\n")
    if not lines[0].startswith("Quotations from memory"):
        return "no sentence says that these are data"
    for line in lines[1:]:
        match = LINE.fullmatch(line)
        if match is None:
            return f"a line is not a quotation: {line[:120]!r}"
        if re.search(r"<[|/!?]|\|>", match[1]) or any(not (char.isprintable() or char == " ") for char in match[1]):
            return f"signs that something obeys are not escaped: {match[1][:120]!r}"
        if json.loads(match[1]) == payload and "| page 7" in line:
            return ""
    return "the payload is not there with its source"
