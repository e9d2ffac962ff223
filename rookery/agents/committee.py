"""Several asked at once: a fan-out whose answers are merged, and a committee whose proposals are voted on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import Field

from rookery.agents.guard import Guard
from rookery.agents.judge import called
from rookery.agents.kit import is_for_the_run
from rookery.agents.speaker import Reply, Speaker, type_faults
from rookery.core.function import Tool
from rookery.core.graph import Param
from rookery.core.limit import Limit
from rookery.core.shape import union
from rookery.core.types import fits, name_of
from rookery.core.value import codec
from rookery.errors import AgentFailing, GraphFault, GraphInvalid, RookeryError
from rookery.planners.option import at_least
from rookery.planners.step import as_function


def fan_out(*speakers: Speaker, merge: Any, enough: int | None = None, name: str = "fan_out") -> Tool[..., Any]:
    """A program that asks several agents or teams the same question side by side, and merges their answers.

    :param merge: a function, tool, prompt or graph from ``answers`` (the list of them, in the order of the speakers) and, if it wants it, the
        ``question`` to the value. Its first parameter must take a list of what the speakers answer.
    :param enough: so many answers are merged; None: all of them have to be there.
    :raises GraphInvalid: no speakers, or a merge that does not take their answers.

    It ends with AgentFailing when fewer have an answer.
    """
    function = as_function(merge, "merge")
    faults = [*_speaker_faults(speakers), *_merge_faults(speakers, function)]
    if faults:
        raise GraphInvalid(name, faults)
    wanted = len(speakers) if enough is None else enough
    at_least(1, enough=wanted)

    async def go(question: str) -> Any:
        replies = await _replies(speakers, question)
        answers = [codec(speaker.answer_type).load(reply.answer.encode())
                   for speaker, reply in zip(speakers, replies, strict=True) if reply.answer is not None]
        if len(answers) < wanted:
            why = next(reply.text for reply in replies if reply.answer is None)
            told = f"{name}: {len(answers)} of {len(speakers)} have an answer, and {wanted} are wanted; one says: {why[:300]}"
            raise AgentFailing(told, hint="look at each one's calls in the log, or set enough=")
        return await called(function, answers=answers, question=question)

    return Tool(go, name=name, kind="program", signature=({"question": Param("question", str)}, function.returns))


async def _replies(speakers: Sequence[Speaker], question: str) -> list[Reply]:
    made = [speaker.replying(question=question, history=[]) for speaker in speakers]
    return [await one for one in made]


@dataclass(frozen=True, slots=True)
class Ballot:
    """A vote of an agent."""

    choice: Annotated[int, Field(ge=1)]
    """The number of the proposal."""
    why: str


@dataclass(frozen=True, slots=True)
class Vote:
    """A vote as it stands in the log: who, for which proposal (from 1; 0: the vote does not count), and why."""

    voter: str
    choice: int
    why: str = ""


class Committee(Speaker):
    """See ``committee``."""

    def __init__(
        self, *proposers: Speaker, voters: Sequence[Any] = (), returns: Any = None, limit: Limit | None = None, guard: Guard | None = None,
        name: str = "committee", doc: str = "",
    ) -> None:
        faults = _speaker_faults(proposers)
        if faults:
            raise GraphInvalid(name, faults)
        type_ = proposers[0].answer_type if returns is None else returns
        faults = type_faults(type_)
        if faults:
            raise GraphInvalid(name, faults)
        made_of = {"voters": voters, "returns": returns, "limit": limit, "guard": guard, "name": name, "doc": doc}
        told = doc or f"A committee of {', '.join(speaker.name for speaker in proposers)}."
        super().__init__(name=name, doc=told, returns=type_, limit=limit, guard=guard, memory=None, made_of=made_of)
        self._proposers = proposers
        self.proposers = [speaker.returning(type_) for speaker in proposers]
        self.votes = [_vote(voter) for voter in voters or proposers]

    def with_(self, **changes: Any) -> Self:
        """The same committee under other parameters."""
        return type(self)(*self._proposers, **{**self._made_of, **changes})

    async def pursue(self, question: str, history: Sequence[Any]) -> Any:
        """The proposal that is chosen."""
        replies = await _replies(self.proposers, question)
        proposals = Counter(reply.answer for reply in replies if reply.answer is not None)  # equal ones are one, in the order they came
        if not proposals:
            why = next((reply.text for reply in replies if reply.answer is None), "")
            raise AgentFailing(f"{self.name}: nobody had a proposal: {why[:300]}", hint="look at each member's calls in the log")
        texts = {reply.answer: reply.text for reply in replies}
        order = list(proposals)
        chosen = order[0]
        if len(order) > 1:
            made = [vote(question=question, proposals=[texts[answer] for answer in order]) for vote in self.votes]
            votes = Counter(vote.choice for vote in [await one for one in made] if 1 <= vote.choice <= len(order))
            chosen = max(order, key=lambda answer: (votes[order.index(answer) + 1], proposals[answer], -order.index(answer)))
        return codec(self.answer_type).load(chosen.encode())

    def _body(self) -> Any:
        return [[speaker.fingerprint() for speaker in self.proposers], len(self.votes)]


def committee(*proposers: Speaker, voters: Sequence[Any] = (), **options: Any) -> Committee:
    """Several propose an answer, side by side and without seeing one another's; then it is voted which one stands.

    :param proposers: agents and teams. Equal proposals are one, and are not voted on when there is no other.
    :param voters: who chooses: agents, and prompts or functions from ``question`` and ``proposals`` (a list of texts) to the number of one,
        from 1. One voter is a chairman. By default the proposers vote. A vote that fails, or is for nothing there is, does not count.
    :param options: ``returns``, ``limit``, ``guard``, ``name``, ``doc``.

    Most votes win, then what more proposers said, then what was proposed first. Each vote is a call of the run. The committee ends with
    AgentFailing when nobody proposes anything. Raises GraphInvalid for no proposers and those that are none.
    """
    return Committee(*proposers, voters=voters, **options)


def _vote(voter: Any) -> Tool[..., Vote]:
    """One voter's vote as a call of the run; whatever goes wrong with it is a value."""
    function = voter.returning(Ballot) if isinstance(voter, Speaker) else as_function(voter, "voter")

    async def vote(question: str, proposals: list[str]) -> Vote:
        try:
            if isinstance(function, Speaker):
                ballot: Ballot = await function(question=_ballot_text(question, proposals))
                return Vote(function.name, ballot.choice, ballot.why)
            return Vote(function.name, int(await called(function, proposals=proposals, question=question)))
        except (RookeryError, ValueError, TypeError) as error:
            if isinstance(error, RookeryError) and is_for_the_run(error):
                raise
            return Vote(function.name, 0, str(error)[:500])

    return Tool(vote)


def _ballot_text(question: str, proposals: Sequence[str]) -> str:
    listed = "\n\n".join(f"Proposal {number}:\n{text}" for number, text in enumerate(proposals, 1))
    return f"Which of these proposals answers the question best? Vote for one by its number.\n\nQuestion:\n{question}\n\n{listed}"


def _speaker_faults(speakers: Sequence[Any]) -> list[GraphFault]:
    faults = [] if speakers else [GraphFault("speakers", "there is none", hint="give agents or teams", kind="unset")]
    for speaker in speakers:
        if not isinstance(speaker, Speaker):
            faults.append(GraphFault("speakers", f"{speaker!r:.60} is no agent and no team", hint="Agent(…), Team(…)", kind="type"))
    return faults


def _merge_faults(speakers: Sequence[Speaker], merge: Any) -> list[GraphFault]:
    if not merge.params:
        return [GraphFault("merge", "it has no parameter to take the answers", hint="def merge(answers: list[…])", kind="unset")]
    types = [speaker.answer_type for speaker in speakers if isinstance(speaker, Speaker)]
    wanted = next(iter(merge.params.values())).type
    if types and not fits(list[union(types)], wanted):  # type: ignore[misc]
        return [GraphFault("merge", f"it takes {name_of(wanted)}, and the answers are a list of {name_of(union(types))}", kind="type")]
    return []
