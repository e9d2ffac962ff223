"""Which tools of a library are the same function: found by the form of their sources and by what they do in a sandbox, then merged with proof."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rookery.tools.inputs import make_inputs, rearranged
from rookery.tools.record import Alias, Example, ToolRecord, type_text
from rookery.tools.same import Form, Verdict, constants_of, correspondences, form_of, verdict
from rookery.tools.sandbox import Sandbox
from rookery.tools.source import schemas_of, shapes_of, signature_of_source, with_types
from rookery.tools.trial import Answer, prove, side_by_side, try_calls

FIRST_LOOK = 24
"""Calls by which tools of equal types are sorted into those that may be the same."""
SECOND_LOOK = 160
"""Calls, near to the constants and the stored calls of both, on which two tools must agree."""
AT_A_TIME = 2
"""Comparisons that run side by side."""
LOOK_S = 0.5
"""Seconds that one such call may take."""
_RANK = {"trusted": 0, "verified": 1, "candidate": 2, "retired": 3}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two tools that were compared, and what was found."""

    kept: str
    other: str
    verdict: Verdict
    agreed: int
    """Calls to which both gave the same value."""
    why: str = ""
    """Why they were not merged, where they might have been."""


@dataclass(frozen=True, slots=True)
class Merge:
    """A tool dropped for another, and how its calls are made there."""

    survivor: ToolRecord
    """As it is now: with the stored calls of the dropped one."""
    dropped: ToolRecord
    alias: Alias
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What a search for duplicates found."""

    merges: tuple[Merge, ...] = ()
    kept: tuple[Pair, ...] = ()
    """Pairs that look alike and were both kept, with the reason."""


async def find_duplicates(records: Sequence[ToolRecord], sandbox: Sandbox, *, new: frozenset[str] | None = None, seed: int = 0) -> Duplicates:
    """Compare the tools that have a source and say which to merge; ``new`` limits it to pairs with one of those names.

    Which of two survives: the more trusted, then the one with more successes, then the older. A merge is proposed only when the
    survivor passes every stored call of the dropped tool in the sandbox. Raises what the sandbox raises.
    """
    return await _Search(sandbox, seed, new).over(records)


@dataclass(slots=True)
class _Subject:
    """A tool under comparison, and what is known of it so far."""

    record: ToolRecord
    form: Form
    shapes: Mapping[str, Any]
    types: dict[str, str] = field(default_factory=dict)
    look: list[Answer] | None = None
    """What it gave at the first look, arguments in the order of first use."""

    @property
    def rank(self) -> tuple[Any, ...]:
        return _RANK[self.record.state], -self.record.use.successes, self.record.number, self.record.name

    @property
    def kind(self) -> tuple[str, ...]:
        return tuple(sorted(self.types.values()))


class _Search:
    def __init__(self, sandbox: Sandbox, seed: int, new: frozenset[str] | None) -> None:
        self.sandbox, self.seed, self.new = sandbox, seed, new
        self.merges: list[Merge] = []
        self.kept: list[Pair] = []
        self.gone: set[str] = set()
        self.done: set[tuple[str, str]] = set()

    async def over(self, records: Sequence[ToolRecord]) -> Duplicates:
        subjects = sorted((_subject(record) for record in records if record.source and record.state != "retired"), key=lambda one: one.rank)
        current = {one.record.name: one for one in subjects}
        for key in ("exact", "steps"):
            await self._compare_all(self._by_form(subjects, key), current)
        await self._compare_all(await self._by_look([one for name, one in current.items() if name not in self.gone]), current)
        return Duplicates(tuple(self.merges), tuple(self.kept))

    async def _compare_all(self, groups: Sequence[Sequence[str]], current: dict[str, _Subject]) -> None:
        """Groups have no tool in common, so they are compared side by side."""

        await side_by_side([self._compare(group, current) for group in groups], at_a_time=AT_A_TIME)

    def _by_form(self, subjects: Sequence[_Subject], key: str) -> list[list[str]]:
        """Groups of tools of equal form, or with the same steps and constants."""
        groups: dict[tuple[Any, ...], list[str]] = {}
        for one in subjects:
            if one.record.name not in self.gone:
                groups.setdefault((getattr(one.form, key), one.form.constants, len(one.types)), []).append(one.record.name)
        return [group for group in groups.values() if len(group) > 1 and self._is_new(group)]

    async def _by_look(self, subjects: Sequence[_Subject]) -> list[list[str]]:
        """Groups of tools of equal types that gave the same values at the first look, in whatever order their parameters stand."""
        kinds: dict[tuple[str, ...], list[_Subject]] = {}
        for one in subjects:
            if one.types:
                kinds.setdefault(one.kind, []).append(one)
        groups: dict[tuple[str, ...], list[str]] = {}
        looked_at = [members for members in kinds.values() if len(members) > 1 and self._is_new([one.record.name for one in members])]
        every = [one for members in looked_at for one in members]
        for one, print_ in zip(every, await side_by_side([self._print(one) for one in every], at_a_time=AT_A_TIME), strict=True):
            if print_:
                groups.setdefault(print_, []).append(one.record.name)
        return [group for group in groups.values() if len(group) > 1 and self._is_new(group)]

    def _is_new(self, names: Sequence[str]) -> bool:
        return self.new is None or bool(self.new & set(names))

    async def _print(self, one: _Subject) -> tuple[str, ...]:
        """What a tool gave at the first look as a multiset; empty when that says too little."""
        names = sorted(one.types, key=lambda name: (one.types[name], one.form.params.index(name)))
        places = [f"p{number}" for number in range(len(names))]
        schemas = {place: _bare(one.record.params[name]) for place, name in zip(places, names, strict=True)}
        calls = make_inputs(schemas, count=FIRST_LOOK, seed=self.seed)
        calls = [*_permuted(calls, places, [one.types[name] for name in names])]
        answers = await self._answers(one, [*rearranged(calls, dict(zip(places, names, strict=True)))])
        values = {answer.key for answer in answers if answer.ok}
        return (*one.kind, *sorted(answer.key for answer in answers)) if len(values) >= 3 else ()

    async def _answers(self, one: _Subject, calls: Sequence[Mapping[str, Any]]) -> list[Answer]:
        return await try_calls(self.sandbox, one.record.source, one.record.name, calls, shapes=one.shapes, call_s=LOOK_S)

    # ---------------------------------------------------------------- pairs

    async def _compare(self, group: Sequence[str], current: dict[str, _Subject]) -> None:
        """Every tool of a group against those before it, until one takes it in."""
        for place, name in enumerate(group):
            for before in group[:place]:
                if name in self.gone:
                    break
                if before in self.gone or (before, name) in self.done or not self._is_new([before, name]):
                    continue
                self.done.add((before, name))
                await self._settle(current, before, name)

    async def _settle(self, current: dict[str, _Subject], kept: str, other: str) -> None:
        survivor, dropped = current[kept], current[other]
        names, found, agreed = await self._correspond(dropped, survivor)
        if found in ("constant", "alike"):
            differs = found == "constant" or survivor.form.constants != dropped.form.constants
            why = "a constant differs" if differs else "too little was seen to tell"
            self.kept.append(Pair(kept, other, found, agreed, why))
        if found not in ("copy", "twin"):
            return
        alias = Alias(other, kept, names, _defaults(dropped.record))
        merged, why = await self._merged(survivor, dropped, alias)
        if merged is None:
            self.kept.append(Pair(kept, other, found, agreed, why))
            return
        current[kept] = _subject(merged)
        self.gone.add(other)
        self.merges.append(Merge(merged, dropped.record, alias, found))

    async def _correspond(self, dropped: _Subject, survivor: _Subject) -> tuple[dict[str, str], Verdict, int]:
        """The way in which the parameters correspond under which least tells the two apart, what they are then, and on how many calls."""
        a, b = dropped.form, survivor.form
        if a.exact == b.exact:
            return dict(zip(a.params, b.params, strict=True)), "copy", 0
        if a.steps == b.steps and a.constants != b.constants:
            return {}, "constant", 0
        calls = self._inputs(dropped, survivor)
        own = await self._answers(dropped, calls)
        best: tuple[dict[str, str], Verdict, int] = ({}, "other", 0)
        for names in correspondences(a.params, b.params, dropped.types, survivor.types):
            found, agreed = await self._judged(dropped, survivor, names, calls, own)
            if found in ("copy", "twin"):
                return names, found, agreed
            if best[1] == "other":
                best = (names, found, agreed)
        return best

    def _inputs(self, one: _Subject, other: _Subject) -> list[dict[str, Any]]:
        """Calls of ``one``, near the constants of both and like the stored calls of both."""
        constants = [*dict.fromkeys([*constants_of(one.form), *constants_of(other.form)])]
        examples = [example.arguments for example in one.record.examples]
        back = next(correspondences(other.form.params, one.form.params, other.types, one.types), None)
        if back is not None:
            examples += rearranged([example.arguments for example in other.record.examples], back)
        params = {name: one.record.params[name] for name in one.record.params}
        return make_inputs(params, count=SECOND_LOOK, seed=self.seed + 1, constants=constants, examples=examples)

    async def _judged(
        self, one: _Subject, other: _Subject, names: Mapping[str, str], calls: Sequence[Mapping[str, Any]], own: Sequence[Answer]
    ) -> tuple[Verdict, int]:
        alias = Alias(one.record.name, other.record.name, names, _defaults(one.record))
        theirs = await self._answers(other, [alias.translated(call) for call in calls])
        both = [(a, b) for a, b in zip(own, theirs, strict=True) if "timeout" not in (a.fault, b.fault)]
        agreed = [a.key for a, b in both if a.ok and a.key == b.key]
        differed = sum(a.key != b.key for a, b in both)
        return verdict(one.form, other.form, agreed=len(agreed), distinct=len(set(agreed)), differed=differed), len(agreed)

    async def _merged(self, survivor: _Subject, dropped: _Subject, alias: Alias) -> tuple[ToolRecord | None, str]:
        """The survivor with the dropped tool's stored calls, once it has passed them all; else why not."""
        if {alias.arguments.get(name, name): shape for name, shape in dropped.shapes.items()} != dict(survivor.shapes):
            return None, "one takes tuples or sets where the other takes lists"
        record = _taking_both(survivor, dropped, alias)
        carried = [_carried(example, alias) for example in dropped.record.examples]
        if carried:
            proof = await prove(self.sandbox, record.source, record.name, carried, shapes=survivor.shapes)
            if not proof.ok:
                return None, f"{record.name} fails a stored call of {dropped.record.name}: {proof.why}"
        known = {json.dumps([dict(example.arguments), example.value, example.check], sort_keys=True) for example in record.examples}
        more = [example for example in carried if json.dumps([dict(example.arguments), example.value, example.check], sort_keys=True) not in known]
        is_new = bool(more) or record.source != survivor.record.source
        return replace(record, examples=(*record.examples, *more), version=record.version + is_new), ""


def _subject(record: ToolRecord) -> _Subject:
    types = {name: type_text(schema) for name, schema in record.params.items()}
    return _Subject(record, form_of(record.source, record.name), shapes_of(record.source, record.name), types)


def _taking_both(survivor: _Subject, dropped: _Subject, alias: Alias) -> ToolRecord:
    """The survivor, with types that take what either of them takes."""
    record = survivor.record
    wider = {other: f"{survivor.types[other]} | {dropped.types[one]}" for one, other in alias.arguments.items()
             if dropped.types[one] != survivor.types[other]}
    ours, theirs = type_text(record.returns), type_text(dropped.record.returns)
    if ours != theirs:
        wider["return"] = f"{ours} | {theirs}"
    if not wider:
        return record
    source = with_types(record.source, record.name, wider)
    _, _, signature = signature_of_source(source, record.name)
    params, returns = schemas_of(signature)
    return replace(record, source=source, params=params, returns=returns)


def _defaults(record: ToolRecord) -> dict[str, Any]:
    return {name: schema["default"] for name, schema in record.params.items() if "default" in schema}


def _carried(example: Example, alias: Alias) -> Example:
    """A stored call of the dropped tool as a call of the survivor; its check still gets the arguments by their old names."""
    arguments = alias.translated(example.arguments)
    back = {new: old for old, new in alias.arguments.items() if new != old}
    if not example.check or not back:
        return replace(example, arguments=arguments)
    return replace(example, arguments=arguments, check=example.check + _CHECK_BY_OLD_NAMES.format(names=back))


_CHECK_BY_OLD_NAMES = """

def check(value, _inner=check, **given):
    names = {names!r}
    return _inner(value, **{{names.get(key, key): given[key] for key in given}})
"""


def _bare(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in ("default", "description", "title")}


def _permuted(calls: Sequence[Mapping[str, Any]], places: Sequence[str], types: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Every call, and the calls with arguments of equal types exchanged: what comes of all does not depend on their order."""
    from itertools import permutations

    if len(places) > 3:
        yield from map(dict, calls)
        return
    orders = [order for order in permutations(range(len(places))) if all(types[a] == types[b] for a, b in enumerate(order))]
    for call in calls:
        for order in orders:
            yield {place: call[places[at]] for place, at in zip(places, order, strict=True)}
