"""Graphs drawn by chance, of everything that a Python graph can say and YAML too: for the round trips of ``benchmarks.workflows``."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from rookery import Attempts, Graph, Label, ask, graph, keep_ok, loop, none_for_failed, prompt, tool, when


class Part(BaseModel):
    """One part of a text."""

    title: str
    weight: float = Field(default=1.0, ge=0, description="how much it counts")
    notes: list[str] = []


@dataclass(frozen=True)
class Pair:
    left: int
    right: str = "none"


Tone = Literal["warm", "cold"]


@prompt
def sentence(topic: str) -> str:
    """One sentence about {topic}."""


@prompt(temperature=0.2, max_tokens=50, stop=("END",), attempts=Attempts(stop=4, wait=2.0))
def listed(topic: str, n: int = 3) -> list[str]:
    """{n} words about {topic}.

    One a line; write "{{" nowhere: it's no JSON.
    """


@prompt(form="json", system="You write parts.\nNothing else.", model="writer", fallback=("openai:other",))
def part(title: str, tone: Tone = "warm") -> Part: ...


@prompt(timeout_s=3.5, repair=0, cache=True, seed=7)
def weigh(part: Part, pair: Pair | None = None) -> float:
    """How much is {part.title} worth, from 0 to 1?"""


@tool
def size(text: str) -> int:
    return len(text)


@tool(pure=True)
def joined(texts: list[str], sign: str = ", ") -> str:
    return sign.join(texts)


@tool
def titles(parts: list[Part]) -> list[str]:
    return [one.title for one in parts]


@tool
def is_large(number: int) -> bool:
    return number > 3


@tool
def told(anything: Any, pair: Pair) -> str:
    return f"{anything} {pair}"


@tool
def corner(place: tuple[int, str], table: dict[int, float]) -> str:
    return f"{place} {table}"


@tool(effect=True)
def noted(text: str) -> None:
    return None


@tool
def grown(text: str, by: str = "!") -> str:
    return text + by


TOOLS = [size, joined, titles, is_large, told, corner, noted, grown]
WORDS = [
    *("rooks", "a: b", "- no list", "$topic", "{topic}", "$$5 and {x}", "it's", 'a "quote"', "two\nlines", " led by a blank", "", "true", "12"),
    *("null", "#", "Zażółć 🐦", "a\ttab", "ends with a line\n", "no", "1e3", "0x1f", "{{x}}", "`ls`", "é", "* *", "&a", "!!str", "%", "@", "["),
    *("\\", "x" * 130, "~", ": ", "\r", "a\r\nb", "-", "?", "|", ">", "\u2028", "= 5", "1_000", "2026-11-25"),
]


@dataclass
class _Draw:
    """What there is so far: variables by type."""

    chance: random.Random
    depth: int
    texts: list[Any] = field(default_factory=list)
    lists: list[Any] = field(default_factory=list)
    numbers: list[Any] = field(default_factory=list)
    others: list[Any] = field(default_factory=list)

    def text(self) -> Any:
        return self.chance.choice(self.texts) if self.chance.random() < 0.7 else self.chance.choice(WORDS)

    def step(self) -> None:
        names = ["sentence", "listed", "each", "part", "weigh", "size", "joined", "told", "corner", "ask", "when", "loop"]
        names += ["sub", "each_sub", "whole_loop", "branch"] if self.depth else []
        getattr(self, f"_{self.chance.choice(names)}")()

    def _sentence(self) -> None:
        function = sentence if self.chance.random() < 0.7 else sentence.using(temperature=self.chance.choice([0, 0.5, 1]), model="openai:x")
        self.texts.append(function(topic=self.text()))

    def _listed(self) -> None:
        more = {} if self.chance.random() < 0.5 else {"n": self.chance.choice([2, *self.numbers])}
        self.lists.append(listed(topic=self.text(), **more))

    def _each(self) -> None:
        over = self.chance.choice([*self.lists, [self.chance.choice(WORDS) for _ in range(3)], [self.text(), self.text()]])
        gather: Any = self.chance.choice([{}, {}, {"gather": keep_ok(at_least=2)}])
        if self.chance.random() < 0.5:
            self.lists.append(sentence.using(**gather).each("topic", topic=over))
        else:
            self.lists.append(titles(parts=part.using(**gather).each("title", title=over, tone=self.chance.choice(["warm", "cold"]))))
        if self.chance.random() < 0.2:
            self.others.append(grown.using(gather=none_for_failed).each("text", text=over))

    def _part(self) -> None:
        made = part(title=self.text())
        self.texts.append(made["title"])
        self.lists.append(titles(parts=[made, Part(title="given", notes=["x: $y"])]))

    def _weigh(self) -> None:
        pair = self.chance.choice([None, Pair(1), Pair(-2, "x: y")])
        told_of = part(title=self.text())
        self.others.append(weigh(part=told_of, **({} if pair is None else {"pair": pair})))

    def _size(self) -> None:
        self.numbers.append(size(text=self.text()))

    def _joined(self) -> None:
        given: Any = self.chance.choice([*self.lists, [self.text(), "and"], ["a", "b"]])
        self.texts.append(joined(texts=given, **({} if self.chance.random() < 0.5 else {"sign": self.chance.choice(WORDS)})))

    def _told(self) -> None:
        anything: Any = self.chance.choice([self.text(), {"a": self.text(), "b": [1, 2]}, [self.text(), 1.5], {"$value": 3}, None, True, {"k": "$x"}])
        self.texts.append(told(anything=anything, pair=Pair(self.chance.randrange(9))))

    def _corner(self) -> None:
        self.texts.append(corner(place=(1, self.text()), table={1: 0.5, 2: 1e-7}))

    def _ask(self) -> None:
        kind: Any = self.chance.choice([str, bool, int, Tone, list[str]])
        made = ask(kind, self.chance.choice(["Go on?", "Which: a, b?"]), show=self.chance.choice([None, self.text(), {"text": self.text()}]))
        (self.texts if kind is str else self.others).append(made)

    def _when(self) -> None:
        which = self.chance.randrange(6)
        condition: Any = ask(bool, "This way?") if which == 0 else True if which == 1 else is_large(number=self.chance.choice([4, *self.numbers]))
        otherwise: Any = self.chance.choice([None, self.text()])
        made = when(condition, self.text(), otherwise)
        (self.texts if otherwise is not None else self.others).append(made)

    def _branch(self) -> None:
        def one() -> Any:
            noted(text=self.text())
            return sentence(topic=self.text())

        self.texts.append(when(is_large(number=4), one, lambda: grown(text="not")))

    def _loop(self) -> None:
        until: Any = self.chance.choice([None, _is_long])
        self.texts.append(loop(grown, text=self.text(), times=self.chance.randint(1, 3), until=until, or_last=self.chance.random() < 0.5))

    def _whole_loop(self) -> None:
        seed = self.chance.randrange(1 << 30)

        def body(text: str, other: str) -> Any:
            return _body(random.Random(seed), self.depth - 1, text, other, 2)

        self.texts.append(loop(body, text=self.text(), other="o", times=2, until=lambda text: is_large(number=size(text=text)), or_last=True))

    def _sub(self) -> None:
        made = drawn(self.chance.randrange(1 << 30), depth=self.depth - 1, name=self.chance.choice(["inner", "sub_flow", "inner"]))
        self.texts.append(made(topic=self.text(), key="k"))

    def _each_sub(self) -> None:
        made = drawn(self.chance.randrange(1 << 30), depth=self.depth - 1, name="inner")
        self.lists.append(made.each("topic", topic=self.chance.choice([*self.lists, ["a", "b"]]), key="k"))


@graph
def _is_long(text: str) -> bool:
    return is_large(number=size(text=text))


def _body(chance: random.Random, depth: int, topic: Any, other: Any, steps: int) -> Any:
    """Calls by chance; their texts are put together, so that all that gives text is of use."""
    draw = _Draw(chance, depth, texts=[topic, other])
    for _ in range(steps):
        draw.step()
    everything: dict[str, Any] = {"lists": draw.lists, "numbers": draw.numbers, "others": draw.others}
    return joined(texts=[*draw.texts, told(anything=everything, pair=Pair(0))])


def drawn(seed: int, *, depth: int = 2, name: str = "drawn") -> Graph:
    """The graph of a seed. Calls that nobody reads are left out of it."""
    chance = random.Random(seed)
    steps = chance.randint(1, 6)
    default = chance.choice(WORDS)

    def program(topic: str, key: Annotated[str, Label("secret")], more: str = default) -> str:
        return _body(chance, depth, topic, more, steps)  # type: ignore[no-any-return]

    program.__name__ = name
    return reached(graph(program))


def reached(whole: Graph) -> Graph:
    """The same graph without the calls that nothing needs."""
    from rookery.core.graph import names_in

    wanted: set[str] = set()
    stack = [*names_in(whole.output), *whole.effects]
    while stack:
        name = stack.pop()
        if name not in wanted and name in whole.calls:
            wanted.add(name)
            stack.extend(whole.calls[name].reads())
    calls = [call for call in whole.call_list if call.name in wanted]
    return Graph(whole.name, inputs=whole.params, calls=calls, output=whole.output, returns=whole.returns, effects=whole.effects, faults=whole.faults,
                 doc=whole.doc)  # fmt: skip
