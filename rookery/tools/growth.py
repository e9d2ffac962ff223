"""Growing a library: problems are solved with code, and what helped becomes tools, after proof.

It is a program on the engine, so that it is logged, limited, and goes on where it was stopped. The stages are those of CRAFT
(arXiv 2309.17428, section 2), with the verification that they lack there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rookery.core.function import Prompt, Tool, program
from rookery.core.limit import Limit
from rookery.core.policy import Policy
from rookery.engine.begin import open_log
from rookery.engine.door import resume, start
from rookery.engine.log import Log
from rookery.errors import CallError, ModelError, ParseFailed, RookeryError, ToolUnfit
from rookery.tools import stages
from rookery.tools.library import ToolLibrary
from rookery.tools.problem import Growth, Problem, Rejected, likest, most_distant, with_held_back
from rookery.tools.record import Example
from rookery.tools.source import shapes_of, signature_of_source
from rookery.tools.stages import SOLUTION, Abstraction, abstractions_of, called_in, examples_text, joined, signature_text, sources_of
from rookery.tools.trial import judge, prove, side_by_side, try_calls
from rookery.tools.use import choose

STORED = 6
"""So many of the calls that a solution made of a tool are stored of each kind: on examples its author saw, and on others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """The prompts that are asked; each takes what the one that ships takes."""

    solve: Prompt[..., str] = stages.solve
    mend: Prompt[..., str] = stages.mend
    generalise: Prompt[..., str] = stages.generalise


async def grow(
    library: ToolLibrary, problems: Sequence[Problem], *, model: Any = None, models: Mapping[str, Any] | None = None, limit: Limit | None = None,
    log: Log | str | os.PathLike[str] | None = None, id: str = "grow", prompts: Stages | None = None, policy: Policy | None = None,
    batch: int = 8, repairs: int = 1, tool_tokens: int = 1500, seed: int = 0,
) -> Growth:
    """Solve the problems, the most different ones first, and take what the solutions have in common with others into the library.

    Each stage is a call of a run: with the same ``log`` and ``id`` a growth that was stopped goes on, between stages and inside of
    them. Every tool that is admitted is saved at once, where the library has a folder.

    :param batch: problems that are solved side by side; the tools of a batch are there for the next one.
    :param repairs: how often a solution that is wrong goes back to the model, with what is wrong.
    :param tool_tokens: what the library's tools may take of a prompt.
    :raises LimitReached: what was admitted stays; go on with a wider limit.
    :raises LibraryFull: the same, with more space.
    """
    grower = _Grower(library, prompts or Stages(), batch, repairs, tool_tokens)

    async def growing(problems: list[Problem]) -> Growth:
        return await grower.over(problems)

    opened = open_log(log)
    try:
        options: dict[str, Any] = {"model": model, "models": models, "limit": limit, "policy": policy}
        if any(info.run == id for info in opened.runs()):
            run = resume(id, program(growing), log=opened, **options)
        else:
            given = [with_held_back(problem) for problem in problems]
            run = start(program(growing), log=opened, id=id, seed=seed, inputs={"problems": given}, **options)
        async with run as growth:
            found: Growth = await growth
            return found
    except CallError as error:
        raise _cause(error) from error
    finally:
        if isinstance(log, str | os.PathLike):
            opened.close()  # type: ignore[attr-defined]


def _cause(error: RookeryError) -> RookeryError:
    """What the call of a stage failed of: a full disk, a missing sandbox."""
    while isinstance(error, CallError) and isinstance(error.__cause__, RookeryError):
        error = error.__cause__
    return error


# ------------------------------------------------------------------ what the stages give


@dataclass(frozen=True, slots=True)
class Shown:
    """The tools that a problem's prompts show."""

    names: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """A solution that is right on all examples; or none."""

    source: str = ""
    called: tuple[str, ...] = ()
    nearest: str = ""
    """The first wrong one, and what is wrong with it."""
    fault: str = ""
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A general function with the calls that prove it; or why it is none."""

    name: str
    source: str = ""
    examples: tuple[Example, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Admission:
    """What became of a candidate."""

    name: str = ""
    merged_into: str = ""
    why: str = ""
    stage: str = "verify"


# ------------------------------------------------------------------ the stages


class _Grower:
    """The program, and the tools that it calls: all that looks at the library or runs code is a call, so that its result is logged."""

    def __init__(self, library: ToolLibrary, prompts: Stages, batch: int, repairs: int, tool_tokens: int) -> None:
        self.library, self.prompts, self.batch, self.repairs, self.tool_tokens = library, prompts, batch, repairs, tool_tokens
        self.show_tools: Tool[..., Any] = Tool(self._show_tools, name="show_tools")
        self.validate: Tool[..., Any] = Tool(self._validate, name="validate")
        self.try_abstraction: Tool[..., Any] = Tool(self._try_abstraction, name="try_abstraction")
        self.admit: Tool[..., Any] = Tool(self._admit, name="admit", effect=True)
        self.note: Tool[..., Any] = Tool(self._note, name="note", effect=True)

    async def over(self, problems: Sequence[Problem]) -> Growth:
        growth = Growth()
        solutions: dict[str, Found] = {}
        order = most_distant([problem.question for problem in problems])
        for begin in range(0, len(order), self.batch):
            batch = [problems[at] for at in order[begin : begin + self.batch]]
            shown = {problem.name: await self.show_tools(problem=problem) for problem in batch}
            tried = await side_by_side([self._solve(problem, shown[problem.name]) for problem in batch], at_a_time=len(batch))
            found = {problem.name: one for problem, one in zip(batch, tried, strict=True)}
            solutions |= {name: one for name, one in found.items() if one.source}
            await self.note(questions=[problem.question for problem in batch], shown=[shown[problem.name] for problem in batch],
                            found=[found[problem.name] for problem in batch])
            growth = _after_solving(growth, found)
            wanted = [problem for problem in batch if found[problem.name].source]
            general = await side_by_side([self._generalise(problem, solutions, shown[problem.name]) for problem in wanted], at_a_time=len(batch))
            for problem, candidates in zip(wanted, general, strict=True):
                growth = await self._admit_all(problem, candidates, growth)
        return growth

    async def _solve(self, problem: Problem, shown: Shown) -> Found:
        seen = [example for example in problem.examples if example.seen]
        asked = {
            "question": problem.question, "examples": examples_text(seen), "signature": signature_text(seen, problem.returns),
            "tools": shown.text or "none",
        }
        rejected: tuple[Rejected, ...] = ()
        found = Found(fault="no program")
        for turn in range(self.repairs + 1):
            try:
                if turn == 0:
                    text = await self.prompts.solve(**asked)
                else:
                    text = await self.prompts.mend(**asked, source=found.nearest, fault=found.fault)
            except (CallError, ModelError, ParseFailed) as error:
                return replace(found, source="", rejected=(*rejected, Rejected(problem.name, "solve", f"the model: {error.reason}")))
            found = await self.validate(problem=problem, sources=sources_of(text), tools=list(shown.names))
            rejected += found.rejected
            if found.source or not found.nearest:
                break
        return replace(found, rejected=rejected)

    async def _generalise(self, problem: Problem, solutions: Mapping[str, Found], shown: Shown) -> list[Candidate]:
        own = solutions[problem.name].source
        seen = [example for example in problem.examples if example.seen]
        try:
            text = await self.prompts.generalise(
                question=problem.question, source=own, signature=signature_text(seen, problem.returns),
                others=likest(own, [one.source for name, one in solutions.items() if name != problem.name]), tools=shown.text or "none",
            )
        except (CallError, ModelError, ParseFailed) as error:
            return [Candidate("", why=f"the model: {error.reason}")]
        found = abstractions_of(text)
        if not found:
            return [Candidate("", why="the reply has no general function with a solution that calls it")]
        return [await self.try_abstraction(problem=problem, abstraction=one, tools=list(shown.names)) for one in found]

    async def _admit_all(self, problem: Problem, candidates: Sequence[Candidate], growth: Growth) -> Growth:
        for one in candidates:
            if one.why:
                growth = _reject(growth, Rejected(problem.name, "generalise", one.why, one.name, one.source))
                continue
            done: Admission = await self.admit(problem=problem, candidate=one)
            if done.why:
                growth = _reject(growth, Rejected(problem.name, done.stage, done.why, one.name, one.source))
            elif done.merged_into:
                why = f"the same function as {done.merged_into}"
                growth = replace(growth, merged={**growth.merged, done.name: done.merged_into})
                growth = _reject(growth, Rejected(problem.name, "merge", why, one.name, one.source))
            else:
                growth = replace(growth, admitted=(*growth.admitted, done.name))
        return growth

    # ---------------------------------------------------------------- calls

    async def _show_tools(self, problem: Problem) -> Shown:
        if not len(self.library):
            return Shown((), "")
        choice = await choose(self.library, problem.question, k=12, max_tokens=self.tool_tokens, form="code")
        return Shown(choice.names, choice.code)

    async def _note(self, questions: list[str], shown: list[Shown], found: list[Found]) -> None:
        for question, offered, one in zip(questions, shown, found, strict=True):
            await self.library.note_task(question, offered=offered.names, used=one.called, solved=bool(one.source))

    async def _validate(self, problem: Problem, sources: list[str], tools: list[str]) -> Found:
        """The first of the programs that is right on what its author saw, and then on what was held back."""
        rejected: list[Rejected] = []
        nearest = fault = ""
        for source in sources:
            whole, called = self._whole(source, tools)
            seen = [example for example in problem.examples if example.seen]
            proof = await judge(self.library.sandbox, seen, await self._answers(whole, seen))
            why = proof.why
            if not why:
                proof = await prove(self.library.sandbox, whole, SOLUTION, problem.examples)
                if proof.ok:
                    return Found(source, tuple(called), rejected=tuple(rejected))
                why = f"right on the examples shown and not on those held back: {proof.why}"
            elif not nearest:
                nearest, fault = source, why
            rejected.append(Rejected(problem.name, "solve", why, SOLUTION, source))
        if not sources:
            rejected.append(Rejected(problem.name, "solve", "the reply has no program"))
        return Found(nearest=nearest, fault=fault, rejected=tuple(rejected))

    async def _answers(self, whole: str, examples: Sequence[Example], watch: str = "") -> Any:
        return await try_calls(self.library.sandbox, whole, SOLUTION, [dict(example.arguments) for example in examples], watch=watch)

    def _whole(self, source: str, tools: Sequence[str], **more: str) -> tuple[str, list[str]]:
        """A program with the sources of the tools that it calls, and which those are."""
        known = {name: self.library.show(name).source for name in tools if name in self.library}
        called = called_in(source, known)
        return joined(source, {**{name: known[name] for name in called}, **more}), called

    async def _try_abstraction(self, problem: Problem, abstraction: Abstraction, tools: list[str]) -> Candidate:
        """The general function on its origin: the solution that calls it must be right on all examples, and really call it."""
        name = abstraction.name
        source, _ = self._whole(abstraction.source, [tool for tool in tools if tool != name])
        try:
            signature_of_source(source, name)
        except ToolUnfit as error:
            return Candidate(name, source, why=error.reason)
        whole, _ = self._whole(abstraction.use, [tool for tool in tools if tool != name], **{name: source})
        answers = await self._answers(whole, problem.examples, watch=name)
        proof = await judge(self.library.sandbox, problem.examples, answers)
        if not proof.ok:
            return Candidate(name, source, why=f"the solution that calls it is wrong: {proof.why}")
        examples = _stored(problem.examples, answers)
        if not examples:
            return Candidate(name, source, why="the solution does not call it")
        return Candidate(name, source, examples)

    async def _admit(self, problem: Problem, candidate: Candidate) -> Admission:
        """Prove the function on its own, take it in, and drop it again where the library has it already."""
        library = self.library
        name, source = self._free(candidate)
        proof = await prove(library.sandbox, source, name, candidate.examples, shapes=shapes_of(source, name))
        if not proof.ok:
            return Admission(why=proof.why)
        is_known = library.find(name) is not None
        if is_known:
            library.extend(name, candidate.examples)
        else:
            library.add(source, name=name, examples=candidate.examples, origin=f"grown: {problem.name}", question=problem.question, labels=("grown",))
            library.judge(name, proof)
            await library.merge_duplicates(name)
        survivor = library.survivor(name)
        if is_known or survivor != name:
            await library.verify(survivor)
        if library.path is not None:
            await library.save()
        return Admission(name, survivor if is_known or survivor != name else "")

    def _free(self, candidate: Candidate) -> tuple[str, str]:
        """A name that no other tool has, and the source with the function called so."""
        name, source, number = candidate.name, candidate.source, 1
        while (taken := self.library.find(name)) is not None and taken.source != source:
            number += 1
            name = f"{candidate.name}_{number}"
            source = re.sub(rf"\b{re.escape(candidate.name)}\b", name, candidate.source)
        return name, source


def _stored(examples: Sequence[Example], answers: Sequence[Any]) -> tuple[Example, ...]:
    """The calls of the watched function, each once, as examples: those made for what its author saw, and those made for the rest."""
    found: dict[str, Example] = {}
    counts = {True: 0, False: 0}
    for example, answer in zip(examples, answers, strict=True):
        for arguments, value in answer.watched:
            made = Example(arguments, value, seen=example.seen)
            key = stages.key_of(made)
            if key not in found and counts[example.seen] < STORED:
                counts[example.seen] += 1
                found[key] = made
    return tuple(found.values())


def _after_solving(growth: Growth, found: Mapping[str, Found]) -> Growth:
    for name, one in found.items():
        growth = replace(growth, rejected=(*growth.rejected, *one.rejected))
        if one.source:
            growth = replace(growth, solved=(*growth.solved, name), reused={**growth.reused, name: one.called} if one.called else growth.reused)
    return growth


def _reject(growth: Growth, rejected: Rejected) -> Growth:
    return replace(growth, rejected=(*growth.rejected, rejected))
