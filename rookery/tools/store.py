"""A library on disk: a package to be reviewed, with a manifest of hashes, written so that a crash or a full disk leaves it whole.

    LIBRARY/
      manifest.json        every tool's record, and the hashes of its files
      NAME/
        v1.py              the source
        v1.json            the calls that prove it
        test_v1.py         runs those calls with pytest

Files of a version never change; a change writes the files of the next version, and then the manifest takes the place of the old
one at once. What a crash leaves behind is named by no manifest and is not read.
"""

from __future__ import annotations

import errno
import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rookery.errors import LibraryBusy, LibraryDamaged, LibraryFull, LibraryTooNew
from rookery.tools.record import NAME, STATES, Alias, Example, ToolRecord, Use, plain_example, sha256

VERSION = 1
MANIFEST = "manifest.json"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}
_TEST = '''"""Runs the calls that prove {name}; written by rookery. The functions run here with your rights: read the source first."""

import json
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SPACE = {{"__name__": "tool"}}
exec(compile((HERE / "{stem}.py").read_text("utf-8"), "{stem}.py", "exec"), SPACE)


@pytest.mark.parametrize("call", json.loads((HERE / "{stem}.json").read_text("utf-8")))
def test_{plain}(call):
    value = json.loads(json.dumps(SPACE["{name}"](**call["arguments"])))
    if "check" in call:
        exec(call["check"], checker := {{}})
        assert checker["check"](value, **call["arguments"]) is True
    else:
        assert value == (pytest.approx(call["value"]) if isinstance(value, float) else call["value"])
'''


@dataclass(frozen=True, slots=True)
class Shelf:
    """What a manifest holds: the tools that could be read, the aliases, and what is wrong with the others."""

    tools: Mapping[str, ToolRecord] = field(default_factory=dict)
    aliases: Mapping[str, Alias] = field(default_factory=dict)
    damaged: Mapping[str, LibraryDamaged] = field(default_factory=dict)
    kept: Mapping[str, Any] = field(default_factory=dict)
    """The entries of the damaged tools as they stand, so that writing does not lose them."""
    hash: str = ""
    """Of the manifest's bytes; empty when there is none yet."""


def read(path: Path) -> Shelf:
    """The library in a folder; an empty one where there is no manifest.

    Raises LibraryDamaged when the manifest itself can't be read, LibraryTooNew. A tool whose file has changed by a byte is in
    ``damaged``; the rest is there.
    """
    manifest = path / MANIFEST
    try:
        data = manifest.read_bytes()
    except FileNotFoundError:
        return Shelf()
    except OSError as error:
        raise LibraryDamaged(f"{MANIFEST} cannot be read: {error.strerror}", path=str(manifest)) from error
    try:
        whole = json.loads(data)
        version, entries, aliases = whole["version"], dict(whole["tools"]), dict(whole.get("aliases", {}))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        hint = "take it from your version control, or add the tools again: their sources are in the folders"
        raise LibraryDamaged(f"{MANIFEST} is no manifest: {error}", path=str(manifest), hint=hint) from error
    if not isinstance(version, int) or version > VERSION:
        raise LibraryTooNew(f"{MANIFEST} has version {version!r}, this rookery reads {VERSION}", hint="upgrade rookery")
    tools: dict[str, ToolRecord] = {}
    damaged: dict[str, LibraryDamaged] = {}
    for name, entry in entries.items():
        try:
            tools[name] = _read_tool(path, name, entry)
        except LibraryDamaged as error:
            damaged[name] = error
    known: dict[str, Alias] = {}
    for name, entry in aliases.items():
        try:
            known[name] = _read_alias(path, name, entry, entries)
        except LibraryDamaged as error:
            damaged[name] = error
    return Shelf(tools, known, damaged, {name: entries[name] for name in damaged if name in entries}, sha256(data))


def _read_tool(path: Path, name: str, entry: Any) -> ToolRecord:
    try:
        record, version, wanted = dict(entry["record"]), entry["record"]["version"], dict(entry["files"])
        if not NAME.fullmatch(name) or not isinstance(version, int) or record["name"] != name:
            raise ValueError("its name or version is none")
        if not wanted.keys() <= {f"v{version}.py", f"v{version}.json", f"test_v{version}.py"}:
            raise ValueError("it names files that are none of a tool's")
        if entry["hash"] != _hash_of(record, wanted):
            raise ValueError("the entry was changed after it was written")
    except (KeyError, TypeError, ValueError) as error:
        raise LibraryDamaged(
            f"{MANIFEST}: the entry of {name!r:.80} is not as it was written: {error}", tool=str(name), path=str(path / MANIFEST),
            hint="look at what changed; `library.add(…, replace=True)` takes a reviewed source in again",
        ) from error
    texts = {file: _read_file(path / _folder(name) / file, name, digest) for file, digest in wanted.items()}
    stem = f"v{version}"
    try:
        calls = json.loads(texts.get(f"{stem}.json", "[]"))
        return _record_of({**record, "source": texts.get(f"{stem}.py", "")}, calls)
    except (ValueError, TypeError, KeyError) as error:
        raise LibraryDamaged(f"{name}: its record can't be read: {error}", tool=name, path=str(path / MANIFEST)) from error


def _read_file(file: Path, name: str, digest: str) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise LibraryDamaged(f"{name}: {file.name} is missing or can't be read: {error.strerror}", tool=name, path=str(file)) from error
    if sha256(data) != digest:
        raise LibraryDamaged(
            f"{name}: {file.name} is not what the manifest says (a byte has changed)", tool=name, path=str(file),
            hint="look at what changed; `library.add(…, replace=True)` takes a reviewed source in again",
        )
    return data.decode("utf-8")


def _read_alias(path: Path, name: str, entry: Any, tools: Mapping[str, Any]) -> Alias:
    try:
        alias = Alias(name, str(entry["survivor"]), {str(key): str(value) for key, value in entry["arguments"].items()}, dict(entry["defaults"]))
        if alias.survivor not in tools or entry["hash"] != _hash_of_alias(alias):
            raise ValueError("the entry was changed after it was written")
        return alias
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LibraryDamaged(f"{MANIFEST}: the alias {name!r:.80} is not as it was written: {error}", tool=name, path=str(path / MANIFEST)) from error


def _record_of(plain: Mapping[str, Any], calls: Sequence[Mapping[str, Any]]) -> ToolRecord:
    use = dict(plain["use"])
    if plain["state"] not in STATES:
        raise ValueError(f"state {plain['state']!r}")
    return ToolRecord(
        name=plain["name"], source=plain["source"], doc=plain["doc"], params=plain["params"], returns=plain["returns"], origin=plain["origin"],
        questions=tuple(plain["questions"]), version=plain["version"], number=plain["number"], state=plain["state"], why=plain["why"],
        examples=tuple(Example(call["arguments"], call.get("value"), call.get("check", ""), call.get("seen", True)) for call in calls),
        use=Use(use["calls"], use["successes"], use["recent"], tuple(use["with_it"]), tuple(use["without_it"])),
        labels=frozenset(plain["labels"]), effect=bool(plain["effect"]),
    )  # fmt: skip


# ------------------------------------------------------------------ writing


def write(path: Path, shelf: Shelf, *, saved: Mapping[str, ToolRecord]) -> Shelf:
    """Write what ``shelf`` has and ``saved`` (the tools as they stand on disk) has not; gives the shelf as it stands then.

    Raises LibraryFull, LibraryBusy when the manifest is no longer the one that was read. Either way what was saved before is whole.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with _locked(path):
            manifest = path / MANIFEST
            now = sha256(manifest.read_bytes()) if manifest.exists() else ""
            if now != shelf.hash:
                raise LibraryBusy(f"the library in {path.name} was changed by another process", hint="open it again, and make your change there")
            entries: dict[str, Any] = dict(shelf.kept)
            for name, record in shelf.tools.items():
                files = _files_of(record)
                if name not in saved or saved[name].version != record.version:
                    _write_files(path / _folder(name), files)
                plain, hashes = _plain_record(record), {file: sha256(text) for file, text in files.items()}
                entries[name] = {"hash": _hash_of(plain, hashes), "files": hashes, "record": plain}
            data = json.dumps({"version": VERSION, "tools": entries, "aliases": _plain_aliases(shelf.aliases)}, indent=1, ensure_ascii=False).encode()
            _replace(manifest, data)
    except OSError as error:
        if error.errno in _FULL:
            raise LibraryFull(f"the library in {path.name} cannot be written: {error.strerror}", hint="free space, then save again") from error
        raise LibraryDamaged(f"the library in {path.name} cannot be written: {error}", path=str(path)) from error
    return replace(shelf, hash=sha256(data))


def _files_of(record: ToolRecord) -> dict[str, str]:
    stem = f"v{record.version}"
    files: dict[str, str] = {}
    if record.source:
        files[f"{stem}.py"] = record.source
    if record.examples:
        files[f"{stem}.json"] = json.dumps([plain_example(example) for example in record.examples], indent=1, ensure_ascii=False) + "\n"
    if record.source and record.examples:
        files[f"test_{stem}.py"] = _TEST.format(name=record.name, stem=stem, plain=re.sub(r"\W", "_", record.name))
    return files


def _write_files(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    for file, text in files.items():
        _replace(folder / file, text.encode())


def _replace(target: Path, data: bytes) -> None:
    """Write a file beside, sync it, and put it in the target's place at once."""
    descriptor, name = tempfile.mkstemp(prefix=".new-", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class _locked:
    """One writer at a time, over processes; where files can't be locked, the manifest's hash alone must do."""

    def __init__(self, path: Path) -> None:
        self.path = path / ".lock"

    def __enter__(self) -> None:
        self.descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o644)
        try:
            import fcntl
        except ImportError:
            return
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)

    def __exit__(self, *exc: object) -> None:
        os.close(self.descriptor)


def _folder(name: str) -> str:
    """A tool's folder: its name, what file names may not have in it written as ``%2F``, and never hidden."""
    return re.sub(r"[^A-Za-z0-9_.\-]", lambda found: f"%{ord(found[0]):02X}", name)


def _plain_record(record: ToolRecord) -> dict[str, Any]:
    use = record.use
    return {
        "name": record.name, "version": record.version, "number": record.number, "state": record.state, "why": record.why, "doc": record.doc,
        "params": {name: dict(schema) for name, schema in record.params.items()}, "returns": dict(record.returns), "origin": record.origin,
        "questions": list(record.questions), "labels": sorted(record.labels), "effect": record.effect,
        "use": {
            "calls": use.calls, "successes": use.successes, "recent": use.recent, "with_it": list(use.with_it),
            "without_it": list(use.without_it),
        },
    }  # fmt: skip


def _plain_aliases(aliases: Mapping[str, Alias]) -> dict[str, Any]:
    return {
        name: {
            "survivor": alias.survivor, "arguments": dict(alias.arguments), "defaults": dict(alias.defaults), "hash": _hash_of_alias(alias),
        }
        for name, alias in aliases.items()
    }  # fmt: skip


def _hash_of(record: Mapping[str, Any], files: Mapping[str, str]) -> str:
    return sha256(json.dumps([record, files], sort_keys=True))


def _hash_of_alias(alias: Alias) -> str:
    return sha256(json.dumps([alias.name, alias.survivor, dict(alias.arguments), dict(alias.defaults)], sort_keys=True))
