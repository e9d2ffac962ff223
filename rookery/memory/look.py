"""Looking into an archive, on its thread: what a recall finds, histories, pages of items; and what to forget."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rookery.core.label import SECRET
from rookery.index.text import terms
from rookery.memory import rank, subject, write
from rookery.memory.archive import Archive, Ready
from rookery.memory.item import FOREVER, Belief, Forgotten, Item, Recalled, date
from rookery.memory.rank import Question
from rookery.memory.store import FIELDS, item_of


@dataclass(frozen=True, slots=True)
class Ask:
    """A recall, ready to be carried out."""

    scope: str
    query: str
    vector: NDArray[np.float32] | None
    only_valid: bool
    known_at: float | None
    now: float
    kinds: tuple[str, ...]
    intervals: Sequence[tuple[float, float]]
    k: int
    secrets: bool

    def found(self, archive: Archive, ready: Ready, near: Callable[[], Sequence[str]]) -> list[Recalled]:
        """What is found, without lines. Raises what ``near`` does."""
        shelf = ready.shelf
        slots, scores = rank.ranked(shelf, self._question(archive, ready, near), self.k)
        uids = [shelf.slots.id(slot) for slot in slots.tolist()]
        score = dict(zip(uids, scores.tolist(), strict=True))
        return [Recalled(item, score[item.id], "", after) for item, after in archive.store.with_successors(self.scope, uids)
                if self.secrets or SECRET not in item.labels]

    def _question(self, archive: Archive, ready: Ready, near: Callable[[], Sequence[str]]) -> Question:
        shelf = ready.shelf
        keep, end = shelf.alive(), None
        if self.known_at is not None:
            end = shelf.column("end").copy()
            for uid, before in _undone(archive, self.scope, self.known_at):
                slot = shelf.slots.find(uid)
                if slot is not None and before is None:
                    keep[slot] = False
                elif slot is not None and before is not None:
                    end[slot] = before
        if self.only_valid:
            keep &= (shelf.column("begin") <= self.now) & (self.now < (shelf.column("end") if end is None else end))
        if self.kinds:
            keep &= rank.kinds_mask(shelf, self.kinds)
        return Question(self.query, self.vector, near, self.now, self.intervals, subject.asked(self.query), keep, end)


def _undone(archive: Archive, scope: str, known_at: float) -> list[tuple[str, float | None]]:
    """What was changed after a time, newest first: items that were not there then (None), and until when others held before."""
    known = archive.store.scope(scope)
    sql = "SELECT item, verb, before FROM change WHERE scope = ? AND at > ? ORDER BY seq DESC"
    rows = archive.store.rows(sql, (known[0], known_at)) if known else []
    return [(uid, None if verb == "keep" else json.loads(before)["valid_to"]) for uid, verb, before in rows
            if verb == "keep" or (verb in ("close", "restore") and before and "valid_to" in before)]


def subjects_of(text: str) -> list[str]:
    """The subjects that a text may mean."""
    return list(dict.fromkeys(found for found in (subject.normal(text), subject.asked(text), subject.read(text)) if found))


def history(archive: Archive, scope: str, subjects: Sequence[str]) -> list[Belief]:
    """See :meth:`rookery.memory.memory.Memory.history`; the first of the subjects that there is something about."""
    for name in [*subjects, *_near_subjects(archive, scope, subjects)]:
        found = archive.store.timeline(scope, name)
        if found:
            recorded = {item.id: item.recorded_at for item, _ in found}
            return [Belief(item, after, recorded.get(after, FOREVER)) for item, after in found]
    return []


def _near_subjects(archive: Archive, scope: str, subjects: Sequence[str]) -> list[str]:
    """Subjects of which all of one side is in the words asked for, those that share most first: ``lab meeting`` finds ``lab / day``."""
    ready = archive.ready(scope)
    asked = set(terms(" ".join(subjects)))
    found = []
    for name in ready.shelf.subjects.texts if ready is not None else ():
        who, _, what = name.partition(" / ")
        shared = [part for part in (set(terms(who)), set(terms(what))) if part and part <= asked]
        if shared and set(terms(who)) & asked:
            found.append((-sum(len(part) for part in shared), name))
    return [name for _, name in sorted(found)]


def current(archive: Archive, scope: str, subjects: Sequence[str], now: float, known_at: float | None) -> Item | None:
    """See :meth:`rookery.memory.memory.Memory.current`."""
    for name in subjects:
        found = [item for item, _ in archive.store.timeline(scope, name)]
        if known_at is not None:
            ends = {change.item: change.before["valid_to"] for item in found for change in reversed(archive.store.changes(scope, item=item.id))
                    if change.at > known_at and "valid_to" in change.before}
            found = [replace(item, valid_to=ends.get(item.id, item.valid_to)) for item in found if item.recorded_at <= known_at]
        valid = [item for item in found if item.is_valid(now)]
        if valid:
            return max(valid, key=lambda item: (item.trust != "untrusted", item.valid_from, item.recorded_at))
    return None


def latest(archive: Archive, scope: str, limit: int, kinds: tuple[str, ...]) -> list[Item]:
    """See :meth:`rookery.memory.memory.Memory.items`."""
    known = archive.store.scope(scope)
    if known is None:
        return []
    where = f" AND kind IN ({','.join('?' * len(kinds))})" if kinds else ""
    rows = archive.store.rows(f"SELECT {FIELDS} FROM item WHERE scope = ? AND live{where} ORDER BY id DESC LIMIT ?", (known[0], *kinds, limit))
    return [item_of(row, scope) for row in rows]


def page(archive: Archive, scope: str, after: int) -> list[tuple[int, Item]]:
    """Some items after a number, oldest first, with theirs."""
    known = archive.store.scope(scope)
    if known is None:
        return []
    rows = archive.store.rows(f"SELECT {FIELDS} FROM item WHERE scope = ? AND live AND id > ? ORDER BY id LIMIT 500", (known[0], after))
    return [(row[-1], item_of(row, scope)) for row in rows]


def plain(item: Item) -> dict[str, Any]:
    """An item as plain data, without what is empty."""
    source = {name: getattr(item.source, name) for name in ("name", "speaker", "session", "run") if getattr(item.source, name)}
    data = {"id": item.id, "scope": item.scope, "text": item.text, "kind": item.kind, "subject": item.subject, "source": source,
            "valid_from": item.valid_from, "valid_to": None if item.valid_to == FOREVER else item.valid_to, "recorded_at": item.recorded_at,
            "date": date(item.valid_from), "confidence": item.confidence, "trust": item.trust, "labels": sorted(item.labels),
            "evidence": item.evidence, "links": list(item.links)}  # fmt: skip
    return {name: value for name, value in data.items() if value not in ("", [], {}, None)}


def forget(archive: Archive, scope: str, ids: tuple[str, ...] | None, source: str | None, now: float) -> Forgotten:
    """See :meth:`rookery.memory.memory.Memory.forget`; ``ids`` None is everything."""
    known = archive.store.scope(scope)
    if known is None:
        return Forgotten(0, ())
    if ids is not None and source is not None:
        ids += tuple(uid for (uid,) in archive.store.rows("SELECT uid FROM item WHERE scope = ? AND source = ?", (known[0], source)))
    before = archive.store.rows("SELECT count(*) FROM item WHERE scope = ?", (known[0],))[0][0]
    runs = write.forget(archive.store, scope, ids, now)
    gone = before - archive.store.rows("SELECT count(*) FROM item WHERE scope = ?", (known[0],))[0][0]
    clean = archive.erase(known[0], scope)
    return Forgotten(gone, tuple(runs), clean)
