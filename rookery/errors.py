"""Every error that rookery raises, as one tree; foreign errors are mapped into it where they enter.

RookeryError
├── GraphError                 the program itself is wrong; nothing has run
│   ├── GraphFault             one fault, with its path
│   ├── GraphInvalid           all faults of one graph (also an ExceptionGroup)
│   ├── WorkflowInvalid        all faults of a workflow file, with their lines
│   ├── NotInYaml              a graph says what a workflow file can't
│   ├── VariableMisuse         a Variable was used as if its value were known
│   └── OutsideRun             a Prompt was called where nothing can fill it in
├── InputError                 what the caller passed does not fit the graph's inputs
├── ValueError_                a value is not what its type says
│   ├── NotSerialisable        a value cannot be written to the log and read back
│   └── ParseFailed            a model's text is not a value of the type asked for
├── ModelError                 a model could not answer
│   ├── ModelUnknown           the name names no model that can be built here
│   ├── SettingWrong           a setting is not what it should be
│   ├── SettingMissing         a key, address or package is not set
│   ├── ModelUnreachable       nobody answers at the address              (retryable)
│   ├── ModelBusy              the server asks to come back later          (retryable)
│   ├── ModelFault             the server failed                           (retryable)
│   ├── ReplyMalformed         the reply breaks the protocol               (retryable)
│   ├── ReplyCut               the stream ended before its end             (retryable)
│   ├── ReplyStalled           the stream stopped moving                   (retryable)
│   ├── RequestRefused         the server will not take this request
│   ├── ContextOverflow        prompt and answer do not fit the window
│   ├── CapabilityMissing      the model cannot do what was asked of it
│   ├── WeightsDamaged         a file of weights is cut, or is none
│   ├── MemoryShort            the weights do not fit this machine or device
│   ├── DeviceMissing          the device asked for is not there
│   ├── SkillMissing           the embedded model has not learned this
│   ├── CassetteDamaged        the cassette cannot be read, or a newer rookery recorded it
│   └── CassetteMiss           no recorded answer for this request
├── DecodingError              what monitors say could not be kept to
│   ├── RuleWrong              a rule can't be made: its pattern, schema, name or option is wrong
│   ├── LevelMissing           the level that was demanded can't be had from this model
│   ├── ConstraintUnmet        monitors leave nothing that may follow
│   └── AnalyserFailed         an analyser can't be started, has died or answers nonsense
├── ToolError                  a tool could not be made or called
│   ├── ToolUnfit              what was given cannot become a tool
│   ├── ToolUnknown            there is no tool of this name
│   ├── DocumentInvalid        all faults of a document that describes tools
│   ├── ToolRefused            neither a policy nor a person allows this call, or its target is out of bounds
│   ├── ToolFailed             the tool answered that it failed
│   ├── ToolChanged            the tool is no longer what it was when it was taken in
│   ├── ToolReplyWrong         its answer is too large, or not what the tool says it gives
│   ├── ToolTimeout            it gave no answer in time                   (retryable)
│   ├── ToolUnreachable        its server cannot be started or reached     (retryable)
│   ├── ToolUnbound            the library has nothing that runs it
│   ├── LibraryDamaged         a file of a library is not what its manifest says
│   ├── LibraryTooNew          a newer rookery wrote the library
│   ├── LibraryBusy            another process has changed the library     (retryable)
│   └── LibraryFull            it cannot be written: the disk is full or read-only
├── SearchError                an index or an embedder could not do its part
│   ├── IndexDamaged           its file cannot be read
│   ├── IndexTooNew            a newer rookery wrote it
│   ├── IndexFull              it cannot be written: the disk is full or read-only
│   ├── EmbedderMismatch       its vectors are of another embedder
│   └── VectorWrong            a vector has another length, or is not finite
├── SandboxError               code that is not trusted could not be run safely
│   ├── SandboxMissing         no sandbox can work on this machine
│   ├── SandboxBroken          the isolation could not be set up, or did not hold
│   └── ProgramInvalid         the program cannot be handed over
├── CallError                  a call of a graph ended without a value
│   ├── CallFailed             after all its attempts
│   ├── CallTimeout            its time was up                             (retryable)
│   ├── LoopExhausted          a bounded loop met its bound
│   ├── FlowRefused            a labelled value may not go there
│   └── AgentError             an agent or a team ended without an answer
│       ├── AgentExhausted     its turns are used up
│       ├── GuardRefused       a guard, or the person it asked, did not let a text pass, or the guard failed
│       ├── AgentStuck         it does the same again and again, or its members only hand over
│       └── AgentFailing       its tools fail, its calls can't be made, or too few of its members answered
├── RunError                   a run ended, or may not begin
│   ├── LimitReached           money, tokens, calls or seconds are spent
│   ├── RunCancelled           somebody cancelled it
│   ├── RunWaiting             only a person's answer can take it further
│   ├── RunUnknown             no such run in the log
│   ├── RunBusy                another process is its writer
│   ├── RunMismatch            the program is not the one that the log was written by
│   └── SecretNeeded           a secret must be given again to go on
├── RecallError                a memory could not keep, find or forget
│   ├── ScopeInvalid           the name of a scope is not one that memories are kept under
│   ├── ItemUnfit              what was given cannot be kept: empty, too long, its times the wrong way round
│   ├── ItemUnknown            no item, symbol or write of this name in this scope
│   ├── WindowOverflow         what is pinned, or one item alone, is larger than the window
│   ├── MemoryFileError        its file
│   │   ├── MemoryDamaged      it cannot be read, or is none
│   │   ├── MemoryTooNew       a newer rookery wrote it
│   │   ├── MemoryFull         it cannot be written: the disk is full or read-only
│   │   └── MemoryBusy         another process writes it                   (retryable)
│   └── VectorsUnavailable     the vector store does not answer            (retryable)
├── PlanningError              a search can't be, or could not be, carried out
│   ├── SearchInvalid          a planner or a search was given options that make no sense
│   ├── StepWrong              a step of a search gave what it may not
│   └── SearchFailed           nothing at all of a search could be carried out
└── LogError                   the log itself
    ├── LogCorrupt             it cannot be read
    ├── LogTooNew              a newer rookery wrote it
    └── LogFull                it cannot be written: the disk is full or read-only
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class RookeryError(Exception):
    """Base of all errors of rookery."""

    retryable: bool = False
    """Whether the same attempt may succeed later; only these are tried again."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.reason = message
        """What happened, in one sentence."""
        self.hint = hint
        """What to do next, in one sentence; may be empty."""

    def __str__(self) -> str:
        return f"{self.reason}\n  → {self.hint}" if self.hint else self.reason


# ------------------------------------------------------------------ the program


class GraphError(RookeryError):
    """The program itself is wrong; nothing has run."""


class GraphFault(GraphError):
    """One fault of a graph, with the path of the place (``calls.title.text``)."""

    def __init__(self, path: str, message: str, *, hint: str = "", kind: str = "fault") -> None:
        super().__init__(f"{path}: {message}", hint=hint)
        self.path = path
        self.fault = message
        self.kind = kind
        """A short name of the sort of fault: ``type``, ``unset``, ``cycle``, …"""


class GraphInvalid(GraphError, ExceptionGroup):
    """All faults of one graph, raised together; ``faults`` holds them in the order of the calls."""

    faults: tuple[GraphFault, ...]

    def __new__(cls, name: str, faults: Sequence[GraphFault]) -> GraphInvalid:
        lines = "\n".join(f"  {fault.path}: {fault.fault}" + (f"\n    → {fault.hint}" if fault.hint else "") for fault in faults)
        self = super().__new__(cls, f"graph {name} has {len(faults)} fault(s):\n{lines}", list(faults))
        self.faults = tuple(faults)
        return self

    def __init__(self, name: str, faults: Sequence[GraphFault]) -> None:
        self.reason = self.message
        self.hint = ""
        self.name = name

    def derive(self, excs: Sequence[BaseException]) -> GraphInvalid:  # type: ignore[override]
        return GraphInvalid(self.name, [exc for exc in excs if isinstance(exc, GraphFault)])


class WorkflowInvalid(GraphError):
    """All faults of a workflow file; ``faults`` holds them in the order of its lines, each with its place, hint and kind."""

    def __init__(self, name: str, faults: Sequence[Any]) -> None:
        shown = "\n\n".join(str(fault.shown) for fault in faults[:100])
        more = f"\n\n… and {len(faults) - 100} more" if len(faults) > 100 else ""
        super().__init__(f"{name} has {len(faults)} fault{'' if len(faults) == 1 else 's'}\n\n{shown}{more}")
        self.name = name
        self.faults: tuple[Any, ...] = tuple(faults)


class NotInYaml(GraphError):
    """A graph holds what a workflow file can't say: a lambda, a type with code in it, a model object; ``path`` says where."""

    def __init__(self, path: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"{path}: {message}", hint=hint)
        self.path = path


class VariableMisuse(GraphError, TypeError):
    """A Variable was used as if its value were known: in ``if``, ``for``, an f-string, arithmetic."""


class OutsideRun(GraphError):
    """A Prompt was called where nothing can fill it in: outside of a graph and of a run."""


class InputError(RookeryError):
    """What the caller passed does not fit the graph's inputs; the message lists all that is wrong."""


# ------------------------------------------------------------------ values


class ValueError_(RookeryError):
    """A value is not what its type says."""


class NotSerialisable(ValueError_):
    """A value cannot be written to the log and read back as what it was."""


class ParseFailed(ValueError_):
    """A model's text is not a value of the type asked for; ``faults`` are (path, message) pairs."""

    def __init__(self, message: str, *, faults: Sequence[tuple[str, str]] = (), text: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.faults = tuple(faults)
        self.text = text


# ------------------------------------------------------------------ models


class ModelError(RookeryError):
    """A model could not answer; ``model`` is its name as configured."""

    def __init__(self, message: str, *, model: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.model = model


class ModelUnknown(ModelError):
    """The name names no model that can be built here."""


class SettingWrong(ModelError):
    """A setting, or an option of a model, is not what it should be; the message lists all that is wrong."""


class SettingMissing(ModelError):
    """A key, an address or a package that the model needs is not set or not installed."""


class ModelUnreachable(ModelError):
    """Nobody answers at the model's address."""

    retryable = True


class ModelBusy(ModelError):
    """The server asks to come back later (429, or 503 with Retry-After)."""

    retryable = True

    def __init__(self, message: str, *, model: str = "", hint: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, model=model, hint=hint)
        self.retry_after_s = retry_after_s
        """Seconds the server asked for, if it said so."""


class ModelFault(ModelError):
    """The server failed (5xx)."""

    retryable = True


class ReplyMalformed(ModelError):
    """The reply breaks the protocol: not JSON, the wrong content type, a missing field."""

    retryable = True


class ReplyCut(ModelError):
    """The stream ended before its end was announced."""

    retryable = True


class ReplyStalled(ModelError):
    """The stream stopped moving for longer than the model's read timeout."""

    retryable = True


class RequestRefused(ModelError):
    """The server will not take this request (a 4xx that waiting does not mend)."""


class ContextOverflow(ModelError):
    """Prompt and answer together do not fit the model's window."""


class CapabilityMissing(ModelError):
    """The model cannot do what was asked of it; the hint names what can."""


class WeightsDamaged(ModelError):
    """A file of weights is cut, or is no such file; ``path`` is the file."""

    def __init__(self, message: str, *, model: str = "", path: str = "", hint: str = "") -> None:
        super().__init__(message, model=model, hint=hint)
        self.path = path


class MemoryShort(ModelError):
    """The weights, or what a reply needs beside them, do not fit the memory of this machine or device."""

    def __init__(self, message: str, *, model: str = "", needed_bytes: int = 0, free_bytes: int = 0, hint: str = "") -> None:
        super().__init__(message, model=model, hint=hint)
        self.needed_bytes = needed_bytes
        self.free_bytes = free_bytes


class DeviceMissing(ModelError):
    """The device asked for, a GPU as a rule, is not there or can't be used."""


class SkillMissing(ModelError):
    """The embedded model has not learned this; the hint names the skills it has and the alternative."""


class CassetteDamaged(ModelError):
    """The cassette cannot be read, or a newer rookery recorded it."""


class CassetteMiss(ModelError):
    """No recorded answer for this request; the message shows what changed against the nearest one."""


# ------------------------------------------------------------------ decoding


class DecodingError(RookeryError):
    """What monitors say about a reply could not be kept to; ``rule`` names the rule, or the analyser behind it."""

    def __init__(self, message: str, *, rule: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.rule = rule


class RuleWrong(DecodingError):
    """A rule can't be made: a pattern or schema that can't be read, a name that is not known, an option out of its range."""


class LevelMissing(DecodingError):
    """The level that was demanded can't be had: ``model`` lacks what it takes, or the rule can't be said at this level."""

    def __init__(self, message: str, *, level: int, model: str = "", rule: str = "", hint: str = "") -> None:
        super().__init__(message, rule=rule, hint=hint)
        self.level = level
        self.model = model


class ConstraintUnmet(DecodingError):
    """Monitors leave nothing that may follow, also after going back; ``text`` is the end of what was written."""

    def __init__(self, message: str, *, rule: str = "", text: str = "", hint: str = "") -> None:
        super().__init__(message, rule=rule, hint=hint)
        self.text = text


class AnalyserFailed(DecodingError):
    """An analyser can't be started, has died, or answers nonsense. While decoding this is counted, and nothing is constrained."""


# ------------------------------------------------------------------ tools


class ToolError(RookeryError):
    """A tool could not be made or called; ``tool`` is its name, or that of the server or file it comes from."""

    def __init__(self, message: str, *, tool: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.tool = tool


class ToolUnfit(ToolError):
    """What was given cannot become a tool: a parameter without annotation, a name that is taken, a schema that says nothing valid."""

    def __init__(self, message: str, *, tool: str = "", faults: Sequence[tuple[str, str]] = (), hint: str = "") -> None:
        super().__init__(message + "".join(f"\n  {place}: {fault}" for place, fault in faults), tool=tool, hint=hint)
        self.faults = tuple(faults)
        """All the reasons, as (place, message) pairs, where there may be several."""


class ToolUnknown(ToolError):
    """There is no tool of this name; the hint names those that come near."""


class DocumentInvalid(ToolError):
    """All faults of a document that describes tools, as (place, message) pairs; the place is a JSON pointer (RFC 6901) or a line."""

    def __init__(self, message: str, *, tool: str = "", faults: Sequence[tuple[str, str]] = (), hint: str = "") -> None:
        super().__init__(message, tool=tool, hint=hint)
        self.faults = tuple(faults)


class ToolRefused(ToolError):
    """Neither a policy nor a person allows this call, or what it wants to reach is out of its bounds; nothing was done."""


class ToolFailed(ToolError):
    """The tool answered that it failed; the message is its own, shortened. ``status`` is the HTTP status, where there is one; ``kind``
    the class of what its code raised, or the bound that it met (``timeout``, ``memory`` …)."""

    def __init__(self, message: str, *, tool: str = "", status: int | None = None, kind: str = "", hint: str = "") -> None:
        super().__init__(message, tool=tool, hint=hint)
        self.status = status
        self.kind = kind


class ToolChanged(ToolError):
    """The tool is no longer what it was when it was taken in: its server has changed or withdrawn it."""


class ToolReplyWrong(ToolError):
    """The tool's answer is larger than allowed, breaks the protocol, or is not what the tool says it gives."""


class ToolTimeout(ToolError):
    """The tool gave no answer in time; it may have done its work all the same."""

    retryable = True


class ToolUnreachable(ToolError):
    """The tool's server cannot be started or reached, or has gone."""

    retryable = True


class ToolUnbound(ToolError):
    """The library knows the tool and has nothing that runs it: its function or its server must be given again."""


class LibraryDamaged(ToolError):
    """A file of a library is not what its manifest says; ``path`` is the file. The other tools load."""

    def __init__(self, message: str, *, tool: str = "", path: str = "", hint: str = "") -> None:
        super().__init__(message, tool=tool, hint=hint)
        self.path = path


class LibraryTooNew(ToolError):
    """A newer version of rookery wrote the library."""


class LibraryBusy(ToolError):
    """Another process has changed the library since it was opened."""

    retryable = True


class LibraryFull(ToolError):
    """The library cannot be written: the disk is full, or the folder is read-only. What was saved before is whole."""


# ------------------------------------------------------------------ searching


class SearchError(RookeryError):
    """An index or an embedder could not do its part; ``path`` is the index's file, where there is one."""

    def __init__(self, message: str, *, path: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class IndexDamaged(SearchError):
    """The file of an index cannot be read: no index, damaged, or of another kind."""


class IndexTooNew(SearchError):
    """A newer version of rookery wrote this index."""


class IndexFull(SearchError):
    """The index cannot be written: the disk is full, or the folder is read-only. The file before it is whole."""


class EmbedderMismatch(SearchError):
    """The vectors of an index were made by another embedder than the one given; ``built`` and ``given`` name both."""

    def __init__(self, message: str, *, built: str = "", given: str = "", path: str = "", hint: str = "") -> None:
        super().__init__(message, path=path, hint=hint)
        self.built = built
        self.given = given


class VectorWrong(SearchError):
    """A vector has another length than the index, or numbers that are not finite."""


# ------------------------------------------------------------------ sandboxes


class SandboxError(RookeryError):
    """Code that is not trusted could not be run safely, so it was not run; ``rung`` names the sandbox. What a program itself does wrong is
    no error but the ``fault`` of its outcome."""

    def __init__(self, message: str, *, rung: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.rung = rung


class SandboxMissing(SandboxError):
    """No sandbox of the kind asked for can work on this machine; the hint says what to install."""


class SandboxBroken(SandboxError):
    """The isolation could not be set up, or did not hold; nothing more is run in it."""


class ProgramInvalid(SandboxError):
    """The program cannot be handed over: arguments that are no JSON, a path out of its folder, a package that is not installed."""


# ------------------------------------------------------------------ calls


class CallError(RookeryError):
    """A call of a graph ended without a value; ``call`` is its path."""

    def __init__(self, message: str, *, call: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.call = call


class CallFailed(CallError):
    """A call failed after all its attempts; ``kind`` is the class name of the last attempt's error."""

    def __init__(self, message: str, *, call: str = "", kind: str = "", attempts: int = 1, hint: str = "") -> None:
        super().__init__(message, call=call, hint=hint)
        self.kind = kind
        self.attempts = attempts


class CallTimeout(CallError):
    """A call's time was up (its ``timeout_s``)."""

    retryable = True


class LoopExhausted(CallError):
    """A bounded loop met its bound before its condition was true."""


# ------------------------------------------------------------------ agents


class AgentError(CallError):
    """An agent or a team ended without an answer; ``call`` is its path. What it did until then is in the log."""


class AgentExhausted(AgentError):
    """Its turns are used up, or no answer passed the check that it was given."""


class GuardRefused(AgentError):
    """A guard did not let a text pass, a person whom it asked said no, or the guard itself failed; ``place`` is ``input``, ``output``,
    ``arguments`` or ``result``, ``categories`` the codes of what it fell under."""

    def __init__(self, message: str, *, guard: str = "", place: str = "", categories: Sequence[str] = (), call: str = "", hint: str = "") -> None:
        super().__init__(message, call=call, hint=hint)
        self.guard = guard
        self.place = place
        self.categories = tuple(categories)


class AgentStuck(AgentError):
    """It does the same again and again with the same result, or the members of a team only hand over to one another."""


class AgentFailing(AgentError):
    """Its tools fail one after another, the model calls what can't be called, or too few members of a committee gave an answer."""


# ------------------------------------------------------------------ runs


class FlowRefused(CallError):
    """A labelled value would have gone where its label keeps it from; nothing was done. ``path`` names the variables from its source to the
    ``sink``; ``label`` is ``untrusted``, ``secret`` or the ``memory:…`` of a scope."""

    def __init__(self, message: str, *, call: str = "", label: str = "", sink: str = "", path: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message, call=call, hint=hint)
        self.label = label
        self.sink = sink
        self.path = tuple(path)


class RunError(RookeryError):
    """A run ended without a value, or may not begin; ``run`` is its id."""

    def __init__(self, message: str, *, run: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.run = run


class LimitReached(RunError):
    """Money, tokens, calls or seconds are spent; ``what`` names which, ``call`` the call that asked for more."""

    def __init__(self, message: str, *, what: str, call: str = "", run: str = "", hint: str = "") -> None:
        super().__init__(message, run=run, hint=hint)
        self.what = what
        self.call = call


class RunCancelled(RunError):
    """Somebody cancelled the run."""


class RunWaiting(RunError):
    """Only a person's answer can take the run further; ``questions`` are the paths of the open ones."""

    def __init__(self, message: str, *, run: str = "", questions: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message, run=run, hint=hint)
        self.questions = tuple(questions)


class RunUnknown(RunError):
    """There is no such run in the log."""


class RunBusy(RunError):
    """Another process is the writer of this run; ``owner`` says which."""

    def __init__(self, message: str, *, run: str = "", owner: str = "", hint: str = "") -> None:
        super().__init__(message, run=run, hint=hint)
        self.owner = owner


class RunMismatch(RunError):
    """The program given to ``resume`` is not the one that the log was written by."""


class SecretNeeded(RunError):
    """A secret is not in the log and must be given again to go on; ``secrets`` are their paths."""

    def __init__(self, message: str, *, run: str = "", secrets: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message, run=run, hint=hint)
        self.secrets = tuple(secrets)


# ------------------------------------------------------------------ memory


class RecallError(RookeryError):
    """A memory could not keep, find or forget something; ``scope`` is whose."""

    def __init__(self, message: str, *, scope: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.scope = scope


class ScopeInvalid(RecallError):
    """The name of a scope is empty, too long, or has signs that paths or terminals read their own way."""


class ItemUnfit(RecallError):
    """What was given cannot be kept: an empty text, one that is too long, a validity that ends before it begins."""


class ItemUnknown(RecallError):
    """There is no item, symbol or write of this name in this scope."""


class WindowOverflow(RecallError):
    """What is pinned, or an item that may not be split, takes more than the window has; ``tokens`` and ``limit`` say how much."""

    def __init__(self, message: str, *, tokens: int, limit: int, scope: str = "", hint: str = "") -> None:
        super().__init__(message, scope=scope, hint=hint)
        self.tokens = tokens
        self.limit = limit


class MemoryFileError(RecallError):
    """The file of a memory could not be read or written; ``path`` is the file."""

    def __init__(self, message: str, *, path: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class MemoryDamaged(MemoryFileError):
    """The file of a memory cannot be read: no memory, or damaged."""


class MemoryTooNew(MemoryFileError):
    """A newer version of rookery wrote this memory."""


class MemoryFull(MemoryFileError):
    """The memory cannot be written: the disk is full, or the folder is read-only. What was acknowledged is whole."""


class MemoryBusy(MemoryFileError):
    """Another process is writing this memory."""

    retryable = True


class VectorsUnavailable(RecallError):
    """The vector store does not answer; what was kept is safe and found by its words, and is handed to the store later."""

    retryable = True


# ------------------------------------------------------------------ planning


class PlanningError(RookeryError):
    """A search can't be, or could not be, carried out."""


class SearchInvalid(PlanningError):
    """A planner or a search was given options that make no sense: a width of 0, a depth below 1."""


class StepWrong(PlanningError):
    """A step of a search gave what it may not: a value that is no number, or not a finite one."""


class SearchFailed(PlanningError):
    """Nothing at all of a search could be carried out; ``kind`` is the class name of the first error."""

    def __init__(self, message: str, *, kind: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.kind = kind


# ------------------------------------------------------------------ the log


class LogError(RookeryError):
    """The log could not be read or written; ``path`` is its file."""

    def __init__(self, message: str, *, path: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path
        self.readable: Sequence[Any] = ()
        """When a run was read: the events asked for that come before what cannot be read."""


class LogCorrupt(LogError):
    """The log cannot be read: not a log, damaged, or a value that is missing."""


class LogTooNew(LogError):
    """A newer version of rookery wrote this log."""


class LogFull(LogError):
    """The log cannot be written: the disk is full, or the file is read-only."""
