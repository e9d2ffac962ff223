# ruff: noqa: F821 - Judged and Draft are types of the workflow
"""What Python does with judged tickets."""


def only_urgent(judged: list[Judged]) -> list[str]:
    """The tickets that are urgent."""
    return [each["ticket"] for each in judged if each["kind"] == "urgent"]


def as_outbox(drafts: list[Draft]) -> str:
    """The answers, as they would be sent."""
    return "\n---\n".join(f"To: {draft['to']}\n{draft['text']}" for draft in drafts)


def summed_up(judged: list[Judged], outbox: str) -> str:
    """How many tickets of each kind there were, and what is in the outbox."""
    kinds = [each["kind"] for each in judged]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in ("urgent", "normal", "spam"))
    return f"{counts}\n\n{outbox or 'nothing is sent'}"
