"""GraphTeam: questions about graphs are read, looked up, solved by code in a sandbox, reasoned about when code fails, and answered in a type.

Five roles as in GraphTeam (arXiv 2410.18032, section 3): question, search (experience before documentation), coding, reasoning, answer. Here
they are prompts and tools of one program: any model fills them in, each with policies of its own, the solver sees no text of the question, and
experience grows from the questions that code has solved.
"""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic import BaseModel, Field

from rookery.core.function import Prompt, graph, prompt, tool
from rookery.core.graph import Graph
from rookery.core.label import UNTRUSTED
from rookery.index.postings import Postings
from rookery.index.text import bag
from rookery.memory.memory import Memory
from rookery.tools.ladder import best_sandbox
from rookery.tools.metered import Metered
from rookery.tools.sandbox import Program, Sandbox, SandboxLimit

Form = Literal["yes", "number", "nodes", "pairs", "vectors"]


class Edge(BaseModel):
    """One edge; in an undirected graph the order means nothing."""

    source: str
    target: str
    weight: float = 1.0


class GraphQuestion(BaseModel):
    """A question about a graph in a form that code can use."""

    problem: str = Field(description="what is asked, in the standard term: shortest path, cycle, maximum flow, …")
    directed: bool = False
    weighted: bool = False
    nodes: list[str] = Field(default=[], description="all nodes, those without edges too")
    edges: list[Edge]
    arguments: dict[str, Any] = Field(default={}, description="what else the problem takes: source, target, layers, …")
    wants: list[Form] = Field(min_length=1, description="the parts of the answer that are asked for")


class NotUnderstood(BaseModel):
    """The question could not be read."""

    missing: str = Field(description="what could not be read, in a few words")


class GraphAnswer(BaseModel):
    """An answer; only the parts that the question wants are there."""

    yes: bool | None = None
    number: float | None = None
    nodes: list[str] | None = Field(default=None, description="a path, an order, or a set of nodes")
    pairs: dict[str, str] | None = None
    vectors: dict[str, list[float]] | None = None


class Evidence(BaseModel):
    """What the search found."""

    program: str = Field(default="", description="code that solved questions of this kind")
    documents: list[str] = Field(default=[], description="from the documentation")


Way = Literal["experience", "code", "mended code", "reasoning", "not understood", "not solved"]


class GraphFinding(BaseModel):
    """What became of a question."""

    way: Way
    answer: GraphAnswer | None = None
    program: str = ""
    """The code that gave the answer."""
    why: str = ""
    """What was not understood, or the last fault of the code."""


# ------------------------------------------------------------------ what a model fills in


@prompt
def understand(question: str) -> GraphQuestion | NotUnderstood:
    """Read this question about a graph. Give the graph and what is asked of it as data; copy names of nodes as they are.
    Say that it is not understood when edges, nodes or what is asked are not there.

    {question}
    """


@prompt(form="text")
def write_program(question: GraphQuestion, evidence: Evidence) -> str:
    """Write Python that solves this problem on a graph: a function `def solve(question: dict) -> dict`. `question` is the data below,
    as JSON has it. It gives a dict with those of the keys yes, number, nodes, pairs and vectors that are wanted. networkx may be imported;
    files and network are not there. Solve the problem in general, not this instance. Write only the code.

    {question}

    What is known: {evidence}
    """


@prompt(form="text")
def mend_program(question: GraphQuestion, program: str, fault: str) -> str:
    """This Python program failed. Write it anew without the fault; write only the code, with `def solve(question: dict) -> dict`.

    {program}

    The fault: {fault}
    The question it was given: {question}
    """


@prompt
def reason(question: GraphQuestion) -> GraphAnswer:
    """Solve this problem on a graph step by step, without code, and give the parts of the answer that are wanted.

    {question}
    """


# ------------------------------------------------------------------ what Python fills in


class Documents:
    """Texts of a documentation, found by words.

    :param entries: name and text of each.
    """

    def __init__(self, entries: Iterable[tuple[str, str]]) -> None:
        self.texts = dict(entries)
        self._index = Postings()
        self._index.add_many((name, bag(f"{name.replace('.', ' ').replace('_', ' ')} {text}")) for name, text in self.texts.items())

    def search(self, text: str, *, k: int = 3) -> list[str]:
        """The ``k`` texts that fit best, each under its name."""
        return [f"{hit.id}: {self.texts[hit.id]}" for hit in self._index.search(bag(text), k=k)]


def networkx_documents() -> Documents:
    """The signature and first paragraph of each public function of the installed networkx."""
    import networkx

    entries = {}
    for name, function in vars(networkx).items():
        if not name.startswith("_") and callable(function) and (text := inspect.getdoc(function)):
            entries[f"networkx.{name}"] = text.partition("\n\n")[0].replace("\n", " ")
    return Documents(entries.items())


def experience_name(question: GraphQuestion) -> str:
    """The symbol that programs for questions of this kind stand under."""
    words = "-".join(word for word in question.problem.lower().split() if word.isalnum())
    return f"graph-{words or 'problem'}-{'directed' if question.directed else 'undirected'}-{'-'.join(question.wants)}"


def code_in(text: str) -> str:
    """The code of a reply: what stands in its last fence, else all of it."""
    if "```" not in text:
        return text.strip()
    block = text.split("```")[-2]
    return block.removeprefix("python").removeprefix("py").strip()


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a program: an answer, or why there is none."""

    answer: GraphAnswer | None = None
    fault: str = ""


def checked(value: Any, question: GraphQuestion) -> Ran:
    """A program's value as an answer. The value is the program's own word, so that its form is looked at, part by part."""
    if not isinstance(value, Mapping):
        return Ran(fault=f"solve gave {type(value).__name__}, not a dict")
    missing = [form for form in question.wants if value.get(form) is None]
    if "yes" in question.wants and value.get("yes") is False:
        missing = []  # nothing to show where the answer is no
    if missing:
        return Ran(fault=f"the answer has no {', '.join(missing)}")
    try:
        return Ran(GraphAnswer.model_validate({form: value.get(form) for form in GraphAnswer.model_fields}, strict=False))
    except ValueError as error:
        return Ran(fault=f"the answer has the wrong form: {error}"[:500])


def graph_team(
    *, memory: Memory | None = None, documents: Documents | None = None, sandbox: Sandbox | None = None, mends: int = 3,
    limit: SandboxLimit | None = None, packages: tuple[str, ...] = ("networkx",), roles: Mapping[str, Prompt[..., Any]] | None = None,
) -> Graph:
    """The team as a graph from a question to a ``GraphFinding``.

    A question that can't be read ends as ``not understood``. Experience is tried first, as it is; when its program fails on this question,
    or there is none, code is written from the documentation, mended at most ``mends`` times, and only then the model reasons. A program
    that was written and worked becomes experience.

    :param memory: where experience stays; None: nothing is learned.
    :param documents: what is looked up; None: networkx's, where experience has nothing.
    :param sandbox: where code runs; it is the caller's to close. None: the best of this machine, made for each program.
    :param roles: other prompts for ``understand``, ``write_program``, ``mend_program`` and ``reason``, with policies of their own.
    """
    made = {each.name: each for each in (understand, write_program, mend_program, reason)} | dict(roles or {})
    shelf: list[Documents] = [documents] if documents is not None else []

    @tool(inline=True)
    def look_up(question: GraphQuestion) -> list[str]:
        """What the documentation says of a problem."""
        if not shelf:
            shelf.append(networkx_documents())
        return shelf[0].search(f"{question.problem} {'directed' if question.directed else ''} graph")

    @tool
    async def experience(question: GraphQuestion) -> str:
        """The newest program that solved a question of this kind; an empty text when there is none."""
        name = experience_name(question)
        return await memory.symbol(name) if memory is not None and name in await memory.symbols() else ""

    @tool
    async def learn(question: GraphQuestion, program: str) -> bool:
        """Keep a program that worked."""
        if memory is None:
            return False
        await memory.read(f"<|{experience_name(question)}|>\n{program}", source="graph_team")
        return True

    @tool(labels=frozenset({UNTRUSTED}))
    async def execute(program: str, question: GraphQuestion) -> Ran:
        """Run a program on a question's data, in a fresh process that sees nothing else."""
        box = sandbox if sandbox is not None else best_sandbox(ready=0)
        try:
            data = question.model_dump(mode="json")
            outcome = await Metered(box).run(Program(source=program, entry="solve", args=[data], packages=packages), limit=limit)
        finally:
            if box is not sandbox:
                await box.aclose()
        return checked(outcome.value, question) if outcome.fault is None else Ran(fault=str(outcome.fault))

    @graph
    async def graph_team(question: str) -> GraphFinding:
        """Answer a question about a graph."""
        read = await made["understand"](question=question)
        if isinstance(read, NotUnderstood):
            return GraphFinding(way="not understood", why=read.missing)
        known = cast("str", await experience(question=read))
        if known:
            ran = cast("Ran", await execute(program=known, question=read))
            if ran.answer is not None:
                return GraphFinding(way="experience", answer=ran.answer, program=known)
        evidence = Evidence(program=known, documents=await look_up(question=read))
        program = code_in(await made["write_program"](question=read, evidence=evidence))
        ran = cast("Ran", await execute(program=program, question=read))
        way: Way = "code"
        for _ in range(mends):
            if ran.answer is not None:
                break
            way = "mended code"
            program = code_in(await made["mend_program"](question=read, program=program, fault=ran.fault))
            ran = cast("Ran", await execute(program=program, question=read))
        if ran.answer is not None:
            _ = await learn(question=read, program=program)
            return GraphFinding(way=way, answer=ran.answer, program=program)
        reasoned = checked((await made["reason"](question=read)).model_dump(), read)
        return GraphFinding(way="reasoning" if reasoned.answer is not None else "not solved", answer=reasoned.answer, why=ran.fault)

    return graph_team
