# ruff: noqa: F821 - Note, Quotation and Sentence are types of the workflow
"""What holds notes to their pages and sentences to their notes."""


def found_in(page: str, text: str, quotations: list[Quotation]) -> list[Note]:
    """The quotations that stand in the page, white space aside."""
    plain = " ".join(text.split())
    kept = [each for each in quotations if each["quote"].strip() and " ".join(each["quote"].split()) in plain]
    return [{"id": "", "page": page, "claim": each["claim"], "quote": each["quote"]} for each in kept]


def numbered(lists: list[list[Note]]) -> list[Note]:
    """All notes, with ids n1, n2, …"""
    return [{**note, "id": f"n{number}"} for number, note in enumerate((note for each in lists for note in each), 1)]


def faults_of(sentences: list[Sentence], notes: list[Note]) -> list[str]:
    """What is wrong with the citations."""
    known = {note["id"] for note in notes}
    faults = [f"no note is named by: {each['text']}" for each in sentences if not each["notes"]]
    return faults + [f"there is no note {name}" for each in sentences for name in each["notes"] if name not in known]


def as_text(sentences: list[Sentence], notes: list[Note]) -> str:
    """The sentences that cite rightly, and the notes below them."""
    by_id = {note["id"]: note for note in notes}
    good = [each for each in sentences if each["notes"] and all(name in by_id for name in each["notes"])]
    text = " ".join(f"{each['text']} [{', '.join(each['notes'])}]" for each in good)
    cited = dict.fromkeys(name for each in good for name in each["notes"])
    return "\n".join([text, "", *(f"[{name}] {by_id[name]['page']}: “{by_id[name]['quote']}”" for name in cited)])
