"""Planners: which calls to make next, given what came back. One ``search``, and the planners that it takes."""

from rookery.planners.ab_mcts import ab_mcts
from rookery.planners.beam import beam
from rookery.planners.best_first import best_first
from rookery.planners.compare import Comparison, compare
from rookery.planners.confidence import confidence_tree
from rookery.planners.dfs import dfs
from rookery.planners.draw import draw, mermaid
from rookery.planners.interval import paired_difference, wilson
from rookery.planners.ledger import LossLedger, ledger
from rookery.planners.mcts import mcts
from rookery.planners.measure import diversity, effective_ideas, filtered_pass_at_k, idea_diversity, pass_at_k
from rookery.planners.plan_execute import plan_execute
from rookery.planners.plan_search import plan_search
from rookery.planners.planner import Check, Child, Choice, Facts, Planner, Result, Verdict, Work
from rookery.planners.race import Race, Trial
from rookery.planners.refine import refine
from rookery.planners.result import Answer, SearchResult, SearchTree
from rookery.planners.sample import best_of_n, self_consistency
from rookery.planners.search import Search, search
from rookery.planners.step import claimed, exact, public_tests, value, vote
from rookery.planners.tree import Tree

__all__ = [
    "Answer",
    "Check",
    "Child",
    "Choice",
    "Comparison",
    "Facts",
    "LossLedger",
    "Planner",
    "Race",
    "Result",
    "Search",
    "SearchResult",
    "SearchTree",
    "Tree",
    "Trial",
    "Verdict",
    "Work",
    "ab_mcts",
    "beam",
    "best_first",
    "best_of_n",
    "claimed",
    "compare",
    "confidence_tree",
    "dfs",
    "diversity",
    "draw",
    "effective_ideas",
    "exact",
    "filtered_pass_at_k",
    "idea_diversity",
    "ledger",
    "mcts",
    "mermaid",
    "paired_difference",
    "pass_at_k",
    "plan_execute",
    "plan_search",
    "public_tests",
    "refine",
    "search",
    "self_consistency",
    "value",
    "vote",
    "wilson",
]
