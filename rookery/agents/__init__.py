"""Agents: a model, tools, a memory and a planner under a limit; teams of them, conversations with them."""
