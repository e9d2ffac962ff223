"""Files below a root: what is there is read, found and written whole; nothing leads out, whoever prepares the folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from rookery import run
from rookery.errors import RunWaiting, ToolError, ToolFailed, ToolRefused, ToolUnfit
from rookery.tools.approval import allow_all
from rookery.tools.files import Found, file_tools

SECRET = "the canary sings outside"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text(SECRET)
    root = tmp_path / "root"
    (root / "src" / "deep").mkdir(parents=True)
    (root / "a.txt").write_text("one\ntwo\nthree\n")
    (root / "src" / "b.py").write_text("def rook():\n    return 'two'\n")
    (root / "src" / "deep" / "c.md").write_text("# Rooks\n")
    (root / ".hidden").write_text("two")
    (root / "binary").write_bytes(b"\x00\x01two")
    (root / "latin").write_bytes(b"\xe9t\xe9")
    return root


def tools(root: Path, **options: Any) -> dict[str, Any]:
    return {tool.name: tool.function for tool in file_tools(root, **{"allow": allow_all, **options})}


def writes(root: Path, **options: Any) -> Any:
    """The function behind the gate."""
    (write,) = (tool for tool in file_tools(root, **options) if tool.name == "write_file")
    return write.function.tool.function


def test_reading(root: Path) -> None:
    read = tools(root)["read_file"]
    assert read("a.txt") == "one\ntwo\nthree\n" and read("./src//b.py").startswith("def rook")
    assert read("a.txt", first_line=2, max_lines=1) == "two\n" and read("a.txt", first_line=9) == ""


def test_listing_and_searching(root: Path) -> None:
    made = tools(root)
    assert made["list_files"]() == [".hidden", "a.txt", "binary", "latin", "src/b.py", "src/deep/c.md"]
    assert made["list_files"]("*.py") == ["src/b.py"] and made["list_files"]("*", "src/deep") == ["src/deep/c.md"]
    assert made["search_files"]("two") == [Found(".hidden", 1, "two"), Found("a.txt", 2, "two"), Found("src/b.py", 2, "return 'two'")]
    assert made["search_files"](r"^# \w+", is_regex=True) == [Found("src/deep/c.md", 1, "# Rooks")]
    assert made["search_files"]("two", "*.py", "src") == [Found("src/b.py", 2, "return 'two'")]


def test_writing_asks_first_and_makes_folders(root: Path) -> None:
    (write,) = (tool for tool in file_tools(root) if tool.name == "write_file")
    with pytest.raises(RunWaiting):
        run(write, path="new/x.txt", text="hello")
    assert not (root / "new").exists()
    assert run(write, path="new/x.txt", text="héllo", answer=lambda question: True) == "6 bytes written to new/x.txt"
    assert (root / "new" / "x.txt").read_text() == "héllo" and os.listdir(root / "new") == ["x.txt"]
    assert [tool.name for tool in file_tools(root, write=False)] == ["read_file", "list_files", "search_files"]


def test_what_is_replaced_keeps_its_permissions_and_is_replaced_whole(root: Path) -> None:
    (root / "a.txt").chmod(0o600)
    os.link(root / "a.txt", root.parent / "outside" / "hard.txt")
    writes(root)("a.txt", "new")
    assert (root / "a.txt").stat().st_mode & 0o777 == 0o600
    assert (root.parent / "outside" / "hard.txt").read_text() == "one\ntwo\nthree\n"


@pytest.mark.parametrize("path", [
    "../outside/secret.txt", "src/../../outside/secret.txt", "/etc/passwd", "~/x", "..", ".", "", "a\0b", "a\nb", "..\\outside", "x/" * 70 + "y",
    "src/..", "//etc/passwd", "./../outside/secret.txt", "src/./../../outside/secret.txt",
])  # fmt: skip
def test_paths_that_lead_out(root: Path, path: str) -> None:
    for call in (lambda: tools(root)["read_file"](path), lambda: writes(root)(path, "x")):
        with pytest.raises(ToolRefused):
            call()
    if path not in (".", ""):
        with pytest.raises(ToolRefused):
            tools(root)["list_files"]("*", path)


@pytest.fixture
def linked(root: Path) -> Path:
    outside = root.parent / "outside"
    (root / "file_link").symlink_to(outside / "secret.txt")
    (root / "folder_link").symlink_to(outside)
    (root / "inner_link").symlink_to("a.txt")
    (root / "up").symlink_to("..")
    (root / "loop").symlink_to("loop")
    (root / "proc").symlink_to("/proc/self")
    (root / "src" / "deep" / "far").symlink_to("../../../outside")
    os.mkfifo(root / "pipe")
    return root


@pytest.mark.parametrize("path", [
    "file_link", "folder_link/secret.txt", "inner_link", "up/outside/secret.txt", "loop", "proc/environ", "src/deep/far/secret.txt", "pipe", "src",
    "a.txt/x", "none", "none/none",
])  # fmt: skip
def test_links_pipes_and_folders_are_not_read_or_written_through(linked: Path, path: str) -> None:
    started = time.monotonic()
    with pytest.raises(ToolError):
        tools(linked)["read_file"](path)
    if not path.startswith("none"):
        with pytest.raises(ToolRefused):
            writes(linked)(path, "overwritten")
    assert (linked.parent / "outside" / "secret.txt").read_text() == SECRET
    assert sorted(os.listdir(linked.parent / "outside")) == ["secret.txt"]
    assert time.monotonic() - started < 8


def test_searches_do_not_leave(linked: Path) -> None:
    made = tools(linked)
    assert made["search_files"]("canary") == [] and not any("link" in path or "far" in path or "pipe" in path for path in made["list_files"]())
    for folder in ("folder_link", "up", "src/deep/far"):
        with pytest.raises(ToolRefused):
            made["list_files"]("*", folder)


def test_nobody_who_moves_folders_meanwhile_leads_out(root: Path) -> None:
    """A folder is swapped for a link and back, as fast as it goes; what is read is ours or refused."""
    outside, done = root.parent / "outside", threading.Event()
    (outside / "b.py").write_text(SECRET)

    def swap() -> None:
        src, kept = root / "src", root / "kept"
        while not done.is_set():
            for step in (lambda: src.rename(kept), lambda: src.symlink_to(outside), src.unlink, lambda: shutil.rmtree(src), lambda: kept.rename(src)):
                with contextlib.suppress(OSError):  # writing may have made the folder anew
                    step()
            done.wait(0.001)

    thread = threading.Thread(target=swap)
    thread.start()
    read, write = tools(root)["read_file"], writes(root)
    try:
        end, reads = time.monotonic() + 1.5, 0
        while time.monotonic() < end:
            with contextlib.suppress(ToolError):
                assert SECRET not in read("src/b.py")
                reads += 1
                write("src/b.py", "def rook(): ...")
    finally:
        done.set()
        thread.join()
    assert reads and (outside / "b.py").read_text() == SECRET


def test_bounds(root: Path) -> None:
    (root / "large").write_text("x" * 2_000)
    made = tools(root, max_bytes=1_000, max_results=3)
    with pytest.raises(ToolFailed, match="larger"):
        made["read_file"]("large")
    with pytest.raises(ToolFailed, match="more than"):
        writes(root, max_bytes=1_000)("x", "y" * 2_000)
    for path in ("binary", "latin"):
        with pytest.raises(ToolFailed, match="no text"):
            made["read_file"](path)
    with pytest.raises(ToolFailed, match="fewer"):
        made["list_files"]()
    (root / "many.txt").write_text("two\n" * 100)
    assert len(made["search_files"]("two")) == 3
    with pytest.raises(ToolFailed):
        made["search_files"]("")
    with pytest.raises(ToolFailed):
        made["search_files"]("(", is_regex=True)


def test_a_pattern_that_takes_for_ever_does_not(root: Path) -> None:
    (root / "evil.txt").write_text("a" * 50_000 + "!\n")
    started = time.monotonic()
    assert tools(root)["search_files"](r"^(a+)+$", is_regex=True) == []
    tools(root)["list_files"]("*a*a*a*a*a*a*a*a*a*a*b")
    assert time.monotonic() - started < 8


def test_a_root_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in ("none", "file"):
        with pytest.raises(ToolUnfit):
            file_tools(tmp_path / path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_what_may_not_be_read(root: Path) -> None:
    (root / "a.txt").chmod(0)
    with pytest.raises(ToolFailed):
        tools(root)["read_file"]("a.txt")
