"""One scope's items as they are searched: words, vectors and columns by slot, following the store's changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rookery.errors import SearchError
from rookery.index.index import Mask, Places, Slots, grown
from rookery.index.postings import Postings
from rookery.index.store import damage, read, text_array, texts_of, write
from rookery.index.text import bag, words
from rookery.memory.item import KINDS
from rookery.memory.store import OF_SCOPE, Store

KIND = "memory"
_SINGLE_PRECISION = 16_384
"""Up to so many rows are also held in single precision, since changing them takes longer than comparing."""
_ROWS = "uid, id, text, kind, subject, valid_from, valid_to, speaker, session"
_COLUMNS: dict[str, Any] = {
    "number": np.int64, "begin": np.float64, "end": np.float64, "kind": np.int8, "speaker": np.int32, "session": np.int32, "subject": np.int32,
    "before": np.int32, "after": np.int32, "embedded": np.bool_,
}  # fmt: skip


class Names:
    """Texts that stand for themselves by a number; 0 is the empty one."""

    def __init__(self, texts: Sequence[str] = ("",)) -> None:
        self.texts = list(texts)
        self._numbers = {text: number for number, text in enumerate(self.texts)}

    def number(self, text: str) -> int:
        found = self._numbers.get(text)
        if found is None:
            found = self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return found

    def find(self, text: str) -> int | None:
        return self._numbers.get(text)

    def drop(self, number: int) -> None:
        """Forget a text that nothing has any more; its number stays empty."""
        self._numbers.pop(self.texts[number], None)
        self.texts[number] = ""
        self._numbers.setdefault("", 0)


class Shelf:
    """What a recall looks at. ``catch_up`` first: it is as new as the store then.

    :param scope: the scope's number in the store.
    """

    def __init__(self, scope: int) -> None:
        self.scope = scope
        self.seq = 0
        self.slots = Slots()
        self.words = Postings(slots=self.slots)
        self.speakers, self.sessions, self.subjects = Names(), Names(), Names()
        self.columns: dict[str, NDArray[Any]] = {name: np.zeros(0, type_) for name, type_ in _COLUMNS.items()}
        self.rows: NDArray[np.float16] = np.zeros((0, 0), np.float16)
        self._last: dict[int, int] = {}  # of each session, the slot of its latest item
        self._wide: NDArray[np.float32] | None = None  # the rows in single precision, while they are few
        self.waiting: dict[str, int] = {}  # ids without a vector, with their numbers in the store
        self.saved_size = 0

    def __len__(self) -> int:
        return len(self.slots)

    def column(self, name: str) -> NDArray[Any]:
        return self.columns[name][: len(self.slots)]

    # -------------------------------------------------------------- following the store

    def catch_up(self, store: Store) -> None:
        """Take in what has been written since the last time, by this process or another."""
        if not self.seq and not len(self):
            self._take_all(store)
            return
        changes = store.rows("SELECT seq, verb, item FROM change WHERE scope = ? AND seq > ? ORDER BY seq", (self.scope, self.seq))
        if not changes:
            return
        touched = list(dict.fromkeys(uid for _, verb, uid in changes if verb not in ("link", "merge")))
        found: dict[str, Any] = {}
        for at in range(0, len(touched), 500):
            some = touched[at : at + 500]
            sql = f"SELECT {_ROWS} FROM item WHERE {OF_SCOPE} = ? AND live AND uid IN ({','.join('?' * len(some))})"
            found |= {row[0]: row for row in store.rows(sql, (self.scope, *some))}
        fresh = []
        for uid in touched:
            slot, row = self.slots.find(uid), found.get(uid)
            if row is None:
                self.remove(uid)
            elif slot is None:
                fresh.append(row)
            else:
                self.columns["begin"][slot], self.columns["end"][slot] = row[5], row[6]
        self._put(fresh)
        self.seq = changes[-1][0]

    def _take_all(self, store: Store) -> None:
        last = store.rows("SELECT coalesce(max(seq), 0) FROM change WHERE scope = ?", (self.scope,))[0][0]
        number = 0
        while True:
            rows = store.rows(f"SELECT {_ROWS} FROM item WHERE scope = ? AND live AND id > ? ORDER BY id LIMIT 20000", (self.scope, number))
            if not rows:
                break
            self._put(rows)
            number = rows[-1][1]
        sql = "SELECT vector.item, body FROM vector JOIN item ON item.id = vector.item WHERE item.scope = ? AND item.live"
        vectors = store.rows(sql, (self.scope,))
        if vectors:
            numbers = self.column("number")
            order = np.argsort(numbers)
            places = order[np.searchsorted(numbers[order], np.array([number for number, _ in vectors]))]
            self.take_vectors(places, np.stack([np.frombuffer(body, np.float16) for _, body in vectors]))
        self.seq = last

    def _put(self, rows: Sequence[Any]) -> None:
        if not rows:
            return
        first, size = len(self.slots), len(self.slots) + len(rows)
        for name in self.columns:
            self.columns[name] = grown(self.columns[name], size)
        columns = self.columns
        bags = []
        for slot, (uid, number, text, kind, subject, begin, end, speaker, session) in enumerate(rows, first):
            self.slots.put(uid)
            bags.append(bag(f"{speaker} {text}" if speaker else text))
            columns["number"][slot], columns["begin"][slot], columns["end"][slot] = number, begin, end
            columns["kind"][slot] = KINDS.index(kind)
            columns["speaker"][slot], columns["subject"][slot] = self.speakers.number(speaker), self.subjects.number(subject)
            group = columns["session"][slot] = self.sessions.number(session)
            columns["after"][slot] = -1
            before = columns["before"][slot] = self._last.get(group, -1) if group else -1
            if before >= 0:
                columns["after"][before] = slot
            if group:
                self._last[group] = slot
            columns["embedded"][slot] = False
            self.waiting[uid] = number
        self.words.put(bags)
        if self.rows.shape[1]:
            self.rows = grown(self.rows, size)

    def remove(self, uid: str) -> None:
        """Take an item off the shelf, its vector too."""
        slot = self.slots.drop(uid)
        if slot is None:
            return
        self.words.clear(slot)
        before, after = int(self.columns["before"][slot]), int(self.columns["after"][slot])
        if before >= 0:
            self.columns["after"][before] = after
        if after >= 0:
            self.columns["before"][after] = before
        group = int(self.columns["session"][slot])
        if self._last.get(group) == slot:
            self._last[group] = before
        if len(self.rows) > slot:
            self.rows[slot] = 0
            self._wide = None
        self.columns["begin"][slot] = np.inf
        self.columns["embedded"][slot] = False
        for column, names in (("speaker", self.speakers), ("session", self.sessions), ("subject", self.subjects)):
            number = int(self.columns[column][slot])
            self.columns[column][slot] = 0
            if number and not np.any(self.column(column) == number):
                names.drop(number)
        self.waiting.pop(uid, None)

    def take_vectors(self, slots: Places, vectors: NDArray[Any]) -> None:
        """Put vectors in their slots."""
        if self.rows.shape[1] != vectors.shape[1]:
            self.rows = np.zeros((0, vectors.shape[1]), np.float16)
        self.rows = grown(self.rows, len(self.slots))
        self.rows[slots] = vectors
        self._wide = None
        self.columns["embedded"][slots] = True
        for slot in slots.tolist():
            self.waiting.pop(self.slots.id(slot), None)

    # -------------------------------------------------------------- looking

    def cosines(self, vector: NDArray[np.float32], slots: Places) -> NDArray[np.float64]:
        """The cosine of a vector with those of some items, 0 for items that have none yet."""
        if len(slots) * 2 > len(self.slots) and len(self.slots) <= _SINGLE_PRECISION:
            if self._wide is None or len(self._wide) < len(self.slots):
                self._wide = self.rows[: len(self.slots)].astype(np.float32)
            found = np.einsum("ij,j->i", self._wide[: len(self.slots)], vector)[slots]  # on one core; so few rows gain nothing by more
        else:
            found = np.einsum("ij,j->i", self.rows[slots].astype(np.float32), vector)
        return np.where(self.column("embedded")[slots], found, 0.0).astype(np.float64)

    def holds(self, at: float) -> Mask:
        """Which items hold at a time; removed ones never do."""
        return np.asarray((self.column("begin") <= at) & (at < self.column("end")))

    def alive(self) -> Mask:
        """Which slots have an item."""
        return np.asarray(self.column("begin") < np.inf)

    def named(self, query: str) -> list[int]:
        """The speakers whose first name, or only name, a text has."""
        asked = set(words(query))
        return [number for number, name in enumerate(self.speakers.texts) if name and (words(name) or [""])[0] in asked]

    # -------------------------------------------------------------- keeping

    def save(self, path: Path) -> None:
        """Write the shelf, so that the next process need not build it. Raises IndexFull."""
        arrays, facts = self.words.pack()
        size = len(self.slots)
        columns = {f"column.{name}": self.column(name) for name in self.columns}
        last = np.array([[group, slot] for group, slot in self._last.items()], np.int64).reshape(-1, 2)
        rows = self.rows[:size] if self.rows.shape[1] else np.zeros((0, 0), np.float16)
        names = {"speakers": self.speakers.texts, "sessions": self.sessions.texts, "subjects": self.subjects.texts, "waiting": list(self.waiting)}
        packed = {f"words.{name}": array for name, array in arrays.items()} | columns | {"rows": rows, "last": last}
        packed |= {"ids": text_array(self.slots.plain())} | {name: text_array(texts) for name, texts in names.items()}
        write(path, KIND, packed, {"scope": self.scope, "seq": self.seq, "words": facts})
        self.saved_size = size

    @staticmethod
    def load(path: Path, scope: int) -> Shelf | None:
        """The shelf in a file, which stays mapped; None when there is none that can be read, or it is another scope's."""
        if not path.exists():
            return None
        try:
            arrays, facts = read(path, KIND)
            with damage(path):
                if facts["scope"] != scope:
                    return None
                found = Shelf(scope)
                found.seq = facts["seq"]
                found.slots = Slots(texts_of(arrays["ids"]))
                found.words = Postings.unpack({name.removeprefix("words."): array for name, array in arrays.items() if name.startswith("words.")},
                                              facts["words"], found.slots)
                found.columns = {name: arrays[f"column.{name}"] for name in _COLUMNS}
                found.rows = arrays["rows"]
                found.speakers, found.sessions, found.subjects = (Names(texts_of(arrays[name])) for name in ("speakers", "sessions", "subjects"))
                found._last = {int(group): int(slot) for group, slot in arrays["last"]}
                found.waiting = {uid: int(found.columns["number"][found.slots.find(uid)]) for uid in texts_of(arrays["waiting"])}
                found.saved_size = len(found.slots)
                return found
        except SearchError:
            return None
