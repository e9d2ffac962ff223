"""What is said to the prompts of triage.yaml, where no model is asked, and by the person."""

import json
from pathlib import Path


def judged(number: int, kind: str, why: str) -> str:
    ticket = (Path(__file__).parent / "tickets" / f"{number}.txt").read_text(encoding="utf-8")
    return json.dumps({"ticket": ticket, "kind": kind, "why": why})


ANSWERS = {
    "Draft a short answer": json.dumps({"to": "ada@example.org", "text": "We are on it; the till is back within the hour."}),
    "the till is down": judged(1, "urgent", "nobody can pay"),
    "the font be": judged(2, "normal", "a wish"),
    "won a castle": judged(3, "spam", "a lure"),
}
SAYS = {"ok:do": True}
