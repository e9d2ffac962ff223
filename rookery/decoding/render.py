"""A prompt and its arguments → a Request, in segments, with the answer's form asked for in the cheapest way the model has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rookery.core.function import Prompt
from rookery.core.policy import SAMPLING, Policy
from rookery.core.template import Hole, Template, as_text, lookup
from rookery.core.types import schema
from rookery.decoding.parse import Form, form_of, instructions, parse, repair_text
from rookery.errors import ParseFailed
from rookery.models.model import Capabilities, Message, Request, Sampling, Segment, ToolCall


@dataclass(frozen=True, slots=True)
class Rendered:
    """A request, and how its reply is to be read."""

    request: Request
    type: Any
    form: Form
    level: str
    """How the type is enforced: ``server schema``, ``validate``, or empty for free text."""
    decode: Any = None
    """A rule of the prompt's own that its reply is held to, where the call has none."""

    def parse(self, text: str) -> Any:
        """The reply as a value. Raises ParseFailed with all faults."""
        return parse(text, self.type, self.form)

    def read(self, text: str, calls: Sequence[ToolCall] = ()) -> Any:
        """A whole reply as a value; ``calls`` are the tools it called, for prompts that offered some. Raises ParseFailed."""
        return self.parse(text)

    def repair(self, error: ParseFailed) -> str:
        """What is said to the model when its reply could not be read."""
        return repair_text(error, self.type, self.form)


def render(
    prompt: Prompt[..., Any], args: Mapping[str, Any], policy: Policy, capabilities: Capabilities, *,
    paths: Mapping[str, str] | None = None, idempotency_key: str = "",
) -> Rendered:
    """The request of a prompt for a model that can do what ``capabilities`` say.

    ``paths`` names the variable each argument came from. Raises LookupError when a hole leads nowhere.
    """
    explicit = prompt.form != "auto"
    form = form_of(prompt.returns, prompt.form)
    segments = _segments(prompt.template, args, paths or {})
    wanted: dict[str, Any] | None = None
    level = ""
    if form == "json" and capabilities.json_schema:
        wanted = schema(prompt.returns)
        level = "server schema"
    elif form != "text" or prompt.returns is not str:
        level = "validate"
        asked = instructions(prompt.returns, form, explicit=explicit)
        if asked:
            segments.append(Segment("\n\n" + asked))
    messages = [Message("user", tuple(segments))]
    if prompt.system is not None:
        messages.insert(0, Message("system", tuple(_segments(prompt.system, args, paths or {}))))
    request = Request(
        tuple(messages), sampling_of(policy), schema=wanted, schema_name=prompt.name, idempotency_key=idempotency_key,
        sample=policy.sample or 0, extra=policy.extra or {},
    )
    return Rendered(request, prompt.returns, form, level)


def sampling_of(policy: Policy) -> Sampling:
    """The part of a policy that says how tokens are drawn."""
    return Sampling(stop=policy.stop or (), seed=policy.seed, logprobs=policy.logprobs, **{name: getattr(policy, name) for name in SAMPLING})


def _segments(template: Template, args: Mapping[str, Any], paths: Mapping[str, str]) -> list[Segment]:
    segments: list[Segment] = []
    for part in template.parts:
        if isinstance(part, Hole):
            segments.append(Segment(as_text(lookup(args[part.name], part.path)), paths.get(part.name, part.name)))
        else:
            segments.append(Segment(part))
    return segments

