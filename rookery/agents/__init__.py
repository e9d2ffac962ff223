"""Agents: a model, tools, a memory and a planner under a limit; teams of them, conversations with them."""

from rookery.agents.agent import Agent
from rookery.agents.case import AgentPlanner, Case
from rookery.agents.committee import committee, fan_out
from rookery.agents.conversation import conversation, talk
from rookery.agents.guard import HARMS, Category, Guard, Judgement, Said, Verdict, guard, patterns
from rookery.agents.move import Move, Seen, Use
from rookery.agents.plan_then_execute import plan_then_execute
from rookery.agents.react import react
from rookery.agents.reflect import reflect
from rookery.agents.repeats import Repeats
from rookery.agents.searching import searching
from rookery.agents.team import Team

__all__ = [
    "HARMS",
    "Agent",
    "AgentPlanner",
    "Case",
    "Category",
    "Guard",
    "Judgement",
    "Move",
    "Repeats",
    "Said",
    "Seen",
    "Team",
    "Use",
    "Verdict",
    "committee",
    "conversation",
    "fan_out",
    "guard",
    "patterns",
    "plan_then_execute",
    "react",
    "reflect",
    "searching",
    "talk",
]
