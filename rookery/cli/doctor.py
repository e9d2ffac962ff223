"""What is set up here and what is missing: ``rookery doctor`` and ``rookery models``. Imports none of the heavy packages."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rookery import __version__
from rookery.cli import out
from rookery.errors import LogError, RookeryError

if TYPE_CHECKING:
    from rookery.models.settings import Settings
    from rookery.tools.sandbox import SandboxFacts

PACKAGES = ("pydantic", "httpx", "openai", "litellm", "networkx", "chromadb", "tenacity", "textual", "numpy", "typer", "rich", "pydantic-monty")
NEEDS = {
    "embedded": "nothing: its weights come with rookery",
    "openai": "OPENAI_API_KEY for OpenAI itself; only an address for another server: openai:NAME@http://HOST:8000/v1",
    "litellm": "the key of the provider, such as ANTHROPIC_API_KEY or GEMINI_API_KEY",
    "transformers": "a folder in Hugging Face's format, or a model in the Hub's cache; nothing is downloaded",
    "llamacpp": "a .gguf file",
    "recorded": "a file of recorded answers",
}
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "MISTRAL_API_KEY", "GROQ_API_KEY", "OPENROUTER_API_KEY")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; ``wrong`` says what to do when it is not in order."""

    about: str
    text: str
    wrong: str = ""
    data: Any = None


def doctor(path: Path | None, *, as_json: bool) -> None:
    """Report on Python, packages, the log, the settings, keys and models; exits with 4 when the log is not sound, 2 for other faults."""
    from rookery.cli.drive import DEFAULT_LOG

    loaded, finding = _settings()
    log = path or (loaded.log if loaded is not None else None) or DEFAULT_LOG
    findings = [
        Finding("python", f"{platform.python_version()} ({sys.executable})", data=platform.python_version()),
        Finding("rookery", __version__, data=__version__),
        _packages(),
        _log(log),
        finding,
        *_keys(),
        *_models(loaded),
        *_sandboxes(),
    ]
    wrong = [finding for finding in findings if finding.wrong]
    if as_json:
        listed = [{"about": f.about, "text": f.text, "wrong": f.wrong, "data": f.data} for f in findings]
        out.say_json({"ok": not wrong, "findings": listed})
    else:
        about = ""
        for finding in findings:
            out.say(f"{finding.about if finding.about != about else '':<9} {finding.text}")
            about = finding.about
            if finding.wrong:
                out.say(f"          → {finding.wrong}")
        out.say()
        out.say("all in order" if not wrong else f"{len(wrong)} thing(s) to look at, marked →")
    if wrong:
        raise typer.Exit(out.LOG if any(finding.about == "log" for finding in wrong) else out.USAGE)


def _packages() -> Finding:
    versions: dict[str, str] = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = ""
    missing = [name for name, version in versions.items() if not version]
    text = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    return Finding("packages", text, f"pip install {' '.join(missing)}" if missing else "", versions)


def _log(path: Path) -> Finding:
    if not path.exists():
        return Finding("log", f"{path}: none yet, the first `rookery run` makes it", data={"path": str(path), "runs": 0})
    from rookery.cli.show import state_of
    from rookery.engine.sqlite import SQLiteLog

    try:
        with closing(SQLiteLog(path)) as log:
            faults = log.check()
            states = Counter(map(state_of, log.runs()))
    except LogError as error:
        return Finding("log", error.reason, error.hint, {"path": str(path), "faults": [error.reason]})
    size = path.stat().st_size
    counted = ", ".join(f"{number} {state}" for state, number in states.items()) or "no runs"
    text = f"{path}: {counted}; {size / 1_000_000:.1f} MB; {'sound' if not faults else '; '.join(faults[:5])}"
    wrong = "move the file away and start a new one; runs whose values are all there can still be shown" if faults else ""
    return Finding("log", text, wrong, {"path": str(path), "runs": sum(states.values()), "bytes": size, "faults": faults})


def _settings() -> tuple[Settings | None, Finding]:
    from rookery.models.settings import load_settings

    home = os.environ.get("XDG_CONFIG_HOME") or (f"{os.environ['HOME']}/.config" if os.environ.get("HOME") else "")
    candidates = [os.environ["ROOKERY_CONFIG"]] if os.environ.get("ROOKERY_CONFIG") else ["rookery.toml", f"{home}/rookery/config.toml"]
    files = [name for name in candidates if name and Path(name).expanduser().is_file()]
    variables = sorted(name for name in os.environ if name.startswith("ROOKERY_") and name != "ROOKERY_DEBUG")
    places = ", ".join([*files, *variables]) or "no rookery.toml, no ROOKERY_* variables"
    try:
        loaded = load_settings()
    except RookeryError as error:
        return None, Finding("settings", f"{places}: {error.reason}", error.hint or "correct it")
    return loaded, Finding("settings", f"{places}; default model: {loaded.model or 'none'}", data={"files": files, "variables": variables})


def _keys() -> Iterator[Finding]:
    is_set = [name for name in KEYS if os.environ.get(name)]
    text = f"set: {', '.join(is_set) or 'none'}; not set: {', '.join(name for name in KEYS if name not in is_set) or 'none'}"
    yield Finding("keys", text, data={name: name in is_set for name in KEYS})


def _models(loaded: Settings | None) -> Iterator[Finding]:
    for line in list_models(loaded):
        yield Finding("models", f"{line['model']:<36} {line['state']}", "", line)


def _sandboxes() -> Iterator[Finding]:
    """Which sandboxes work here, each tried out with one program."""
    tried = asyncio.run(_try_sandboxes())
    for rung, (works, hint, facts) in tried.items():
        text = f"{rung:<12} {f'works: Python {facts.python}' if works else f'does not work here: {hint}'}"
        all_lacking = not any(works for works, _, _ in tried.values())
        yield Finding("sandbox", text, hint if all_lacking else "", {"rung": rung, "works": works, "isolates": facts.isolates, "install": hint})


async def _try_sandboxes() -> dict[str, tuple[bool, str, SandboxFacts]]:
    from rookery.tools.bubblewrap import Bubblewrap
    from rookery.tools.monty import Monty
    from rookery.tools.sandbox import Program

    found: dict[str, tuple[bool, str, SandboxFacts]] = {}
    for box in (Monty(ready=0), Bubblewrap(ready=0)):
        try:
            outcome = await box.run(Program(source="6 * 7"))
            told = "" if outcome.value == 42 else f"it answered {outcome.value!r}, {outcome.fault}"
        except RookeryError as error:
            told = f"{error.reason}; {error.hint}"
        await box.aclose()
        found[box.facts.rung] = (not told, told, box.facts)
    return found


def list_models(loaded: Settings | None) -> Iterator[dict[str, Any]]:
    """The models that can be named here: each provider's example, and the names of the settings."""
    from rookery.models.provider import EXAMPLES, PROVIDERS
    from rookery.models.skills import TRAINED

    for name, trained in TRAINED.items():
        files = embedded_files(name)
        size = sum(file.stat().st_size for file in files)
        state = f"ready: {size / 1_000_000:.1f} MB, trained by this project" if files else "its weights are missing from this installation"
        yield {"model": f"embedded:{name}", "provider": "embedded", "ready": bool(files), "state": state, "needs": NEEDS["embedded"],
               "skills": [skill.name for skill in trained.skills]}
    for provider, place in PROVIDERS.items():
        if provider == "embedded":
            continue
        missing = _missing(provider) if util.find_spec(place.partition(":")[0]) is not None else "not in this installation"
        example = EXAMPLES.get(provider, f"{provider}:NAME").partition(" or ")[0]
        yield {"model": example, "provider": provider, "ready": not missing, "state": missing or "ready", "needs": NEEDS.get(provider, "")}
    for name, entry in (loaded.models if loaded is not None else {}).items():
        variable = entry.api_key_env
        missing = f"{variable} is not set" if variable and not os.environ.get(variable) else ""
        yield {"model": name, "provider": "settings", "ready": not missing, "state": f"= {entry.use}" + (f"; {missing}" if missing else ""),
               "needs": variable or ""}


def embedded_files(name: str) -> list[Path]:
    """The files of an embedded model that are in this installation."""
    folder = Path(__file__).resolve().parents[1] / "models" / "weights"
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.rglob("*.safetensors") if name in str(file.relative_to(folder)))


def _missing(provider: str) -> str:
    if provider == "recorded":
        return "needs a file"
    packages = {"openai": ("openai",), "litellm": ("litellm",), "transformers": ("torch", "transformers"), "llamacpp": ("llama_cpp",)}
    if any(util.find_spec(package) is None for package in packages.get(provider, ())):
        return f"pip install 'rookery[{provider}]'" if provider in ("transformers", "llamacpp") else f"pip install {provider}"
    if provider in ("transformers", "llamacpp"):
        return "needs a model on this machine"
    if provider == "openai" and not os.environ.get("OPENAI_API_KEY") and not os.environ.get("OPENAI_BASE_URL"):
        return "OPENAI_API_KEY is not set; other servers need only an address"
    if provider == "litellm" and not any(os.environ.get(name) for name in KEYS[1:]):
        return "no provider's key is set"
    return ""


def models(*, as_json: bool) -> None:
    """List the models that can be named, and what each of them lacks."""
    from rookery.cli.drive import settings

    loaded = settings()
    listed = list(list_models(loaded))
    if as_json:
        out.say_json({"default": loaded.model, "models": listed})
        return
    for line in listed:
        out.say(f"{line['model']:<36} {line['state']}")
        if not line["ready"] and line["needs"]:
            out.say(f"{'':<36} needs {line['needs']}")
    out.say()
    out.say(f"default: {loaded.model}" if loaded.model else "no default; pass --model, set ROOKERY_MODEL, or write model = … into rookery.toml")
