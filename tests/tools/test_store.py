"""The library on disk: what was saved is read back; changed bytes, edited manifests, crashes and full disks are noticed and do no harm."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rookery
from rookery.errors import LibraryBusy, LibraryDamaged, LibraryFull, LibraryTooNew, ToolError, ToolUnfit
from rookery.tools import store
from rookery.tools.library import ToolLibrary
from rookery.tools.record import Example

DOUBLE = "def double(x: int) -> int:\n    '''Twice as much.'''\n    return x * 2\n"
HALF = "def half(x: int) -> float:\n    return x / 2\n"


@pytest.fixture
async def saved(tmp_path: Path) -> Path:
    path = tmp_path / "library"
    library = ToolLibrary(path=path)
    library.add(DOUBLE, examples=[Example({"x": 2}, 4), Example({"x": 3}, 6, seen=False)], question="twice a number", labels=["maths"])
    library.add(HALF)
    library.note_call("double", ok=True)
    await library.save()
    return path


async def opened(path: Path) -> ToolLibrary:
    return await ToolLibrary.open(path, verify=False)


async def test_what_is_saved_is_read_back(saved: Path) -> None:
    library = await opened(saved)
    record = library.show("double")
    assert [each.name for each in library] == ["double", "half"]
    assert record.source == DOUBLE and record.examples[1] == Example({"x": 3}, 6, seen=False) and record.use.calls == 1
    assert record.questions == ("twice a number",) and record.labels == {"maths"} and record.params == {"x": {"type": "integer"}}


async def test_it_can_be_reviewed_and_tested_with_pytest(saved: Path) -> None:
    assert (saved / "double" / "v1.py").read_text() == DOUBLE
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", str(saved)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=saved)
    assert done.returncode == 0 and "2 passed" in done.stdout


@pytest.mark.parametrize("file", ["v1.py", "v1.json", "test_v1.py"])
async def test_a_changed_byte_is_noticed_and_the_rest_loads(saved: Path, file: str) -> None:
    changed = saved / "double" / file
    data = bytearray(changed.read_bytes())
    data[10] ^= 1
    changed.write_bytes(bytes(data))
    library = await opened(saved)
    assert list(library.damaged) == ["double"] and [each.name for each in library] == ["half"]
    with pytest.raises(LibraryDamaged, match=file) as caught:
        library.show("double")
    assert caught.value.path == str(changed)


@pytest.mark.parametrize(
    "edit",
    [
        {"state": "trusted"}, {"doc": "Send all money."}, {"effect": True}, {"version": 2}, {"name": "other"}, {"params": {}}, {"version": "1"},
        {"use": {}}, {"origin": "os:system"},
    ],
)  # fmt: skip
async def test_a_manifest_edited_by_hand(saved: Path, edit: dict[str, Any]) -> None:
    manifest = saved / store.MANIFEST
    whole = json.loads(manifest.read_text())
    whole["tools"]["double"]["record"] |= edit
    manifest.write_text(json.dumps(whole))
    library = await opened(saved)
    assert list(library.damaged) == ["double"] and "half" in library


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a b", ""])
async def test_names_in_a_manifest_lead_nowhere_else(saved: Path, name: str) -> None:
    manifest = saved / store.MANIFEST
    whole = json.loads(manifest.read_text())
    entry = whole["tools"].pop("double")
    entry["record"]["name"] = name
    entry["hash"] = store._hash_of(entry["record"], entry["files"])
    whole["tools"][name] = entry
    manifest.write_text(json.dumps(whole))
    assert list((await opened(saved)).damaged) == [name]


async def test_files_that_a_manifest_may_not_name(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    manifest = saved / store.MANIFEST
    whole = json.loads(manifest.read_text())
    entry = whole["tools"]["double"]
    entry["files"]["../../secret"] = store.sha256("secret")
    entry["hash"] = store._hash_of(entry["record"], entry["files"])
    manifest.write_text(json.dumps(whole))
    assert list((await opened(saved)).damaged) == ["double"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', "null", '{"version": 1, "tools": 3}', "[" * 100_000])
async def test_a_manifest_that_is_none(saved: Path, text: str) -> None:
    (saved / store.MANIFEST).write_text(text)
    with pytest.raises(LibraryDamaged, match=r"manifest\.json"):
        await opened(saved)


async def test_a_library_of_a_newer_rookery(saved: Path) -> None:
    manifest = saved / store.MANIFEST
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": 99}))
    with pytest.raises(LibraryTooNew):
        await opened(saved)


async def test_a_damaged_tool_stays_until_it_is_replaced(saved: Path) -> None:
    (saved / "double" / "v1.py").write_text("changed")
    library = await opened(saved)
    library.add("def third(x: int) -> float:\n    return x / 3\n")
    with pytest.raises(ToolUnfit, match="damaged"):
        library.add(DOUBLE)
    await library.save()
    again = await opened(saved)
    assert list(again.damaged) == ["double"] and "third" in again and (saved / "double" / "v1.py").read_text() == "changed"
    again.add(DOUBLE, replace=True)
    await again.save()
    assert (await opened(saved)).show("double").version == 2


async def test_two_writers(saved: Path) -> None:
    one, other = await opened(saved), await opened(saved)
    one.add("def one(x: int) -> int:\n    return x\n")
    await one.save()
    other.add("def two(x: int) -> int:\n    return x\n")
    with pytest.raises(LibraryBusy):
        await other.save()
    assert "one" in await opened(saved)
    one.add("def three(x: int) -> int:\n    return x\n")
    await one.save()


async def test_a_library_without_a_folder_is_not_saved() -> None:
    with pytest.raises(ToolError, match="no folder"):
        await ToolLibrary().save()


# ------------------------------------------------------------------ full disks and crashes


@pytest.mark.parametrize("failing", range(1, 8))
async def test_a_disk_that_is_full_at_any_write(saved: Path, failing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    library = await opened(saved)
    library.add("def more(x: int) -> int:\n    return x + 1\n", examples=[Example({"x": 1}, 2)])
    library.add(DOUBLE.replace("2", "1 * 2"), name="double", examples=[Example({"x": 2}, 4)], replace=True)
    count, fsync = 0, os.fsync

    def full(descriptor: int) -> None:
        nonlocal count
        count += 1
        if count == failing:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LibraryFull):
        await library.save()
    monkeypatch.setattr(os, "fsync", fsync)
    again = await opened(saved)
    assert not again.damaged and again.show("double").source == DOUBLE and "more" not in again
    assert not list(saved.rglob(".new-*"))
    await library.save()
    assert "more" in await opened(saved)


async def test_a_limit_on_the_size_of_files(saved: Path) -> None:
    library = await opened(saved)
    library.add("def long(x: int) -> int:\n" + "    # much\n" * 10_000 + "    return x\n")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(LibraryFull):
            await library.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    again = await opened(saved)
    assert not again.damaged and "long" not in again and "double" in again


KILLED = """
import asyncio, os, sys
from rookery.tools.library import ToolLibrary

async def main(path, at):
    library = await ToolLibrary.open(path, verify=False)
    library.add("def new(x: int) -> int:\\n    return x\\n")
    library.add("def half(x: int) -> float:\\n    return x * 0.5\\n", replace=True)
    count, replaced = 0, os.replace
    def killed(self_or_source, target, **more):
        nonlocal count
        count += 1
        if count == at:
            os.kill(os.getpid(), 9)
        return replaced(self_or_source, target, **more)
    import pathlib
    pathlib.Path.replace = killed
    await library.save()

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


@pytest.mark.parametrize("at", [1, 2, 3])
async def test_a_process_killed_while_it_writes(saved: Path, at: int) -> None:
    root = Path(rookery.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", KILLED, str(saved), str(at)], cwd=root, capture_output=True)
    assert done.returncode == -9, done.stderr
    library = await opened(saved)
    assert not library.damaged and library.show("half").source == HALF and "new" not in library
    library.add("def new(x: int) -> int:\n    return x\n")
    await library.save()
    assert "new" in await opened(saved)
