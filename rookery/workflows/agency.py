"""A call that an agent or a team does: a task, done by a model with tools under a limit."""

from __future__ import annotations

from typing import Any

from rookery.core.graph import Call
from rookery.workflows import format as form
from rookery.workflows.build import Builder, Draft


def tasked(builder: Builder, found: Draft, spec: form.AgentCall | form.TeamCall) -> list[Call]:
    """The agent's call."""
    raise NotImplementedError(Any)
