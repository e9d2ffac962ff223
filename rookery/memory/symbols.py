"""Symbols in the store: every version of a name is an item; a message is read by storing and bringing back."""

from __future__ import annotations

from rookery.core.label import Labels
from rookery.core.label import join as union
from rookery.errors import ItemUnfit, ItemUnknown
from rookery.memory import near, quote, symbol, write
from rookery.memory.item import FOREVER, Item, Kind, Reading, Source
from rookery.memory.store import Store, new_uid


def read(store: Store, scope: str, message: str, window: str, source: Source, labels: Labels, now: float) -> Reading:
    """See :meth:`rookery.memory.memory.Memory.read`; all that the message stores is stored, or nothing."""
    parts = symbol.parse(message)
    stored: dict[str, int] = {}
    replayed, shown, unknown, text = [], [], [], []
    found_labels: list[Labels] = []
    with store.transaction():
        for part in parts:
            if part.verb == "text":
                text.append(part.text)
            elif part.verb == "store":
                stored[part.name] = _put(store, scope, part.name, part.text, source, labels, now)
                text.append(f"<{part.name}>: {part.text}")
            else:
                item = _find(store, scope, part.name, part.version)
                if item is None:
                    unknown.append(part.text)
                    text.append(part.text)
                elif item.text in window or (part.name in stored and part.version is None):
                    shown.append(part.name)
                    text.append(part.text)
                else:
                    replayed.append(part.name)
                    found_labels.append(item.labels)
                    text.append(quote.line(item) if item.is_untrusted else item.text)
    return Reading("".join(text), stored, tuple(replayed), tuple(shown), tuple(unknown), union(found_labels))


def find(store: Store, scope: str, name: str, version: int | None) -> Item:
    """The item under a symbol. Raises ItemUnknown."""
    item = _find(store, scope, name, version)
    if item is None:
        known = ", ".join(sorted(listed(store, scope))[:8])
        which = f"version {version} of " if version else ""
        raise ItemUnknown(f"there is no {which}symbol {name!r:.80} in {scope}", scope=scope,
                          hint=f"there is {known}" if known else "store one: <|name|> text")
    return item


def listed(store: Store, scope: str) -> dict[str, int]:
    """The names of the symbols of a scope, with their newest versions."""
    known = store.scope(scope)
    if known is None:
        return {}
    return dict(store.rows("SELECT symbol.name, max(version) FROM symbol JOIN item ON item.uid = symbol.uid AND item.live WHERE symbol.scope = ?"
                           " GROUP BY symbol.name ORDER BY symbol.name", (known[0],)))


def _find(store: Store, scope: str, name: str, version: int | None) -> Item | None:
    known = store.scope(scope)
    if known is None:
        return None
    rows = store.rows("SELECT symbol.uid FROM symbol JOIN item ON item.uid = symbol.uid AND item.live WHERE symbol.scope = ? AND symbol.name = ?"
                      + ("" if version is None else " AND version = ?") + " ORDER BY version DESC LIMIT 1",
                      (known[0], name, *([] if version is None else [version])))
    return store.item(scope, rows[0][0]) if rows else None


def _put(store: Store, scope: str, name: str, text: str, source: Source, labels: Labels, now: float) -> int:
    """Store a text under a name; its version, which is the newest one's when that has this text."""
    if not text.strip():
        raise ItemUnfit(f"the symbol <|{name}|> stores nothing", scope=scope, hint="write what it stands for after it")
    kind: Kind = "program" if symbol.program_in(text) else "artefact"
    draft = write.checked(write.Draft(text, kind, f"symbol {name}", source, labels=labels), scope)
    with store.transaction() as db:
        known = store.scope(scope, new=True)
        assert known is not None
        rows = db.execute("SELECT version, symbol.uid, item.text FROM symbol JOIN item ON item.uid = symbol.uid AND item.live"
                          " WHERE symbol.scope = ? AND symbol.name = ? ORDER BY version DESC LIMIT 1", (known[0], name)).fetchall()
        if rows and rows[0][2] == text:
            return int(rows[0][0])
        last = db.execute("SELECT coalesce(max(version), 0) FROM symbol WHERE scope = ? AND name = ?", (known[0], name)).fetchone()[0]
        pen, uid = write.Pen(db, known[0], store.now(now)), new_uid()
        write.insert(pen, draft, uid, near.key(text), pen.at, FOREVER)
        if rows:
            pen.set("close", rows[0][1], valid_to=pen.at, successor=uid)
        db.execute("INSERT INTO symbol VALUES (?, ?, ?, ?)", (known[0], name, last + 1, uid))
        return int(last) + 1
