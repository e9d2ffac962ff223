"""The tools that read, list, search and write text files below one folder, and nothing outside of it: no links are followed."""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from rookery.core.function import Tool, tool
from rookery.core.label import UNTRUSTED, source
from rookery.errors import ToolFailed, ToolRefused, ToolUnfit
from rookery.tools.approval import Allow, allow_none, gated
from rookery.tools.schema import matcher

MAX_PARTS = 64
MAX_FILES = 20_000
MAX_SEARCHED_BYTES = 64_000_000
MAX_SEARCH_S = 10.0
_LABELS = frozenset({UNTRUSTED, source("files")})
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


@dataclass(frozen=True, slots=True)
class Found:
    """A line that a search found."""

    path: str
    line: int
    """From 1."""
    text: str
    """The line, at most 300 characters of it."""


def file_tools(
    root: str | os.PathLike[str], *, write: bool = True, allow: Allow = allow_none, max_bytes: int = 1_000_000, max_results: int = 500
) -> tuple[Tool[..., Any], ...]:
    """``read_file``, ``list_files``, ``search_files`` and, with ``write``, ``write_file`` for the text files below ``root``.

    Paths are relative to it. Each folder on the way is opened by itself, and links, ``..``, devices and pipes are refused, so that
    nobody who moves folders meanwhile leads a call out. A file has at most ``max_bytes`` bytes. Writing has effects: ``allow`` says
    which calls need no person's yes; a file is whole, old or new, at any time.

    Raises ToolUnfit when the root is no folder, or on systems without openat. Calls raise ToolRefused for what is out of
    bounds and ToolFailed for what is not there, too large or no text.
    """
    folder = _Folder(Path(root), max_bytes, max_results)

    @tool(labels=_LABELS)
    def read_file(path: str, first_line: int = 1, max_lines: int = 2_000) -> str:
        """Read lines of a text file, the first of them numbered 1."""
        lines = folder.read(path).splitlines(keepends=True)
        start = max(first_line, 1) - 1
        return "".join(lines[start : start + max(max_lines, 0)])

    @tool(labels=_LABELS)
    def list_files(pattern: str = "*", folder_path: str = ".") -> list[str]:
        """List the files below a folder whose path or name fits a pattern such as *.py or src/*.md."""
        found = [path for path, _ in folder.walk(folder_path) if _fits(path, pattern)]
        if len(found) > max_results:
            raise ToolFailed(f"{len(found)} files fit; ask for fewer", tool="list_files", hint="a narrower pattern or folder")
        return sorted(found)

    @tool(labels=_LABELS)
    def search_files(text: str, pattern: str = "*", folder_path: str = ".", is_regex: bool = False) -> list[Found]:
        """Find the lines that contain a text (or match a regular expression) in the files whose path or name fits a pattern."""
        return folder.search(text, pattern, folder_path, is_regex=is_regex)

    @tool(effect=True)
    def write_file(path: str, text: str) -> str:
        """Write a text file, in place of what is there; folders on its way are made."""
        folder.write(path, text)
        return f"{len(text.encode())} bytes written to {path}"

    reading = (read_file, list_files, search_files)
    return (*reading, gated(write_file, allow=allow)) if write else reading


def _fits(path: str, pattern: str) -> bool:
    return fnmatchcase(path, pattern) or fnmatchcase(path.rpartition("/")[2], pattern)


class _Folder:
    """Everything below one folder, by descriptors."""

    def __init__(self, root: Path, max_bytes: int, max_results: int) -> None:
        if os.open not in os.supports_dir_fd or not hasattr(os, "O_NOFOLLOW"):
            raise ToolUnfit("files can't be kept to a folder on this system", hint="it has no openat")
        if not root.is_dir():
            raise ToolUnfit(f"{root} is no folder", tool="read_file")
        self.root = root.resolve()
        self.max_bytes = max_bytes
        self.max_results = max_results

    @contextmanager
    def opened(self, parts: list[str], *, make: bool = False) -> Iterator[int]:
        """The descriptor of a folder below the root, each step opened without following a link."""
        at = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in parts:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, 0o777, dir_fd=at)
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | _NO_LINKS, dir_fd=at)
                os.close(at)
                at = below
            yield at
        finally:
            os.close(at)

    def read(self, path: str) -> str:
        *above, name = _parts(path)
        with _said(path), self.opened(above) as at:
            data = self._bytes(name, at, path)
        if b"\0" in data:
            raise ToolFailed(f"{path} is no text file", tool="read_file")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ToolFailed(f"{path} is no text file in UTF-8", tool="read_file") from error

    def _bytes(self, name: str, at: int, path: str) -> bytes:
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | _NO_LINKS, dir_fd=at)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise ToolRefused(f"{path} is no regular file", tool="read_file")
            data = file.read(self.max_bytes + 1)
        if len(data) > self.max_bytes:
            raise ToolFailed(f"{path} is larger than {self.max_bytes} bytes", tool="read_file")
        return data

    def write(self, path: str, text: str) -> None:
        """To a new file that then takes the name: nothing is written through a link, hard or soft."""
        *above, name = _parts(path)
        try:
            data = text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ToolFailed("the text holds half a character", tool="write_file") from error
        if len(data) > self.max_bytes:
            raise ToolFailed(f"{len(data)} bytes are more than {self.max_bytes}", tool="write_file")
        with _said(path), self.opened(above, make=True) as at:
            mode = _mode(name, at, path)
            new = f".{name[:100]}.{os.getpid()}.{os.urandom(4).hex()}"
            try:
                with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINKS, mode, dir_fd=at), "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.rename(new, name, src_dir_fd=at, dst_dir_fd=at)
            except BaseException:
                _forget(new, at)
                raise

    def walk(self, path: str) -> Iterator[tuple[str, tuple[int, str]]]:
        """Regular files below a folder, each with its folder's descriptor and name; links and devices are passed over."""
        parts = _parts(path, may_be_root=True)
        prefix = "/".join(parts)
        with _said(path), self.opened(parts) as at:
            count = 0
            for folder, folders, names, descriptor in os.fwalk(".", dir_fd=at, follow_symlinks=False):
                folders[:] = sorted(each for each in folders if _is(each, descriptor, stat.S_ISDIR))
                inner = "/".join(part for part in (prefix, folder.removeprefix(".").strip("/")) if part)
                for name in sorted(names):
                    count += 1
                    if count > MAX_FILES:
                        raise ToolFailed(f"there are more than {MAX_FILES} files", tool="list_files", hint="look into one folder of it")
                    if _is(name, descriptor, stat.S_ISREG):
                        yield (f"{inner}/{name}" if inner else name), (descriptor, name)

    def search(self, text: str, pattern: str, path: str, *, is_regex: bool) -> list[Found]:
        if not text:
            raise ToolFailed("there is nothing to search for", tool="search_files")
        try:
            fits = matcher(text) if is_regex else lambda line: text in line
        except ToolUnfit as fault:
            raise ToolFailed(fault.reason, tool="search_files") from fault
        found: list[Found] = []
        left, end = MAX_SEARCHED_BYTES, time.monotonic() + MAX_SEARCH_S
        for name, (at, leaf) in self.walk(path):
            if not _fits(name, pattern):
                continue
            data = self._small(leaf, at)
            left -= len(data)
            if left < 0 or time.monotonic() > end:
                raise ToolFailed("there is too much to search through", tool="search_files", hint="a narrower pattern or folder")
            if b"\0" in data[:8_000]:
                continue
            for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
                if fits(line):
                    found.append(Found(name, number, line.strip()[:300]))
                    if len(found) >= self.max_results:
                        return found
        return found

    def _small(self, name: str, at: int) -> bytes:
        try:
            return self._bytes(name, at, name)
        except (OSError, ToolFailed, ToolRefused):  # gone, not ours to read, or too large: not among what is searched
            return b""


def _is(name: str, at: int, kind: Any) -> bool:
    try:
        return bool(kind(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode))
    except OSError:
        return False


def _mode(name: str, at: int, path: str) -> int:
    """The permissions of the file that is replaced."""
    try:
        found = os.stat(name, dir_fd=at, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return 0o666
    if not stat.S_ISREG(found):
        raise ToolRefused(f"{path} is there already and is no regular file", tool="write_file")
    return stat.S_IMODE(found)


def _forget(name: str, at: int) -> None:
    with suppress(OSError):
        os.unlink(name, dir_fd=at)


def _parts(path: str, *, may_be_root: bool = False) -> list[str]:
    """The steps of a relative path. Raises ToolRefused for one that is not, or that leads up."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith(("/", "~")) or "\\" in path or re.search(r"[\x00-\x1f]", path) or ".." in parts or len(parts) > MAX_PARTS:
        raise ToolRefused(f"{path!r:.200} is no path below the folder", tool="read_file", hint="a relative path, without .. and ~")
    if not parts and not may_be_root:
        raise ToolRefused(f"{path!r:.200} names no file", tool="read_file")
    return parts


@contextmanager
def _said(path: str) -> Iterator[None]:
    """The system's errors in our words."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK):
            raise ToolRefused(f"{path} leads through a link or a file", tool="read_file", hint="links are not followed") from error
        raise ToolFailed(f"{path}: {error.strerror or error}", tool="read_file", kind=type(error).__name__) from error
