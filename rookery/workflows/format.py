"""The format: what a workflow file may say, as data. The reader, the JSON Schema and the YAML reference are all made from these classes.

A field's name is its key in YAML (a trailing ``_`` falls away), its type says what may stand there, and its words are what an editor shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NewType

from typing_extensions import dataclass_transform

from rookery.core.graph import MISSING
from rookery.workflows.document import Node

VERSION = 1

if TYPE_CHECKING:
    Name = str
    TypeText = str
    Expression = str
    Template = str
    Value = Node
    Constant = Node
    AnyType = Node
else:
    Name = NewType("Name", str)
    """A word that other places refer to: letters, digits and ``_``, no digit first."""
    TypeText = NewType("TypeText", str)
    """A type as Python writes it: ``str``, ``list[Section]``, ``int | None``, ``Literal['a', 'b']``."""
    Expression = NewType("Expression", str)
    """A condition in CEL (https://cel.dev) over the names of inputs and calls: ``size(sections) > 2``."""
    Template = NewType("Template", str)
    """Text with holes: ``{topic}``, ``{section.title}``, ``{rows[0]}``; ``{{`` and ``}}`` are braces. ``file:NAME`` reads a file beside it."""
    Value = NewType("Value", Node)
    """A value, or ``$name`` of an input or a call (``$name.field``, ``$name[0]``), also inside of lists and mappings. ``$$`` is a dollar sign."""
    Constant = NewType("Constant", Node)
    """A plain value; nothing in it is filled in."""
    AnyType = NewType("AnyType", Node)
    """A type of one's own: fields by name, a list of choices, or another type's text."""


@dataclass(frozen=True, slots=True)
class AtLeast:
    """The smallest number that may stand there."""

    number: float


@dataclass(frozen=True, slots=True)
class Beside:
    """This field takes the keys that no other field has."""


class _Made:
    """A default that is made anew for each object."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


def field(*, default_factory: Callable[[], Any]) -> Any:
    """A field whose default is made anew for each object."""
    return _Made(default_factory)


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field,))
class Spec:
    """What was read of one mapping; ``node`` is the mapping.

    These are dataclasses in all but how they are made: ``dataclass`` compiles a function for each class, which for some thirty of them takes
    longer than a small workflow takes to be checked.
    """

    node: Node
    defaults: ClassVar[dict[str, Any]] = {}
    """By field, those of the bases too; one that has none must be given."""

    def __init_subclass__(cls) -> None:
        own = {name: vars(cls)[name] for name in vars(cls).get("__annotations__", {}) if name in vars(cls)}
        inherited: dict[str, Any] = {}
        for base in reversed(cls.__mro__[1:-1]):
            inherited |= vars(base).get("defaults", {})
        cls.defaults = inherited | own

    def __init__(self, **values: Any) -> None:
        given = vars(self)
        for name, default in type(self).defaults.items():
            given[name] = default.make() if isinstance(default, _Made) else default
        given.update(values)


# ------------------------------------------------------------------ what calls and prompts may say of how they are carried out


class Retry(Spec):
    """When a call is tried again."""

    attempts: Annotated[int, "So often it is tried; only errors that may pass are tried again.", AtLeast(1)] = 3
    wait_s: Annotated[float | None, "Seconds between two attempts; without it they grow from 0.5 to 30.", AtLeast(0)] = None


class Limit(Spec):
    """Caps; what is not named has none."""

    usd: Annotated[float | None, "Money, by the models' known prices.", AtLeast(0)] = None
    tokens: Annotated[int | None, "Prompt and completion tokens together.", AtLeast(0)] = None
    calls: Annotated[int | None, "Requests to models, attempts and repairs included.", AtLeast(0)] = None
    seconds: Annotated[float | None, "Wall time in which it is being carried out.", AtLeast(0)] = None
    sandbox_seconds: Annotated[float | None, "Processor seconds in sandboxes.", AtLeast(0)] = None


class Decode(Spec):
    """What a model's text must keep to while it is written."""

    monitors: Annotated[list[str | dict[str, Constant]], "Names of monitors, or {NAME: {option: …}}; all of them must hold."]
    mode: Annotated[Literal["hard", "soft", "off"], "hard: nothing else may follow; soft: it is made unlikely."] = "hard"
    nats: Annotated[float | None, "With soft: by so much.", AtLeast(0)] = None
    budget_s: Annotated[float | None, "Seconds that an analyser may take.", AtLeast(0)] = None
    level: Annotated[int | None, "The lowest level that will do.", AtLeast(0)] = None
    optimistic: Annotated[bool | None, "Go on while an analyser thinks, and take back what it does not allow."] = None


class Gather(Spec):
    """What becomes of a map some of whose calls failed."""

    at_least: Annotated[int, "Failed calls are left out; fewer good ones than this fail the map.", AtLeast(1)] = 1


class Manner(Spec):
    """How a call is carried out."""

    model: Annotated[str | None, "A name from models:, or provider:NAME[@BASE_URL]."] = None
    fallback: Annotated[list[str], "Models to ask, in order, when the first one's attempts are spent."] = field(default_factory=list)
    retry: Annotated[Retry | int | None, "When it is tried again; a number is that of attempts."] = None
    timeout_s: Annotated[float | None, "Seconds for one attempt.", AtLeast(0)] = None
    repair: Annotated[int | None, "So often text that does not parse goes back to the model with its faults; 2 unless said.", AtLeast(0)] = None
    temperature: Annotated[float | None, "From 0 up.", AtLeast(0)] = None
    top_p: Annotated[float | None, "From 0 to 1.", AtLeast(0)] = None
    top_k: Annotated[int | None, "Only the so many likeliest tokens are drawn from; 0 means all.", AtLeast(0)] = None
    min_p: Annotated[float | None, "From 0 to 1: only tokens at least this share as likely as the likeliest are drawn from.", AtLeast(0)] = None
    frequency_penalty: Annotated[float | None, "Nats off a token for each time it stands in the reply."] = None
    presence_penalty: Annotated[float | None, "Nats off a token that stands in the reply."] = None
    repetition_penalty: Annotated[float | None, "Makes tokens of prompt and reply less likely; 1 does nothing.", AtLeast(0)] = None
    max_tokens: Annotated[int | None, "Of one answer.", AtLeast(1)] = None
    stop: Annotated[list[str] | None, "Texts at which the model stops."] = None
    seed: Annotated[int | None, "For models that take one."] = None
    sample: Annotated[int | None, "Which of several draws of the same question this is."] = None
    logprobs: Annotated[int | None, "So many alternatives of each token are asked for."] = None
    cache: Annotated[bool | None, "Whether an equal call's value is taken from the cache."] = None
    extra: Annotated[dict[str, Constant] | None, "Fields for the model's server as they are."] = None
    gather: Annotated[Literal["all", "none"] | Gather | None, "all: a failed call fails the map; none: it leaves nothing in its place."] = None
    decode: Annotated[str | list[str | dict[str, Constant]] | Decode | None, "What the text must keep to while it is written."] = None


# ------------------------------------------------------------------ prompts, and other parts that calls name


class Input(Spec):
    """One input of the workflow, or one parameter of a prompt."""

    type: Annotated[TypeText, "Its type."] = "str"
    default: Annotated[Constant, "Its value unless another is given."] = field(default_factory=lambda: MISSING)
    labels: Annotated[list[str], "secret, untrusted or names of your own; they travel with the value."] = field(default_factory=list)
    description: Annotated[str, "What it is, in words."] = ""


class Field(Spec):
    """One field of a type, with its bounds."""

    type: Annotated[TypeText, "Its type."] = "str"
    default: Annotated[Constant, "Its value where none is given."] = field(default_factory=lambda: MISSING)
    description: Annotated[str, "What it is, in words; models read it."] = ""
    ge: Annotated[float | None, "At least."] = None
    gt: Annotated[float | None, "More than."] = None
    le: Annotated[float | None, "At most."] = None
    lt: Annotated[float | None, "Less than."] = None
    min_length: Annotated[int | None, "Characters or items at least."] = None
    max_length: Annotated[int | None, "Characters or items at most."] = None
    pattern: Annotated[str | None, "A regular expression that the text matches."] = None


class Prompt(Manner):
    """A prompt that calls and planners name."""

    prompt: Annotated[Template, "The text, with holes."]
    returns: Annotated[TypeText, "What the model gives."] = "str"
    inputs: Annotated[dict[Name, TypeText | Input], "The types of its holes, where the variables that fill them do not say."] = field(
        default_factory=dict
    )
    system: Annotated[Template | None, "The system message."] = None
    form: Annotated[Literal["auto", "text", "json", "lines"], "How the answer is written; auto follows the type."] = "auto"
    labels: Annotated[list[str], "Labels that its values carry."] = field(default_factory=list)
    name: Annotated[str | None, "The name it goes by in logs, where that is not its key here."] = None


class Model(Spec):
    """A model under a name."""

    use: Annotated[str, "provider:NAME[@BASE_URL], as embedded:game24 or openai:gpt-5-mini."]
    fallback: Annotated[list[str], "Models to ask, in order, when this one's attempts are spent."] = field(default_factory=list)
    max_in_flight: Annotated[int | None, "Calls at a time.", AtLeast(1)] = None
    timeout_s: Annotated[float | None, "Longest wait for the next piece of a reply.", AtLeast(0)] = None
    base_url: Annotated[str | None, "The server's address."] = None
    api_key_env: Annotated[str | None, "The environment variable that holds the key; keys stand in no workflow."] = None
    context_tokens: Annotated[int | None, "The size of its window.", AtLeast(1)] = None
    usd_per_million_tokens: Annotated[list[float] | None, "Prices of a million prompt tokens and of a million completion tokens."] = None
    options: Annotated[dict[str, Constant], "Options of the model's class."] = field(default_factory=dict)


class Memory(Spec):
    """What is remembered across runs; gives the tools keep, recall and history."""

    scope: Annotated[Template, "Whose memory: user:{user}, with inputs in braces."]
    path: Annotated[str, "Its folder, from the workflow's."] = "./memory"
    tokens: Annotated[int, "So many tokens a recollection has at most."] = 1_000
    embedder: Annotated[str | None, "Another embedder than the one that ships with rookery."] = None


class Mcp(Spec):
    """An MCP server: started by a command, or reached at a URL."""

    command: Annotated[list[str], "The program and its arguments, each an item; no shell is involved."] = field(default_factory=list)
    url: Annotated[str, "Its address (streamable HTTP)."] = ""
    name: Annotated[Name | None, "Its tools are called NAME__tool; from the command unless given."] = None
    allow: Annotated[list[str], "Tools with effects that need no person's yes."] = field(default_factory=list)
    env: Annotated[dict[str, str], "Variables for a started server."] = field(default_factory=dict)
    timeout_s: Annotated[float, "Longest wait for an answer.", AtLeast(0)] = 60.0
    tools: Annotated[dict[Name, Signature], "What its tools take and give, so that `check` knows; it is compared when they are used."] = field(
        default_factory=dict
    )


class Signature(Spec):
    """What a tool takes and gives."""

    inputs: Annotated[dict[Name, TypeText | Input], "Its parameters."] = field(default_factory=dict)
    returns: Annotated[TypeText, "What it gives."] = "Any"


class Tools(Spec):
    """Where tools come from; one of these."""

    folder: Annotated[str | None, "Python files whose functions are tools; they run in a sandbox."] = None
    mcp: Annotated[Mcp | None, "An MCP server."] = None
    files: Annotated[str | None, "A folder: read_file, list_files, search_files."] = None
    write: Annotated[bool, "With files: write_file too."] = False
    web: Annotated[list[str] | None, "Addresses that get_page may fetch."] = None
    use: Annotated[list[Name] | None, "Tools that come with rookery (calculate), or that the caller registers, by name."] = None


# ------------------------------------------------------------------ calls


class Call(Spec):
    """What every call may say."""

    when: Annotated[Expression | None, "It runs only when this is true; its type is then T | None unless otherwise: is given."] = None
    otherwise: Annotated[Value, "The value when the condition is false."] = field(default_factory=lambda: MISSING)
    labels: Annotated[list[str], "Labels that its value carries: untrusted, secret, names of your own."] = field(default_factory=list)


class Placed(Call):
    """A call that takes arguments."""

    with_: Annotated[dict[Name, Value], "Arguments by name."] = field(default_factory=dict)
    each: Annotated[dict[Name, Value], "Arguments that are lists: it is called for each element, side by side."] = field(default_factory=dict)


class PromptCall(Placed, Manner):
    """A model fills it in."""

    prompt: Annotated[Template, "The text with holes for inputs and calls, file:NAME, or the name of an entry of prompts:."]
    returns: Annotated[TypeText | None, "What the model gives; str unless said."] = None
    system: Annotated[Template | None, "The system message."] = None
    form: Annotated[Literal["auto", "text", "json", "lines"] | None, "How the answer is written; auto follows the type."] = None


class ToolCall(Placed, Manner):
    """Python fills it in."""

    tool: Annotated[Name, "A tool's name."]


class FlowCall(Placed):
    """A workflow fills it in."""

    workflow: Annotated[Name | str | Flow, "An entry of workflows:, file:NAME.yaml, or a workflow written here."]
    gather: Annotated[Literal["all", "none"] | Gather | None, "With each: what becomes of failed elements."] = None


class LoopCall(Call):
    """Something is called again and again on what it gave."""

    loop: Annotated[
        str | Flow | Turn, "What is repeated: an entry of prompts: or workflows:, a tool, file:NAME.yaml, or a prompt, tool or workflow here."
    ]
    times: Annotated[int, "At most so many turns.", AtLeast(1)]
    with_: Annotated[dict[Name, Value], "Its arguments; the state is where it begins."] = field(default_factory=dict)
    state: Annotated[Name | None, "The parameter that takes what the last turn gave; the first one unless said."] = None
    until: Annotated[Expression | None, "It ends when this is true, over the parameters' names; the state is the new one."] = None
    or_last: Annotated[bool, "When it has not ended by then, the last state is its value; else it fails."] = False


class Turn(Manner):
    """A prompt or a tool that a loop repeats, written in place."""

    prompt: Annotated[Template | None, "The text, with holes for the loop's arguments."] = None
    tool: Annotated[Name | None, "A tool's name."] = None
    returns: Annotated[TypeText | None, "What the model gives; str unless said."] = None


class PlanCall(Call):
    """A planner searches for it."""

    plan: Annotated[Plan, "The planner, its options, and the steps that it takes."]
    state: Annotated[Value, "The state it begins with."]
    limit: Annotated[Limit | None, "Caps of its own, within the workflow's."] = None
    model: Annotated[str | None, "For its prompts that name none."] = None
    result: Annotated[Literal["answer", "all"], "answer: the best answer (or nothing); all: the whole SearchResult."] = "answer"


class Plan(Spec):
    """A planner with its steps; its other options are those of the planner's function in rookery.planners."""

    planner: Annotated[
        Literal["beam", "best_of_n", "self_consistency", "refine", "dfs", "best_first", "mcts", "ab_mcts", "confidence_tree", "plan_search"],
        "Its name.",
    ]
    propose: Annotated[str, "From a state to its next states: a prompt, a tool or a workflow."]
    evaluate: Annotated[str | Judge | None, "From a state to a number, larger is better."] = None
    goal: Annotated[str | Goal | None, "From a state to whether it is a solution."] = None
    steps: Annotated[dict[Name, str], "What else the planner takes: reflect, observe, …"] = field(default_factory=dict)
    options: Annotated[dict[str, Constant], Beside()] = field(default_factory=dict)
    """What stands beside these keys: ``width: 5`` of a beam."""
    concurrency: Annotated[int, "Works in flight at a time.", AtLeast(1)] = 8
    seed: Annotated[int, "For whatever it draws."] = 0
    answers: Annotated[int, "So many solutions end it.", AtLeast(1)] = 1
    max_nodes: Annotated[int, "So many states end it.", AtLeast(1)] = 100_000
    max_works: Annotated[int | None, "So many works, those of tools too, end it.", AtLeast(1)] = None


class Judge(Spec):
    """How states are judged."""

    value: Annotated[str | None, "Judges each state alone."] = None
    vote: Annotated[str | None, "Sees all states together and gives the best one's place, from 1 up."] = None
    samples: Annotated[int, "So often each is judged, or so many votes.", AtLeast(1)] = 1
    scale: Annotated[dict[str, float], "What words are worth: {sure: 20, likely: 1}."] = field(default_factory=dict)
    weigh: Annotated[bool, "Count a word by the model's own probability of it."] = False


class Goal(Spec):
    """What a yes is worth."""

    exact: Annotated[str | None, "Its yes is the truth."] = None
    public_tests: Annotated[str | None, "It runs the tests that the search may see."] = None
    claimed: Annotated[str | None, "A model says so."] = None


class AskCall(Call):
    """A person fills it in."""

    ask: Annotated[str, "The question."]
    returns: Annotated[TypeText, "What the person gives."] = "str"
    show: Annotated[Value, "What the person sees with the question."] = field(default_factory=lambda: MISSING)


class ThenCall(Call):
    """One value or another."""

    then: Annotated[Value, "The value when the condition is true."]
    then_effects: Annotated[list[Name], "Calls with effects that belong to this branch though nothing reads their values."] = field(
        default_factory=list
    )
    otherwise_effects: Annotated[list[Name], "The same for the other branch."] = field(default_factory=list)


class AgentCall(Call):
    """An agent answers a question."""

    agent: Annotated[Name | Agent, "An entry of agents:, or an agent written here."]
    question: Annotated[Value, "What it is to answer or do."]
    returns: Annotated[TypeText | None, "The type of its answer; the agent's own unless said."] = None
    limit: Annotated[Limit | None, "Caps of its own, within the workflow's."] = None


class TeamCall(Call):
    """Several agents answer a question, handing over to one another."""

    team: Annotated[list[Name] | Team, "Entries of agents:, the first of which begins; or a team with its options."]
    question: Annotated[Value, "What they are to answer or do."]
    returns: Annotated[TypeText | None, "The type of their answer; that of the first one unless said."] = None
    limit: Annotated[Limit | None, "Caps of its own, within the workflow's."] = None


class Team(Spec):
    """Agents that hand over to one another."""

    members: Annotated[list[Name], "Entries of agents:; the first one begins."]
    sees: Annotated[Literal["whole", "summary", "given"], "What a member sees of what was done before it."] = "whole"
    hand_overs: Annotated[int, "So often they hand over at most.", AtLeast(0)] = 16


class Agent(Spec):
    """A model, tools, a memory and a planner under a limit."""

    role: Annotated[str | None, "Who it is and how it works: its system message."] = None
    model: Annotated[str | None, "A name from models:, or provider:NAME[@BASE_URL]; the run's unless said."] = None
    tools: Annotated[list[Name], "Tools, prompts, workflows and other agents that it may call."] = field(default_factory=list)
    memory: Annotated[bool, "It has the workflow's memory."] = False
    planner: Annotated[
        Literal["react", "plan_then_execute", "reflect", "best_of_n"] | AgentPlanner, "How it gets to its answer; react unless said."
    ] = "react"
    returns: Annotated[TypeText, "The type of its answer."] = "str"
    limit: Annotated[Limit | None, "Caps of each of its answers."] = None
    allow: Annotated[list[Name], "Tools with effects that need no person's yes."] = field(default_factory=list)
    doc: Annotated[str, "What other agents are told of it; its role unless said."] = ""
    window_tokens: Annotated[int | None, "A cap of its own on each prompt.", AtLeast(1)] = None
    temperature: Annotated[float | None, "Of its model calls, from 0 up.", AtLeast(0)] = None
    max_tokens: Annotated[int | None, "Of one answer of its model.", AtLeast(1)] = None


class AgentPlanner(Spec):
    """An agent's planner with its options."""

    planner: Annotated[Literal["react", "plan_then_execute", "reflect", "best_of_n"], "Its name."]
    options: Annotated[dict[str, Constant], Beside()] = field(default_factory=dict)
    """What stands beside it: ``turns: 5``."""


CALLS: dict[str, type[Call]] = {
    "prompt": PromptCall, "tool": ToolCall, "workflow": FlowCall, "loop": LoopCall, "plan": PlanCall, "agent": AgentCall, "team": TeamCall,
    "ask": AskCall, "then": ThenCall,
}  # fmt: skip
"""The key that says what a call is."""
if TYPE_CHECKING:
    AnyCall = Call
else:
    AnyCall = NewType("AnyCall", Call)
    """One of CALLS, by its key."""


# ------------------------------------------------------------------ the whole


class Flow(Spec):
    """Inputs, calls and an output: a workflow inside of another."""

    inputs: Annotated[dict[Name, TypeText | Input], "What it is given."] = field(default_factory=dict)
    calls: Annotated[dict[Name, AnyCall], "Its calls by name; each starts as soon as what it reads is there."]
    output: Annotated[Value, "What it gives: $name of a call."]
    returns: Annotated[TypeText | None, "The output's type, where that says more or less than the call's."] = None
    effects: Annotated[list[Name], "Calls that must be reached though nothing reads their values."] = field(default_factory=list)
    description: Annotated[str, "What it does, in words."] = ""
    name: Annotated[str | None, "Its name in logs; that of its key or file unless given."] = None


class Workflow(Flow):
    """A workflow file."""

    version: Annotated[Literal[1], "The version of the format."]
    types: Annotated[dict[Name, AnyType], "Types that inputs, prompts and tools use."] = field(default_factory=dict)
    models: Annotated[dict[str, str | Model], "Models by name; default is that of prompts that name none."] = field(default_factory=dict)
    memory: Annotated[Memory | None, "What is remembered across runs."] = None
    tools: Annotated[list[str | Tools], "Where tools come from: folders, MCP servers, names of registered ones."] = field(default_factory=list)
    prompts: Annotated[dict[Name, Prompt], "Prompts that several calls, loops or planners use."] = field(default_factory=dict)
    agents: Annotated[dict[Name, Agent], "Agents that calls name."] = field(default_factory=dict)
    workflows: Annotated[dict[Name, Flow], "Workflows that calls and loops name."] = field(default_factory=dict)
    limit: Annotated[Limit | None, "Caps of a whole run."] = None
    clearance: Annotated[
        dict[str, list[str]], "Where values with a label may go though it keeps them from there: {untrusted: [keep.text]} names a tool's argument."
    ] = field(default_factory=dict)
    max_in_flight: Annotated[int | None, "At most so many calls at a time.", AtLeast(1)] = None
