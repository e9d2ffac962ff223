"""The public face: few names, all there; importing does nothing and loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import rookery

HEAVY = ["litellm", "openai", "httpx", "httpx2", "chromadb", "onnxruntime", "textual", "networkx", "numpy", "tenacity", "typer", "rich"]


def loaded_by(code: str) -> set[str]:
    """Which of the heavy packages a fresh process has loaded after some code."""
    report = f"\nimport sys as _sys\nprint('LOADED', *[name for name in {HEAVY!r} if name in _sys.modules])"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, cwd=Path(rookery.__file__).parents[1], check=True)
    return set(done.stdout.rpartition("LOADED")[2].split())


def test_few_names_and_all_are_there() -> None:
    assert len(rookery.__all__) <= 40
    assert len(set(rookery.__all__)) == len(rookery.__all__)
    for name in rookery.__all__:
        assert getattr(rookery, name) is not None
    assert rookery.__all__ == sorted(rookery.__all__)


def test_public_names_say_what_they_are_for() -> None:
    without = [name for name in rookery.__all__ if not (getattr(getattr(rookery, name), "__doc__", "") or "").strip()]
    assert without in ([], ["all_or_fail"], ["all_or_fail", "none_for_failed"]), without  # these two are data


def test_import_loads_nothing_heavy() -> None:
    assert loaded_by("import rookery") == set()


def test_a_program_without_models_loads_nothing_heavy() -> None:
    code = "from rookery import tool, run\n@tool\ndef f(x: int) -> int: return x\nassert run(f, x=1) == 1"
    assert loaded_by(code) == set()


@pytest.mark.parametrize("command", [["--help"], ["run", "--help"], ["--version"]])
def test_the_command_line_starts_without_providers(command: list[str]) -> None:
    code = f"import sys\nsys.argv = ['rookery', *{command!r}]\nfrom rookery.cli import main\ntry: main()\nexcept SystemExit: pass"
    assert loaded_by(code) == {"typer"}


def test_python_dash_m_is_the_command_line() -> None:
    done = subprocess.run([sys.executable, "-m", "rookery", "--version"], capture_output=True, text=True, check=True,
                          cwd=Path(rookery.__file__).parents[1])
    assert done.stdout == f"rookery {rookery.__version__}\n"


def test_import_makes_no_files_and_prints_nothing(tmp_path: Path) -> None:
    root = str(Path(rookery.__file__).parents[1])
    code = f"import sys\nsys.path.insert(0, {root!r})\nimport rookery, rookery.cli.app, rookery.tui.progress, rookery.core.layout"
    done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert (done.stdout, done.stderr, list(tmp_path.iterdir())) == ("", "", [])
