"""What calls use: tokens, money, requests; and how sure the model was of what they gave."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spend:
    """What a call used: tokens in and out, tokens the server had cached, USD (None: no price known)."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float | None = None
    calls: int = 0
    """Requests sent to models."""
    sandbox_s: float = 0.0
    """Processor seconds in sandboxes."""

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Spend) -> Spend:
        cost = None if self.cost_usd is None and other.cost_usd is None else (self.cost_usd or 0.0) + (other.cost_usd or 0.0)
        return Spend(
            self.prompt_tokens + other.prompt_tokens, self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens, cost, self.calls + other.calls, self.sandbox_s + other.sandbox_s,
        )


NOTHING_SPENT = Spend()


@dataclass(frozen=True, slots=True)
class Confidence:
    """How likely a model thought its reply, by its own log-probabilities."""

    logprob: float = 0.0
    """Sum of the natural log-probabilities of the reply's tokens, at most 0."""
    tokens: int = 0
    entropy: float = 0.0
    """The largest entropy among the tokens, in nats: how open the choice was where it was most open. A lower bound, from the
    alternatives that the model named."""

    @property
    def mean(self) -> float:
        """Log-probability per token."""
        return self.logprob / self.tokens if self.tokens else 0.0

    def __add__(self, other: Confidence) -> Confidence:
        return Confidence(self.logprob + other.logprob, self.tokens + other.tokens, max(self.entropy, other.entropy))
