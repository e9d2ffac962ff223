"""Arguments made up from JSON Schemas, to see what functions do: small, edgy, often equal, and near the constants of their sources."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]
LETTERS = "abcABC xyz()[]{}01289 _-,.+*/\n"
WORDS = ("", "a", "ab", "abc", "aba", "hello world", "Hello World", "racecar", "()", "(()())", "1 2 3", "12", "-7", "3.5", "a,b", "AbC", "x_y", "  ")


def make_inputs(
    params: Mapping[str, Schema], *, count: int, seed: int = 0, constants: Sequence[Any] = (), examples: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """``count`` calls at most, all different, the same for the same arguments.

    About half of them are ``examples`` with something changed, where there are examples: many functions take only what is
    like them. ``constants`` are those of the source: values at and beside them tell ``<`` from ``<=``.
    """
    draw = _Draw(random.Random(seed), constants)
    made: dict[str, dict[str, Any]] = {}
    for example in examples:
        _keep(made, {name: example[name] for name in params if name in example}, params)
    for turn in range(count * 4):
        if len(made) >= count:
            break
        if examples and turn % 2:
            call = draw.near(examples[draw.random.randrange(len(examples))], params)
        else:
            call = {name: draw.value(schema) for name, schema in params.items() if "default" not in schema or draw.random.random() < 0.75}
            if turn % 3 == 0:
                call = draw.related(call, params)
        _keep(made, call, params)
    return list(made.values())[:count]


def _keep(made: dict[str, dict[str, Any]], call: dict[str, Any], params: Mapping[str, Schema]) -> None:
    if all(name in call or "default" in schema for name, schema in params.items()):
        made.setdefault(json.dumps(call, sort_keys=True, default=str), call)


class _Draw:
    """Values by schema, from one stream of random numbers."""

    def __init__(self, source: random.Random, constants: Sequence[Any]) -> None:
        self.random = source
        self.whole = [value for value in constants if type(value) is int and abs(value) < 10**12]
        self.texts = [value for value in constants if type(value) is str and len(value) <= 200]
        self.floats = [value for value in constants if type(value) is float]
        self.kinds: dict[str, Callable[[Schema, int], Any]] = {
            "integer": lambda schema, depth: self.integer(depth), "number": lambda schema, depth: self.number(depth),
            "string": lambda schema, depth: self.string(), "boolean": lambda schema, depth: self.random.random() < 0.5,
            "null": lambda schema, depth: None, "array": self.array, "object": self.object,
        }  # fmt: skip

    def value(self, schema: Schema, depth: int = 0) -> Any:
        choose = self.random.choice
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return choose(schema["enum"])
        if schema.get("anyOf"):
            return self.value(choose(schema["anyOf"]), depth)
        kind = schema.get("type") or choose(["integer", "string", "array", "number"] if depth < 2 else ["integer", "string"])
        kind = choose(kind) if isinstance(kind, list) else kind
        return self.kinds.get(str(kind), self.kinds["integer"])(schema, depth)

    def integer(self, depth: int) -> int:
        chance = self.random.random()
        if self.whole and chance < 0.3:
            return self.random.choice(self.whole) + self.random.choice((-1, 0, 0, 1))
        if chance < 0.5 or depth:
            return self.random.randint(-2, 9) if chance < 0.85 else self.random.randint(-30, 100)
        return self.random.choice((0, 1, -1, 2, 3, 7, 10, 12, 100, 255, 997, -50, 1000, self.random.randint(-(10**4), 10**5)))

    def number(self, depth: int) -> float:
        if self.floats and self.random.random() < 0.3:
            return self.random.choice(self.floats) + self.random.choice((-0.5, 0.0, 0.0, 0.5))
        return self.integer(depth) + self.random.choice((0.0, 0.0, 0.5, 0.25, -0.125))

    def string(self) -> str:
        chance = self.random.random()
        if self.texts and chance < 0.3:
            text = self.random.choice(self.texts)
            return text if chance < 0.15 else self.spoilt(text)
        if chance < 0.6:
            return self.random.choice(WORDS)
        letters = self.random.choice((LETTERS, "ab", "abcdefghij", "()", "0123456789", "aeiou bcd"))
        return "".join(self.random.choice(letters) for _ in range(self.random.choice((1, 2, 3, 5, 8, 13))))

    def spoilt(self, text: str) -> str:
        at = self.random.randint(0, len(text))
        longer, shorter = text[:at] + self.random.choice(LETTERS) + text[at:], text[:at] + text[at + 1 :]
        return self.random.choice((longer, shorter, text * 2, text[::-1], text.swapcase()))

    def array(self, schema: Schema, depth: int) -> list[Any]:
        if schema.get("prefixItems"):
            return [self.value(item, depth + 1) for item in schema["prefixItems"]]
        items: Schema = schema.get("items") or {"type": "integer"}
        size = self.random.choice((0, 1, 2, 3, 4, 5, 8) if depth < 1 else (0, 1, 2, 3))
        made = [self.value(items, depth + 1) for _ in range(size)]
        if made and self.random.random() < 0.4:  # many functions look for what is there twice
            made.insert(self.random.randint(0, len(made)), self.random.choice(made))
        if self.random.random() < 0.15:
            try:
                made.sort(reverse=self.random.random() < 0.3)
            except TypeError:
                return made
        return made

    def object(self, schema: Schema, depth: int) -> dict[str, Any]:
        if schema.get("properties"):
            needed = set(schema.get("required", schema["properties"]))
            return {name: self.value(part, depth + 1) for name, part in schema["properties"].items() if name in needed or self.random.random() < 0.5}
        values = schema.get("additionalProperties")
        inner: Schema = values if isinstance(values, Mapping) else {"type": "integer"}
        return {self.string(): self.value(inner, depth + 1) for _ in range(self.random.choice((0, 1, 2, 3)))}

    def related(self, call: dict[str, Any], params: Mapping[str, Schema]) -> dict[str, Any]:
        """The same call with arguments that have to do with one another: equal ones, one that is in the other."""
        names = list(call)
        if len(names) < 2:
            return call
        one, other = self.random.sample(names, 2)
        if _kind(params[one]) == _kind(params[other]):
            return {**call, one: call[other]}
        if isinstance(call[other], list) and call[other] and params[other].get("items") == _kind(params[one]):
            return {**call, one: self.random.choice(call[other])}
        return call

    def near(self, example: Mapping[str, Any], params: Mapping[str, Schema]) -> dict[str, Any]:
        """An example with one of its arguments changed a little, or drawn anew."""
        call = {name: example[name] for name in params if name in example}
        if call:
            name = self.random.choice(list(call))
            call[name] = self.value(params[name]) if self.random.random() < 0.2 else self.changed(call[name])
        return call

    def changed(self, value: Any) -> Any:
        if isinstance(value, bool):
            return not value
        if isinstance(value, int):
            return value + self.random.choice((-10, -2, -1, 1, 2, 5)) if self.random.random() < 0.8 else self.integer(0)
        if isinstance(value, float):
            return value + self.random.choice((-1.0, -0.5, 0.5, 1.0, 3.0))
        if isinstance(value, str):
            return self.spoilt(value)
        if isinstance(value, list):
            return self.changed_list(list(value))
        if isinstance(value, dict) and value:
            key = self.random.choice(list(value))
            return {**value, key: self.changed(value[key])}
        return value

    def changed_list(self, items: list[Any]) -> list[Any]:
        if not items:
            return items
        at, turn = self.random.randrange(len(items)), self.random.randrange(6)
        if turn == 0:
            del items[at]
        elif turn == 1:
            items.insert(at, items[self.random.randrange(len(items))])
        elif turn == 2:
            items.reverse()
        elif turn == 3:
            other = self.random.randrange(len(items))
            items[at], items[other] = items[other], items[at]
        else:
            items[at] = self.changed(items[at])
        return items


def _kind(schema: Schema) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in ("default", "description", "title")}


def rearranged(calls: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The calls with their arguments renamed."""
    for call in calls:
        yield {names.get(name, name): value for name, value in call.items()}
