"""All Python in the README and under docs/ runs, with a stand-in where it names a model; links lead somewhere."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import rookery
from rookery.models import provider
from rookery.models.model import Request
from rookery.testing import ScriptedModel

ROOT = Path(rookery.__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(page for page in (ROOT / "docs").glob("*.md") if page.name != "benchmarks.md")]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def sample(schema: dict[str, Any], whole: dict[str, Any]) -> Any:
    """Some data that a JSON Schema takes."""
    if "$ref" in schema:
        return sample(whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        return {name: sample(part, whole) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [sample(schema["items"], whole)] * 2
    return {"string": "some words", "integer": 1, "number": 1.5, "boolean": True}.get(str(kind))


def stand_in(request: Request) -> str:
    """Answers any prompt of the pages with some value of the type it asks for."""
    if "Reply with one JSON object" in request.text and "of this JSON Schema: " in request.text:  # an agent's turn
        schema = json.loads(request.text.partition("of this JSON Schema: ")[2].partition("\n\n")[0])
        return json.dumps({"thought": "", "answer": sample(schema, schema)})
    written = request.text.rpartition("JSON Schema:\n")[2]
    if "JSON Schema:\n" in request.text:
        schema = json.loads(written)
        return json.dumps(sample(schema, schema))
    return "warm" if "warm" in request.text else "some words"


@pytest.fixture
def only_a_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    built = provider.model

    def made(spec: Any = None, **options: Any) -> Any:
        if isinstance(spec, str) and "@http://localhost" not in spec:
            return ScriptedModel(stand_in, name=spec)
        return built(spec, **options)

    monkeypatch.setattr(provider, "model", made)


def snippets(page: Path) -> list[tuple[int, str]]:
    text = page.read_text(encoding="utf-8")
    return [(text[: found.start(2)].count("\n"), found[2]) for found in FENCE.finditer(text) if found[1] == "python"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_of_a_page_runs_from_top_to_bottom(
    page: Path, only_a_stand_in: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    module = ModuleType(f"rookery_program_page_{page.stem.replace('-', '_')}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    found = snippets(page)
    assert found, f"{page.name} has no Python"
    for line, source in found:
        exec(compile("\n" * line + source, str(page), "exec"), vars(module))  # the line numbers are those of the page
    assert capsys.readouterr().out


def test_the_readme_begins_with_the_two_commands() -> None:
    (kind, first), *_ = FENCE.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert kind == "sh" and first.splitlines()[0].startswith("make demo") and first.splitlines()[1].startswith("make test")


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith("http")]
    missing = [link for link in links if not (page.parent / link.partition("#")[0]).exists()]
    assert missing in ([], ["docs/benchmarks.md"])  # that page is written by the benchmarks


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_fence_says_what_it_is(page: Path) -> None:
    kinds = {kind for kind, _ in FENCE.findall(page.read_text(encoding="utf-8"))}
    assert kinds <= {"python", "sh", "text", "toml", "yaml"}


def test_every_error_is_explained() -> None:
    from rookery import errors

    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    families = {
        "RookeryError", "PlanningError", "GraphError", "GraphFault", "ValueError_", "ModelError", "ToolError", "SearchError", "RecallError",
        "MemoryFileError", "SandboxError", "CallError", "RunError", "LogError",
    }
    named = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, errors.RookeryError)}
    assert not {name for name in named - families if f"`{name}`" not in text}
