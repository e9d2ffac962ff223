"""Workflow files mutated by chance: for the fuzzing of ``benchmarks.workflows`` and a few in the tests."""

from __future__ import annotations

import random

from benchmarks.broken import cases

ARTICLE = """\
version: 1
inputs: {topic: str, user: str, n: {type: int, default: 5}}
types:
  Section: {heading: str, body: str, sources: "list[str]", size: {type: int, ge: 0, default: 1}}
  Tone: [warm, cold]
models:
  default: embedded:game24
  writer: {use: "openai:gpt-5-mini", fallback: ["litellm:anthropic/claude"], max_in_flight: 8}
memory: {scope: "user:{user}", path: ./memory}
tools: [calculate, {mcp: {command: ["uvx", "mcp-server-fetch"]}}]
prompts:
  next_angles: {prompt: "Three angles on {state}.", returns: "list[str]"}
  judge: {prompt: "Score {state} from 0 to 1.", returns: float}
agents:
  helper: {role: You help., tools: [calculate], limit: {calls: 5}}
workflows:
  inner:
    inputs: {t: str}
    calls:
      a: {prompt: "in {t}"}
    output: $a
calls:
  angle:    {plan: {planner: beam, width: 5, propose: next_angles, evaluate: judge}, state: $topic, limit: {tokens: 20000}}
  heads:    {prompt: "List {n} section titles about {angle}.", returns: "list[str]"}
  sections: {each: {title: $heads}, prompt: "Write {title} of {topic}.", returns: Section, model: writer, retry: {attempts: 3}, timeout_s: 60}
  checked:  {when: "size(sections) > 2 && sections.all(s, s.body != '')", prompt: "Check {sections}", otherwise: none}
  better:
    loop: {prompt: "Better: {text}"}
    with: {text: $checked}
    until: "size(text) > 10"
    times: 3
    or_last: true
  sub:      {workflow: inner, each: {t: $heads}}
  asked:    {agent: helper, question: $better}
  ok:       {ask: "Publish?", returns: bool, show: {text: $asked, more: [$sub, 1.5, null]}}
  last:     {when: ok, then: $asked, otherwise: "no"}
output: $last
effects: [ok]
limit: {usd: 0.5, seconds: 300}
"""
PIECES = [
    "$", "$x", "$heads[0]", "{", "}", "{{", "}}", "[", "]", ": ", "- ", "#", "'", '"', "|", ">", "&a ", "*a", "!!x ", "? ", "%", "@", "`", "\t", "\n",
    "\n\n", "  ", "---\n", "...\n", "null", "true", "1e999", "-1", "99999999999999999999", ".nan", "<<: *a\n", "\\", "\x00",
    "\x7f", "é", "🐦", "\u2028",
    "list[", "Literal['a", "int | ", "file:", "file:../x", "size(", "&&", " > ", "x.y.z", "[0]", ".all(s, ", "when: ", "loop: ", "each: ", "plan: ",
    "prompt: ", "tool: ", "with: ", "output: ", "version: 2\n", "inputs", "calls", "__class__", "{a.__b__}", "{a!r}", "{a:>9}", "9" * 400, "x" * 2000,
    "[" * 70, "{a: " * 70, "(" * 200, "!" * 200, "a." * 300,
]  # fmt: skip


def seeds() -> list[str]:
    """The files that are mutated: a whole one, and those that are broken already."""
    small = [case.data.decode("utf-8", "replace") for case in cases() if len(case.data) < 3_000]
    return [*[ARTICLE] * 100, *small]


def mutated(texts: list[str], chance: random.Random) -> bytes:
    """One of the texts with a few changes."""
    text = chance.choice(texts)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        text = chance.choice(_CHANGES)(text, chance)
    data = text.encode("utf-8", "surrogatepass")
    if chance.random() < 0.02 and data:
        at = chance.randrange(len(data))
        data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
    return data


def _cut(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + text[at + chance.choice((1, 1, 2, 5, 20)) :]


def _put(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(PIECES) + text[at:]


def _swap(text: str, chance: random.Random) -> str:
    lines = text.split("\n")
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return "\n".join(lines)


def _again(text: str, chance: random.Random) -> str:
    lines = text.split("\n")
    at = chance.randrange(len(lines))
    return "\n".join([*lines[:at], lines[at], *lines[at:]])


def _drop(text: str, chance: random.Random) -> str:
    lines = text.split("\n")
    del lines[chance.randrange(len(lines))]
    return "\n".join(lines)


def _indent(text: str, chance: random.Random) -> str:
    lines = text.split("\n")
    at = chance.randrange(len(lines))
    lines[at] = chance.choice(("  ", " ", "\t", "    ")) + lines[at] if chance.random() < 0.6 else lines[at].lstrip()
    return "\n".join(lines)


def _word(text: str, chance: random.Random) -> str:
    """A word of the text in another one's place."""
    words = text.split(" ")
    words[chance.randrange(len(words))] = chance.choice(words)
    return " ".join(words)


_CHANGES = (_cut, _put, _put, _swap, _again, _drop, _indent, _word, _word)
