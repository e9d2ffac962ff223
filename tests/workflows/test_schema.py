"""The JSON Schema is the one that ships, and says of a file what the reader says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import rookery
from benchmarks.broken import Case, cases
from benchmarks.mutations import ARTICLE
from rookery.workflows.compose import Refused, composed
from rookery.workflows.schema import FILE, published, schema, written

ROOT = Path(rookery.__file__).parents[1]
VALIDATOR = jsonschema.Draft202012Validator(schema())


def data(text: str) -> Any:
    return composed(text)[0].root.data()


def test_what_ships_is_what_the_reader_reads_by() -> None:
    assert published() == written(), f"python -m rookery schema > rookery/workflows/{FILE}"
    jsonschema.Draft202012Validator.check_schema(json.loads(published()))


def test_a_good_file_is_good_to_an_editor_too() -> None:
    assert not list(VALIDATOR.iter_errors(data(ARTICLE)))
    assert not list(VALIDATOR.iter_errors(data((Path(__file__).parent / "article" / "article.yaml").read_text())))


SEEN = [case for case in cases() if case.kind in ("unknown key", "missing key", "unbounded loop", "shape")]


@pytest.mark.parametrize("case", SEEN, ids=lambda case: case.name.replace(" ", "_"))
def test_an_editor_underlines_what_the_reader_refuses(case: Case) -> None:
    try:
        found = data(case.data.decode())
    except Refused:
        return
    assert list(VALIDATOR.iter_errors(found)), case.name


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_every_workflow_of_the_documentation_is_good(page: Path) -> None:
    for found in re.finditer(r"^```yaml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        if "version:" in found[1]:
            errors = [error.message for error in VALIDATOR.iter_errors(data(found[1]))]
            assert not errors, f"{page.name}: {errors}"


def test_each_key_is_explained() -> None:
    def walk(part: Any, path: str) -> None:
        if isinstance(part, dict):
            for name, inner in part.get("properties", {}).items():
                assert isinstance(inner, bool) or "description" in inner or path.endswith(("then", "if", "Plan")), f"{path}.{name} has no words"
            for key, inner in part.items():
                if isinstance(inner, dict | list):
                    walk(inner, f"{path}.{key}")
        elif isinstance(part, list):
            for inner in part:
                walk(inner, path)

    walk({key: value for key, value in schema()["$defs"].items() if key != "Plan"}, "")


def test_the_reference_is_made_from_the_format() -> None:
    from rookery.workflows.reference import reference

    page = (ROOT / "docs" / "workflow-yaml.md").read_text(encoding="utf-8")
    assert page == reference(), "python -m rookery.workflows.reference > docs/workflow-yaml.md"
    links = set(re.findall(r"\]\(#([\w-]+)\)", page))
    heads = {head.lower().replace(" ", "-") for head in re.findall(r"^#+ ([\w ]+)$", page, re.MULTILINE)}
    assert links <= heads


def test_every_workflow_of_the_documentation_is_read_without_a_fault() -> None:
    from rookery.workflows import parse

    for page in (ROOT / "docs").glob("*.md"):
        for found in re.finditer(r"^```yaml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            if "version:" in found[1]:
                parse(found[1], name=page.name)
