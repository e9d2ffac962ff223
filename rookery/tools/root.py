"""The minimal root folders that sandboxed programs see: this interpreter, its standard library, the shared libraries it needs, no more.

A root is copied once and kept; programs get it read-only. So they see neither the host's tree nor where things lie in it, a single
mount is enough, and a user who may not read the interpreter's own folder can still be given it.
"""

from __future__ import annotations

import compileall
import hashlib
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from pathlib import Path

from rookery.errors import ProgramInvalid, SandboxBroken

FORMAT = 1
"""Goes up when roots are laid out anew."""
PYTHON, RUNNER, PACKAGES = "/usr/bin/python3", "/runner.pyc", "/packages"
"""Where things lie in a root; packages are a folder of their own, mounted beside."""
_LEFT_OUT = frozenset(
    ("test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "site-packages", "dist-packages", "pydoc_data", "turtle.py")
)
_LEFT_OUT_EXTENSIONS = ("_tkinter", "_test", "_ctypes_test", "_xxtestfuzz", "xxlimited")


def root_for(packages: Sequence[str], *, cache: Path) -> Path:
    """The root for this interpreter with these distributions and what they require; made when it is not in ``cache`` yet.

    Takes a second or two the first time. Raises ProgramInvalid when a package is not installed, SandboxBroken when the folder cannot be
    written.
    """
    try:
        base = _kept(cache, f"root-{_base_key()}", _make_base)
        if not packages:
            return base
        found = _distributions(packages)
        versions = repr([base.name, *((dist.name, dist.version, str(dist.locate_file(""))) for dist in found)])
        key = hashlib.sha256(versions.encode()).hexdigest()[:20]
        return _kept(cache, f"packages-{key}", lambda root: _make_with_packages(root, base, found))
    except (OSError, shutil.Error, subprocess.SubprocessError) as error:
        hint = "set XDG_CACHE_HOME to a folder that can be written to, with 100 MB to spare"
        raise SandboxBroken(f"the sandbox's root could not be made below {cache}: {error}", hint=hint) from error


def cache_folder() -> Path:
    """Where roots are kept: $XDG_CACHE_HOME/rookery/sandbox; for root a folder that unprivileged users can get through to."""
    if os.geteuid() == 0:
        return Path("/var/cache/rookery/sandbox")
    home = os.environ.get("XDG_CACHE_HOME") or (f"{os.environ['HOME']}/.cache" if os.environ.get("HOME") else "")
    return Path(home) / "rookery/sandbox" if home else Path(tempfile.gettempdir()) / f"rookery-{os.geteuid()}/sandbox"


def _kept(cache: Path, key: str, make: Callable[[Path], None]) -> Path:
    """The folder ``cache/key``; made beside it and renamed, so that it is whole when it is there."""
    folder = cache / key
    _check_owned(cache)
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True, mode=0o755)
    _check_owned(cache)
    begun = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=cache))
    try:
        make(begun)
        begun.chmod(0o755)
        try:
            begun.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster
                raise
    finally:
        shutil.rmtree(begun, ignore_errors=True)
    return folder


def _check_owned(cache: Path) -> None:
    """What runs inside comes from this folder, so nobody else may write there."""
    for folder in (cache, cache.parent):
        if folder.is_dir() and ((found := folder.stat()).st_uid != os.geteuid() or found.st_mode & 0o022):
            hint = "remove it, or set XDG_CACHE_HOME to a folder of your own"
            raise SandboxBroken(f"{folder} belongs to, or can be written by, another user", hint=hint)


# ------------------------------------------------------------------ the interpreter and its library


def _interpreter() -> Path:
    return Path(getattr(sys, "_base_executable", "") or sys.executable).resolve()


def _runner() -> Path:
    return Path(__file__).with_name("runner.py")


def _base_key() -> str:
    parts: list[object] = [FORMAT, sys.version, os.uname().machine, _runner().read_bytes()]
    for path in (_interpreter(), Path(sysconfig.get_path("stdlib")) / "os.py"):
        found = path.stat()
        parts += [str(path), found.st_size, found.st_mtime_ns]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]


def _make_base(root: Path) -> None:
    for folder in ("dev", "tmp", "packages", "usr/bin", "etc"):
        (root / folder).mkdir(parents=True)
    (root / "dev/null").touch()
    shutil.copy2(_interpreter(), root / PYTHON[1:])
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = root / "usr" / sys.platlibdir / version
    _copy_library(Path(sysconfig.get_path("stdlib")), library)
    extensions = Path(sysconfig.get_config_var("DESTSHARED") or Path(sysconfig.get_path("platstdlib")) / "lib-dynload")
    if extensions.is_dir():
        (library / "lib-dynload").mkdir(exist_ok=True)
        for file in extensions.glob("*.so"):
            if not file.name.startswith(_LEFT_OUT_EXTENSIONS):
                shutil.copy2(file, library / "lib-dynload" / file.name)
    _copy_shared([_interpreter(), *(library / "lib-dynload").glob("*.so")], root)
    zones = Path("/usr/share/zoneinfo")
    if zones.is_dir():
        shutil.copytree(zones, root / "usr/share/zoneinfo", symlinks=True, ignore=shutil.ignore_patterns("posix", "right"))
    py_compile.compile(str(_runner()), cfile=str(root / RUNNER[1:]), dfile="<runner>", doraise=True,
                       invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    _open_up(root)


def _copy_library(source: Path, target: Path) -> None:
    """Copy the standard library with what is compiled of it already, and compile the rest."""

    def left_out(folder: str, names: list[str]) -> set[str]:
        return {
            name for name in names
            if name in _LEFT_OUT or name.startswith("config-") or name.endswith((".opt-1.pyc", ".opt-2.pyc", ".a", ".exe"))
            or (name.endswith(".pyc") and sys.implementation.cache_tag not in name) or name == "lib-dynload"
        }  # fmt: skip

    shutil.copytree(source, target, ignore=left_out)
    compileall.compile_dir(target, quiet=2, workers=1)


def _copy_shared(files: Iterable[Path], root: Path) -> None:
    """Copy the loader and the shared libraries that ``files`` need: all into the folder of libc, where the loader looks by itself."""
    loader, libraries = _shared(files)
    if loader is None:
        return
    home = next((path.parent for name, path in libraries.items() if name.startswith(("libc.so", "libc.musl"))), Path("/usr/lib"))
    _copy_file(loader, root)
    for name, path in libraries.items():
        target = root / str(home / name)[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() and not path.is_relative_to(root):
            shutil.copy2(path.resolve(), target)


def _copy_file(path: Path, root: Path) -> None:
    target = root / str(path)[1:]
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copy2(path.resolve(), target)


def _shared(files: Iterable[Path]) -> tuple[Path | None, dict[str, Path]]:
    """The loader, and name → path of all shared libraries that these files of our own need, by ldd(1)."""
    shown = subprocess.run(["ldd", *map(str, files)], capture_output=True, text=True, timeout=60, check=False, env={"LC_ALL": "C"}).stdout
    libraries = {name: Path(path) for name, path in re.findall(r"^\s+(\S+) => (/\S+)", shown, re.MULTILINE)}
    loader = re.search(r"^\s+(/\S*/ld\S*\.so\S*) ", shown, re.MULTILINE)
    return (Path(loader.group(1)) if loader else None), libraries


def _open_up(root: Path) -> None:
    """Let everybody read and nobody write what lies in a root."""
    for path in root.rglob("*"):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0o755 if path.is_dir() or mode & 0o100 else 0o644)


# ------------------------------------------------------------------ packages


def _distributions(names: Sequence[str]) -> list[metadata.Distribution]:
    """The distributions of these names and of all they require here, extras aside, sorted by name."""
    found: dict[str, metadata.Distribution] = {}
    open_names = list(names)
    while open_names:
        name = re.sub(r"[-_.]+", "-", open_names.pop()).lower()
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except (metadata.PackageNotFoundError, ValueError):
            raise ProgramInvalid(f"packages: {name!r} is not installed here", hint=f"pip install {name}, or leave it out") from None
        open_names += _required(found[name])
    return [found[name] for name in sorted(found)]


def _required(distribution: metadata.Distribution) -> list[str]:
    """What it requires of what is installed here. Other markers than extras need not be read: what they rule out is not installed."""
    lines = [line for line in distribution.requires or () if "extra" not in line.partition(";")[2]]
    names = [match.group() for line in lines if (match := re.match(r"[A-Za-z0-9._-]+", line))]
    return [name for name in names if any(metadata.Distribution.discover(name=name))]


def _make_with_packages(root: Path, base: Path, distributions: Sequence[metadata.Distribution]) -> None:
    """The base root again, its files linked, with the files of distributions (but for their commands) and the libraries they need."""
    shutil.copytree(base, root, symlinks=True, copy_function=os.link, dirs_exist_ok=True)
    folder = root / PACKAGES[1:]
    for distribution in distributions:
        for file in distribution.files or ():
            source = Path(str(distribution.locate_file(file)))
            if ".." in file.parts or file.is_absolute() or not source.is_file() or file.suffix == ".pyc":
                continue
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    compileall.compile_dir(folder, quiet=2, workers=1)
    extensions = list(folder.rglob("*.so*"))
    if extensions:
        _copy_shared(extensions, root)
    _open_up(folder)
