"""A llama.cpp server for benchmarks and slow tests: built once from the source archive of llama-cpp-python, kept in a cache, run on loopback.

``python -m benchmarks.llama_server`` builds it (4 to 8 minutes on two cores) and says where it is. The cache is the folder that
``ROOKERY_CACHE`` names, else ``rookery`` in the user's cache folder; an archive ``llama_cpp_python-*.tar.gz`` put there is not fetched.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

VERSION = "0.3.36"
"""Of llama-cpp-python; its source archive holds the whole of llama.cpp, vocabularies for tests included."""
START_S = 60.0
OPTIONS = ("CMAKE_BUILD_TYPE=Release", "BUILD_SHARED_LIBS=ON", "LLAMA_BUILD_TESTS=OFF", "LLAMA_BUILD_EXAMPLES=OFF", "LLAMA_BUILD_APP=OFF",
           "LLAMA_BUILD_UI=OFF", "LLAMA_USE_PREBUILT_UI=OFF", "LLAMA_CURL=OFF", "LLAMA_OPENSSL=OFF", "GGML_NATIVE=OFF", "GGML_OPENMP=OFF")
"""Not native: native builds for processors with AMX crash on Q8_0 weights."""


class Unavailable(Exception):
    """The server can't be built or started here; the message says why."""


def cache() -> Path:
    """The folder that builds are kept in."""
    named = os.environ.get("ROOKERY_CACHE")
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rookery"


def source() -> Path:
    """The unpacked sources of llama.cpp, fetched through pip if they are not there.

    :raises Unavailable: pip can't fetch the archive.
    """
    home = cache() / f"llama_cpp_python-{VERSION}"
    inside = home / "vendor" / "llama.cpp"
    if inside.is_dir():
        return inside
    cache().mkdir(parents=True, exist_ok=True)
    archive = cache() / f"llama_cpp_python-{VERSION}.tar.gz"
    if not archive.is_file():
        _run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "llama-cpp-python", "--dest", str(cache()),
              f"llama-cpp-python=={VERSION}"], "fetch the source archive of llama-cpp-python")
    with tarfile.open(archive) as tar:
        tar.extractall(cache(), filter="data")
    return inside


def vocabulary(name: str = "llama-bpe") -> Path:
    """A GGUF file with a vocabulary and no weights: ``llama-bpe`` has 128,256 tokens, ``qwen2`` 151,936, ``starcoder`` 49,152.

    :raises Unavailable: the sources can't be fetched, or have none of this name.
    """
    path = source() / "models" / f"ggml-vocab-{name}.gguf"
    if not path.is_file():
        raise Unavailable(f"the sources have no vocabulary {name!r}")
    return path


def build(*, quiet: bool = True) -> Path:
    """The server's binary, built if it is not there yet; its shared libraries stand beside it.

    :raises Unavailable: no compiler, or the build fails; the message has the last lines of its output.
    """
    home = cache() / f"llama-server-{VERSION}-{platform.machine()}"
    binary = home / "bin" / "llama-server"
    if binary.is_file():
        return binary
    cmake = _cmake()
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    options = [f"-D{option}" for option in OPTIONS]
    _run([*cmake, "-S", str(source()), "-B", str(home), *generator, *options], "configure llama.cpp", quiet=quiet)
    jobs = str(os.cpu_count() or 1)
    _run([*cmake, "--build", str(home), "--config", "Release", "-j", jobs, "--target", "llama-server"], "build llama-server", quiet=quiet)
    return binary


def _cmake() -> list[str]:
    """CMake's command, of the system or of its package on PyPI."""
    found = shutil.which("cmake")
    if found:
        return [found]
    home = cache() / "cmake"
    if not home.is_dir():
        _run([sys.executable, "-m", "pip", "install", "--quiet", "--target", str(home), "cmake"], "fetch cmake")
    return [str(home / "cmake" / "data" / "bin" / "cmake")]


def _run(command: list[str], what: str, *, quiet: bool = True) -> None:
    try:
        done = subprocess.run(command, capture_output=quiet, text=True, check=False)
    except OSError as error:
        raise Unavailable(f"could not {what}: {error}") from error
    if done.returncode:
        told = "\n".join(((done.stdout or "") + (done.stderr or "")).splitlines()[-15:])
        raise Unavailable(f"could not {what}:\n{told}")


@contextlib.asynccontextmanager
async def served(gguf: Path, *, context_tokens: int = 4096, slots: int = 1, threads: int = 1, more: tuple[str, ...] = ()) -> AsyncIterator[str]:
    """The base URL (with ``/v1``) of a server for a model file, on a free port of 127.0.0.1, for as long as the block runs.

    :raises Unavailable: it can't be built, or does not start.
    """
    binary = await asyncio.to_thread(build)
    port = _free_port()
    log = cache() / f"llama-server-{port}.log"
    command = [str(binary), "-m", str(gguf), "--host", "127.0.0.1", "--port", str(port), "-c", str(context_tokens), "-np", str(slots),
               "-t", str(threads), "--no-warmup", *more]
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out)
    try:
        await _until_ready(process, port, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        log.unlink(missing_ok=True)


async def _until_ready(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    import httpx

    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(int(START_S / 0.1)):
            if process.returncode is not None:
                break
            with contextlib.suppress(httpx.HTTPError):
                if (await client.get(f"http://127.0.0.1:{port}/health")).status_code == 200:
                    return
            await asyncio.sleep(0.1)
    told = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
    raise Unavailable(f"llama-server does not start:\n{told}")


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    try:
        print(build(quiet=False))
    except Unavailable as error:
        sys.exit(str(error))
