"""Writing: what becomes of a new text. It is new, or says what is known already, or replaces an older statement; each write can be reverted."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rookery.core.label import NO_LABELS, UNTRUSTED, Labels
from rookery.errors import ItemUnfit, ItemUnknown
from rookery.memory import near, quote, subject
from rookery.memory.item import FOREVER, KINDS, RECALLED, SINGLE, Kept, Kind, Source, Trust, date
from rookery.memory.store import Store, new_uid, words_of

MAX_CHARS = 1_000_000
_SAID_BEFORE = frozenset({("fact", "event"), ("fact", "preference"), ("fact", "summary"), ("summary", "fact")})
"""A text of the first kind adds nothing where one of the second kind says the same."""
_TRUST: Mapping[str, int] = {"untrusted": 0, "stated": 1, "confirmed": 2}


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be kept; :func:`checked` has seen it."""

    text: str
    kind: Kind = "fact"
    subject: str = ""
    source: Source = field(default_factory=Source)
    valid_from: float | None = None
    """None: from when it is written."""
    valid_to: float = FOREVER
    confidence: float = 1.0
    trust: Trust = "stated"
    labels: Labels = NO_LABELS
    links: tuple[str, ...] = ()
    replaces: bool = False
    """It ends the validity of what else is said about its subject; :func:`checked` finds out."""
    named: bool = False
    """Its subject was given, not read from its text."""


def checked(draft: Draft, scope: str) -> Draft:
    """The draft with its subject read and its trust no higher than its labels allow.

    :raises ItemUnfit: its text is empty, too long or can't be written as UTF-8; its times, kind or confidence make no sense.
    """
    fault = _fault(draft)
    if fault:
        raise ItemUnfit(fault[0], scope=scope, hint=fault[1])
    about = subject.normal(draft.subject) if draft.subject else subject.read(draft.text) if draft.kind in SINGLE else ""
    trust: Trust = "untrusted" if UNTRUSTED in draft.labels else draft.trust
    single = draft.kind in SINGLE and bool(about) and (bool(draft.subject) or subject.replaces(about, draft.text))
    labels = frozenset(label for label in draft.labels if label != RECALLED and not label.startswith("memory:"))
    return replace(draft, subject=about, replaces=single, named=bool(draft.subject), trust=trust, labels=labels)


def _fault(draft: Draft) -> tuple[str, str] | None:
    if not isinstance(draft.text, str) or not draft.text.strip():
        return "there is no text to keep", "give a text that is not empty"
    if len(draft.text) > MAX_CHARS:
        return f"a text of {len(draft.text):,} characters is longer than {MAX_CHARS:,}", "keep it as a file, and a summary here"
    if not quote.is_whole(draft.text):
        return "the text has halves of characters (lone surrogates)", "decode it with errors='replace'"
    if draft.kind not in KINDS:
        return f"{draft.kind!r:.40} is no kind of item", f"there are {', '.join(KINDS)}"
    if draft.valid_from in (FOREVER, -FOREVER) or draft.valid_from != draft.valid_from or draft.valid_to != draft.valid_to:
        return "a time is not a finite number", "give a datetime, or seconds since 1970"
    if draft.valid_from is not None and not draft.valid_from < draft.valid_to:
        return f"it would hold from {date(draft.valid_from)} to {date(draft.valid_to)}", "valid_to comes after valid_from"
    if not 0 <= draft.confidence <= 1:
        return f"a confidence of {draft.confidence} is not between 0 and 1", "1 is sure"
    if draft.trust not in ("untrusted", "stated"):
        return f"trust can't begin as {draft.trust!r:.40}", "untrusted or stated; it rises by evidence alone"
    return None


def keep(store: Store, scope: str, drafts: Sequence[Draft], now: float) -> list[Kept]:
    """Write some drafts in one transaction; durable when it returns."""
    with store.transaction() as db:
        known = store.scope(scope, new=True)
        assert known is not None
        pen = Pen(db, known[0], store.now(now))
        return [_keep(pen, draft) for draft in drafts]


class Pen:
    """One write: its scope, its moment and its number."""

    def __init__(self, db: sqlite3.Connection, scope: int, at: float) -> None:
        self.db, self.scope, self.at, self.write = db, scope, at, 0

    def note(self, verb: str, uid: str, before: Mapping[str, Any] | None = None, after: Mapping[str, Any] | None = None) -> None:
        """Add a change to the write. The first one gives the write its number."""
        if not self.write:
            row = self.db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'change'").fetchone()
            self.write = row[0] + 1 if row else 1
        self.db.execute(
            "INSERT INTO change (scope, write, at, verb, item, before, after) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (self.scope, self.write, self.at, verb, uid, json.dumps(before) if before else "", json.dumps(after) if after else ""))

    def set(self, verb: str, uid: str, **fields: Any) -> None:
        """Change fields of an item, and note what they were."""
        names = list(fields)
        row = self.db.execute(f"SELECT {', '.join(names)} FROM item WHERE uid = ? AND scope = ?", (uid, self.scope)).fetchone()
        self.db.execute(f"UPDATE item SET {', '.join(f'{name} = ?' for name in names)} WHERE uid = ? AND scope = ?",
                        (*fields.values(), uid, self.scope))
        self.note(verb, uid, dict(zip(names, row, strict=True)), fields)


def _keep(pen: Pen, draft: Draft) -> Kept:
    pen.write = 0
    quoted = [uid for uid in quote.ids_in(draft.text)
              if pen.db.execute("SELECT 1 FROM item WHERE uid = ? AND scope = ?", (uid, pen.scope)).fetchone()]
    own = quote.without_quotations(draft.text, quoted)
    if not own:
        return Kept("", "known")
    if own != draft.text:
        draft = replace(draft, text=own)
    begin = pen.at if draft.valid_from is None else draft.valid_from
    print_ = near.key(draft.text)
    double = _double(pen, draft, print_, begin)
    if double is not None:
        return _merge(pen, draft, double)
    uid = new_uid()
    spans: list[tuple[float, float]] = [(begin, draft.valid_to)]
    closed: list[str] = []
    if draft.replaces:
        spans, closed = _make_room(pen, draft, uid, begin)
    first, *later = spans or [(begin, begin)]
    insert(pen, draft, uid, print_, *first)
    for start, end in later:
        _resume(pen, uid, start, end)
    return Kept(uid, "new", pen.write, tuple(closed))


def insert(pen: Pen, draft: Draft, uid: str, print_: str, begin: float, end: float, links: tuple[str, ...] = ()) -> None:
    """Add an item as it is, and note it."""
    source = draft.source
    pen.db.execute(
        "INSERT INTO item (uid, scope, text, kind, subject, near, valid_from, valid_to, recorded_at, confidence, trust, labels, source, speaker,"
        " session, run, links) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (uid, pen.scope, draft.text, draft.kind, draft.subject, print_, begin, end, pen.at, draft.confidence, draft.trust, words_of(draft.labels),
         source.name, source.speaker, source.session, source.run, " ".join(links or draft.links)))
    pen.note("keep", uid)


# ------------------------------------------------------------------ what is known already


def _double(pen: Pen, draft: Draft, print_: str, begin: float) -> tuple[Any, ...] | None:
    """An item that says the same and holds now; of events only one of the same session and time."""
    rows = pen.db.execute(
        "SELECT uid, text, evidence, trust, confidence, source, session, valid_from, speaker, kind, subject FROM item"
        " WHERE near = ? AND scope = ? AND live AND valid_from <= ? AND valid_to > ? ORDER BY id",
        (print_, pen.scope, begin if draft.kind == "event" or draft.replaces else max(begin, pen.at), begin)).fetchall()
    for row in rows:
        _, text, *_, session, held_from, speaker, kind, about = row
        if (kind != draft.kind and (draft.kind, kind) not in _SAID_BEFORE) or (speaker and draft.source.speaker and speaker != draft.source.speaker):
            continue
        if kind in ("program", "artefact"):
            if text == draft.text and about == draft.subject:
                return tuple(row)
        elif (about == draft.subject or not draft.named) and near.same(text, draft.text) and (
                draft.kind != "event" or (session, held_from) == (draft.source.session, begin)):
            return tuple(row)
    return None


def _merge(pen: Pen, draft: Draft, row: tuple[Any, ...]) -> Kept:
    """Count another source for an item; one that was counted before changes nothing."""
    uid, _, evidence, trust, confidence, source, session, *_ = row
    mine = (draft.source.name, draft.source.session)
    seen = [(source, session), *(tuple(json.loads(after).get("from", ())) for (after,) in pen.db.execute(
        "SELECT after FROM change WHERE item = ? AND verb = 'merge'", (uid,)))]
    if not any(mine) or mine in seen:
        return Kept(uid, "merged")
    raised = trust
    if draft.trust != "untrusted":
        raised = "confirmed" if _TRUST[trust] >= 1 else "stated"
    surer = round(1 - (1 - confidence) * (1 - draft.confidence / 2), 6)
    pen.db.execute("UPDATE item SET evidence = ?, trust = ?, confidence = ? WHERE uid = ?", (evidence + 1, raised, surer, uid))
    pen.note("merge", uid, {"evidence": evidence, "trust": trust, "confidence": confidence},
             {"evidence": evidence + 1, "trust": raised, "confidence": surer, "from": mine, "run": draft.source.run})
    return Kept(uid, "merged", pen.write)


# ------------------------------------------------------------------ what it replaces


def _make_room(pen: Pen, draft: Draft, uid: str, begin: float) -> tuple[list[tuple[float, float]], list[str]]:
    """End the validity of older statements about the subject where the new one holds; when that is, and which they were.

    Of two statements the one that begins later holds, as far as it reaches; then the other holds again. What comes from outside never ends
    what was stated.
    """
    closed: list[str] = []
    taken: list[tuple[float, float]] = []
    rows = pen.db.execute(
        "SELECT item.uid, item.valid_from, item.valid_to, item.trust, coalesce(origin.valid_from, item.valid_from) FROM item"
        " LEFT JOIN item AS origin ON item.links != '' AND origin.uid = item.links AND origin.text = item.text"
        " WHERE item.scope = ? AND item.subject = ? AND item.live AND item.kind IN ('fact', 'preference') AND item.valid_to > ?"
        " AND item.valid_to > item.valid_from ORDER BY item.valid_from", (pen.scope, draft.subject, begin)).fetchall()
    for other, other_from, other_to, trust, first in rows:
        if (draft.trust == "untrusted" and trust != "untrusted") or other_from >= draft.valid_to:
            continue
        if first > begin:
            taken.append((other_from, other_to))
            continue
        if draft.valid_to < other_to:
            _resume(pen, other, draft.valid_to, other_to)
        pen.set("close", other, valid_to=max(begin, other_from), successor=uid)
        closed.append(other)
    spans: list[tuple[float, float]] = []
    at = begin
    for start, end in taken:
        if start > at:
            spans.append((at, start))
        at = max(at, end)
    if at < draft.valid_to:
        spans.append((at, draft.valid_to))
    return spans, closed


def _resume(pen: Pen, uid: str, begin: float, end: float) -> None:
    """Let a statement hold again after one that holds for a while only."""
    copy = new_uid()
    pen.db.execute(
        "INSERT INTO item (uid, scope, text, kind, subject, near, valid_from, valid_to, recorded_at, confidence, trust, labels, source, speaker,"
        " session, run, evidence, links) SELECT ?, scope, text, kind, subject, near, ?, ?, ?, confidence, trust, labels, source, speaker,"
        " session, run, evidence, CASE links WHEN '' THEN uid ELSE links END FROM item WHERE uid = ?", (copy, begin, end, pen.at, uid))
    pen.note("keep", copy)


# ------------------------------------------------------------------ taking back


def revert(store: Store, scope: str, write: int, now: float) -> int:
    """Undo a write by a new one; the new one's number.

    :raises ItemUnknown: there is no such write in this scope, or what it wrote was forgotten or changed since.
    """
    with store.transaction() as db:
        known = store.scope(scope)
        rows = db.execute("SELECT verb, item, before, after FROM change WHERE scope = ? AND write = ? ORDER BY seq DESC",
                          (known[0], write)).fetchall() if known else []
        if known is None or not rows:
            raise ItemUnknown(f"there is no write {write} in {scope}", scope=scope, hint="`rookery memory diff` lists them")
        pen = Pen(db, known[0], store.now(now))
        for verb, uid, before, after in rows:
            _undo(pen, scope, verb, uid, json.loads(before or "{}"), json.loads(after or "{}"))
        return pen.write


def _undo(pen: Pen, scope: str, verb: str, uid: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    row = pen.db.execute("SELECT live, successor FROM item WHERE uid = ? AND scope = ?", (uid, pen.scope)).fetchone()
    if verb == "forget" or row is None:
        raise ItemUnknown(f"what this write concerned was forgotten ({uid})", scope=scope, hint="what is forgotten stays forgotten")
    if verb == "keep":
        if row != (1, ""):
            raise ItemUnknown(f"{uid} was changed again after this write", scope=scope, hint="revert the later writes first")
        pen.set("withdraw", uid, live=0)
        return
    names = [name for name in before if name != "from"]
    now = dict(zip(names, pen.db.execute(f"SELECT {', '.join(names)} FROM item WHERE uid = ?", (uid,)).fetchone(), strict=True))
    if any(now[name] != after[name] for name in names):
        raise ItemUnknown(f"{uid} was changed again after this write", scope=scope, hint="revert the later writes first")
    pen.set("restore" if verb in ("close", "withdraw") else verb, uid, **{name: before[name] for name in names})


def forget(store: Store, scope: str, uids: Sequence[str] | None, now: float) -> list[str]:
    """Delete items, or a whole scope with all that names it; the ids of the runs that they were kept in. Durable when it returns.

    What summaries were made from an item that goes, goes with it.
    """
    with store.transaction() as db:
        known = store.scope(scope)
        if known is None:
            return []
        number, token = known
        if uids is None:
            runs = {row[0] for row in db.execute("SELECT DISTINCT run FROM item WHERE scope = ? AND run != ''", (number,))}
            runs |= _runs_of(db.execute("SELECT after FROM change WHERE scope = ? AND verb = 'merge'", (number,)).fetchall())
            db.execute("DELETE FROM vector WHERE item IN (SELECT id FROM item WHERE scope = ?)", (number,))
            for table in ("item", "change", "symbol"):
                db.execute(f"DELETE FROM {table} WHERE scope = ?", (number,))
            db.execute("DELETE FROM scope WHERE id = ?", (number,))
            db.execute("DELETE FROM outbox WHERE token = ?", (token,))
            db.execute("INSERT INTO outbox (token, uid, verb) VALUES (?, '', 'drop')", (token,))
            return sorted(runs)
        pen, runs = Pen(db, number, store.now(now)), set()
        for uid in _with_offspring(pen, uids):
            run, identity = db.execute("SELECT run, id FROM item WHERE uid = ?", (uid,)).fetchone()
            runs |= {run} - {""} | _runs_of(db.execute("SELECT after FROM change WHERE item = ? AND verb = 'merge'", (uid,)).fetchall())
            db.execute("DELETE FROM vector WHERE item = ?", (identity,))
            db.execute("DELETE FROM item WHERE id = ?", (identity,))
            db.execute("DELETE FROM symbol WHERE uid = ? AND scope = ?", (uid, number))
            db.execute("UPDATE change SET before = '', after = '' WHERE item = ? AND scope = ?", (uid, number))
            db.execute("UPDATE item SET successor = '' WHERE successor = ?", (uid,))
            db.execute("DELETE FROM outbox WHERE uid = ?", (uid,))
            db.execute("INSERT INTO outbox (token, uid, verb) VALUES (?, ?, 'drop')", (token, uid))
            pen.note("forget", uid)
        return sorted(runs)


def _runs_of(rows: Sequence[Sequence[str]]) -> set[str]:
    """The runs in which sources of merged texts were kept."""
    return {json.loads(after).get("run", "") for (after,) in rows if after} - {""}


def _with_offspring(pen: Pen, uids: Sequence[str]) -> list[str]:
    """Those of the ids that are in this scope, and what was made from them."""
    found: dict[str, None] = {}
    todo = list(uids)
    while todo:
        uid = todo.pop()
        row = pen.db.execute("SELECT 1 FROM item WHERE uid = ? AND scope = ?", (uid, pen.scope)).fetchone()
        if uid in found or row is None:
            continue
        found[uid] = None
        sql = "SELECT uid FROM item WHERE scope = ? AND links != '' AND links LIKE ?"
        todo += [child for (child,) in pen.db.execute(sql, (pen.scope, f"%{uid}%"))]
    return list(found)
