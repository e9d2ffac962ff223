"""Planners: which calls to make next, given what came back. One ``search``, and the planners that it takes."""

from rookery.planners.beam import beam
from rookery.planners.draw import draw, mermaid
from rookery.planners.ledger import LossLedger, ledger
from rookery.planners.planner import Check, Child, Choice, Facts, Planner, Result, Verdict, Work
from rookery.planners.result import Answer, SearchResult, SearchTree
from rookery.planners.search import Search, search
from rookery.planners.step import claimed, exact, public_tests, value, vote
from rookery.planners.tree import Tree

__all__ = [
    "Answer",
    "Check",
    "Child",
    "Choice",
    "Facts",
    "LossLedger",
    "Planner",
    "Result",
    "Search",
    "SearchResult",
    "SearchTree",
    "Tree",
    "Verdict",
    "Work",
    "beam",
    "claimed",
    "draw",
    "exact",
    "ledger",
    "mermaid",
    "public_tests",
    "search",
    "value",
    "vote",
]
