"""Broken files are refused at the right place, whatever is in them; nobody sees a traceback."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks.broken import Case, cases
from benchmarks.mutations import mutated, seeds
from rookery.errors import WorkflowInvalid
from rookery.workflows import load, parse
from rookery.workflows.fault import Fault, Place, in_order


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name.replace(" ", "_"))
def test_a_broken_file_is_refused_where_it_is_broken(case: Case, tmp_path: Path) -> None:
    for name, text in case.files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "f.yaml").write_bytes(case.data)
    with pytest.raises(WorkflowInvalid) as found:
        load(tmp_path / "f.yaml")
    places = [(fault.place.line, fault.place.column) for fault in found.value.faults]
    assert places == [case.place], str(found.value)
    assert all(fault.message and fault.kind and fault.shown for fault in found.value.faults)


def test_a_thousand_mutated_files_end_in_faults_or_in_a_graph() -> None:
    chance = random.Random(7)
    texts = seeds()
    refused = 0
    for _ in range(1_000):
        try:
            parse(mutated(texts, chance))
        except WorkflowInvalid as error:
            assert error.faults
            refused += 1
    assert 500 < refused < 1_000


def test_a_fault_is_shown_as_a_compiler_would() -> None:
    fault = Fault("there is no tool cuont", Place("f.yaml", 12, 9, 5, "    a: {tool: cuont}"), "did you mean count?", "reference")
    fault = Fault(fault.message, Place("f.yaml", 12, 15, 5, "    a: {tool: cuont}"), fault.hint, fault.kind)
    assert fault.shown.splitlines() == [
        "error[reference]: there is no tool cuont",
        "  --> f.yaml:12:15",
        "   |",
        "12 |     a: {tool: cuont}",
        "   |               ^^^^^",
        "   = did you mean count?",
    ]


def test_of_a_long_line_a_piece_is_shown() -> None:
    line = "x" * 500 + "HERE" + "y" * 500
    shown = Fault("m", Place("f", 1, 501, 4, line)).shown.splitlines()
    column = shown[4].index("^")
    assert len(shown[3]) < 200 and shown[3][column : column + 4] == "HERE" and shown[4].count("^") == 4


def test_faults_stand_in_the_order_of_the_file_and_once() -> None:
    one, two = (Fault("m", Place("f", line, 1)) for line in (2, 1))
    assert in_order([one, two, one]) == [two, one]


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(WorkflowInvalid, match="can't be read"):
        load(tmp_path / "none.yaml")
    with pytest.raises(WorkflowInvalid, match="can't be read"):
        load(tmp_path)
