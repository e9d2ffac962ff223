"""Models in this process through llama.cpp's Python binding: GGUF files on the CPU, or on a GPU that the binding was built for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from rookery.errors import DeviceMissing, ModelFault, ModelUnknown, SettingMissing, SettingWrong
from rookery.models.gguf import GgufHeader, read_gguf_header
from rookery.models.local import LocalModel
from rookery.models.model import Capabilities
from rookery.models.room import check_room, free_bytes

PACKAGE = "pip install 'rookery[llamacpp]'"
PORTABLE = "CMAKE_ARGS='-DGGML_NATIVE=OFF' pip install --force-reinstall --no-cache-dir --no-binary llama-cpp-python llama-cpp-python"
TEST_S = 120.0
_PROGRAM = """
import json, sys
sys.path[:0] = json.loads(sys.argv[3])
from rookery.models.llamacpp_sequence import try_out
try_out(sys.argv[1], json.loads(sys.argv[2]))
"""

_TESTED: dict[tuple[str, int, int, int], bool] = {}
"""By file, its time, its size and the layers on the GPU: whether weights may be packed anew for this processor. Filled by self-tests."""


class LlamaCppModel(LocalModel):
    """A language model in one GGUF file.

    Before it is loaded it is tried out in a process of its own: with some processors and kinds of weights (Q8_0 with AMX) llama.cpp
    crashes, and would take this process with it. Where it does, weights are used as they are stored, a little slower; where that
    does not help it is an error.

    :param name: the file; of several parts the first.
    :param context_tokens: the window of one call; by default the model's own, at most 8,192.
    :param kv_tokens: tokens of all sequences together whose keys and values have room, cached prompts included; by default twice the window.
    :param siblings: at most so many sequences at a time.
    :param threads: to compute with; by default one for each processor.
    :param gpu_layers: layers on the GPU; by default all, where the binding has a GPU, else none.
    :param self_test: try it out first. None: only where weights are quantised, the kinds that are known to crash.
    :param cached_prompts: how many prompts' keys and values are kept, while there is room.
    :raises ModelUnknown: no such file.
    :raises WeightsDamaged: it is no GGUF file, or it is cut.
    :raises SettingWrong: a number makes no sense.
    """

    def __init__(self, name: str, *, context_tokens: int | None = None, kv_tokens: int | None = None, siblings: int = 64,
                 threads: int | None = None, gpu_layers: int | None = None, self_test: bool | None = None, cached_prompts: int = 8,
                 max_in_flight: int = 4) -> None:
        full_name = f"llamacpp:{name}"
        path = Path(name).expanduser()
        if not path.is_file():
            raise ModelUnknown(f"there is no file {name!r}; nothing is downloaded", model=full_name, hint="name a .gguf file on this machine")
        header = read_gguf_header(path, model=full_name)
        trained = header.context_tokens
        window = context_tokens or min(trained or 4096, 8192)
        room = kv_tokens or 2 * window
        if window < 2 or room < window or siblings < 1 or (threads is not None and threads < 1):
            raise SettingWrong(f"{full_name}: context_tokens={window}, kv_tokens={room}, siblings={siblings}, threads={threads}", model=full_name,
                               hint="a window of at least 2, no larger than kv_tokens; siblings and threads of at least 1")
        if trained is not None and window > trained:
            raise SettingWrong(f"{full_name}: context_tokens is {window}; the model has {trained}", model=full_name)
        capabilities = Capabilities(full_name, context_tokens=window, max_output_tokens=window, is_local=True, logprobs=True, token_level=True,
                                    exact_token_count=True, max_in_flight=max_in_flight, price_usd=(0.0, 0.0), origin="trained")
        options = {"window": window, "room": room, "siblings": min(siblings, room), "threads": threads or _processors(), "gpu_layers": gpu_layers}
        load = partial(_load, path, header, full_name, options, self_test, self.release)
        super().__init__(capabilities, load, cached_prompts=cached_prompts)


def _processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def _load(path: Path, header: GgufHeader, name: str, options: dict[str, Any], self_test: bool | None, release: Any) -> Any:
    try:
        import llama_cpp
    except ImportError as error:
        raise SettingMissing(f"{name} needs 'llama-cpp-python', which is not installed", model=name, hint=PACKAGE) from error
    except (OSError, RuntimeError) as error:  # its shared library is missing, or needs what this machine has not
        raise SettingMissing(f"{name}: llama-cpp-python is installed and does not load: {error}", model=name, hint=PORTABLE) from error
    has_gpu = bool(llama_cpp.llama_supports_gpu_offload())
    asked = options["gpu_layers"]
    if asked and not has_gpu:
        raise DeviceMissing(f"{name}: gpu_layers is {asked}, and this llama-cpp-python was built for the CPU alone", model=name,
                            hint="leave gpu_layers out, or build it for your GPU: CMAKE_ARGS='-DGGML_CUDA=on' " + PACKAGE)
    layers = asked if asked is not None else 10_000 if has_gpu else 0
    if not layers:
        check_room(header.bytes, free_bytes(), model=name, place="this machine", hint="take a smaller or a more strongly quantised file")
    full = options | {"gpu_layers": layers, "repack": True}
    if self_test or (self_test is None and header.quantised):
        full["repack"] = tested(path, full, name)
    from rookery.models.llamacpp_sequence import LlamaCppHost

    return LlamaCppHost(path, name, full, release)


def tested(path: Path, options: dict[str, Any], name: str) -> bool:
    """Whether weights may be packed anew for this processor (``use_extra_bufts``), found out by loading the file in another process.

    :raises ModelFault: it crashes, or gives nonsense, also with the weights as they are stored.
    """
    stat = path.stat()
    key = (str(path.resolve()), stat.st_mtime_ns, stat.st_size, options["gpu_layers"])
    if key in _TESTED:
        return _TESTED[key]
    small = options | {"window": 64, "room": 64, "siblings": 1}
    told = ""
    for repack in (True, False):
        failed = _try(path, small | {"repack": repack})
        if failed is None:
            _TESTED[key] = repack
            return repack
        told = told or failed
    raise ModelFault(f"llama.cpp can't run {path.name} on this machine: in a test process it {told}", model=name,
                     hint=f"build it for any processor ({PORTABLE}), or take an F16 file")


def _try(path: Path, options: dict[str, Any]) -> str | None:
    """What went wrong with the model in a process of its own; None when nothing did."""
    command = [sys.executable, "-c", _PROGRAM, str(path), json.dumps(options), json.dumps([entry for entry in sys.path if entry])]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TEST_S, check=False)
    except subprocess.TimeoutExpired:
        return f"gave no answer in {TEST_S:g} s"
    if done.returncode == 0:
        return None
    if done.returncode < 0:
        return f"died of {signal.Signals(-done.returncode).name}"
    return "failed: " + ((done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1])[:300]
