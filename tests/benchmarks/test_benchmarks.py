"""The benchmarks work: targets and exit codes are judged rightly, and small rounds of each run through."""

from __future__ import annotations

import argparse
import json
from collections import Counter

import pytest

from benchmarks import crash, executor, faults, peers
from benchmarks.report import Target, exit_code, finish, table

MET = Target("a", 1.0, 2)
MISSED = Target("b", 3.0, 2)
ABSENT = Target("c", None, 2)


def test_a_target_is_met_missed_or_absent() -> None:
    assert [target.state for target in (MET, MISSED, ABSENT)] == ["met", "missed", "absent"]
    assert Target("d", 2, 2).state == "met"
    assert Target("e", 5.0, 5, at_least=True).state == "met"
    assert Target("f", 4.9, 5, "×", at_least=True).state == "missed"
    assert "4.9×" in Target("f", 4.9, 5, "×", at_least=True).line
    assert "no data" in ABSENT.line


@pytest.mark.parametrize(
    ("targets", "code"), [([MET], 0), ([MET, MISSED], 1), ([MET, ABSENT], 2), ([ABSENT, MISSED], 1), ([], 2)]
)
def test_the_exit_code_says_what_was_missed(targets: list[Target], code: int) -> None:
    assert exit_code(targets) == code


@pytest.mark.parametrize(("check", "code"), [(True, 1), (False, 0)])
def test_json_is_one_object(capsys: pytest.CaptureFixture[str], check: bool, code: int) -> None:
    chosen = argparse.Namespace(json=True, check=check, quick=True)
    assert finish("some", {"figure": 3.0}, [MISSED], ["a line"], chosen) == code
    out, err = capsys.readouterr()
    whole = json.loads(out)
    assert whole["targets"][0]["state"] == "missed"
    assert whole["environment"]["cores"]
    assert ("missed" in err) is check


def test_tables_show_missing_figures() -> None:
    assert table(("a", "b"), [("x", None), ("y", 1234.5)]) == ["a     b", "x     –", "y  1234"]


def _cell(system: str, store: str, n: int, laps: list[float], form: str = "") -> dict[str, object]:
    return {"system": system, "store": store, "form": form, "shape": "chain", "n": n, "laps_us": laps, "laps_closed_us": laps,
            "us_per_node": min(laps), "bytes": 1000 * n}


def test_ratios_are_of_the_rounds_that_both_played() -> None:
    figures = executor.Figures([
        _cell("rookery", "memory", 100, [50.0, 40.0, 10.0]), _cell("bare", "none", 100, [10.0, 12.0, 5.0]),
        _cell("langgraph", "none", 100, [400.0, 380.0], "nodes"), _cell("langgraph", "none", 100, [500.0], "tasks"),
    ])
    assert figures.over("rookery memory", "bare none", "chain", 100) == 2.0
    assert figures.over(["langgraph none", "pydantic-graph none"], "rookery memory", "chain", 100) == 9.5
    assert figures.over("langgraph sqlite *", "rookery memory", "chain", 100) is None
    assert figures.flatness("rookery memory", "chain") is None


def test_flatness_is_over_the_cheapest_smaller_size() -> None:
    figures = executor.Figures([_cell("rookery", "memory", n, [us]) for n, us in ((100, 60.0), (1000, 40.0), (10_000, 50.0))])
    assert figures.flatness("rookery memory", "chain") == 1.25


def test_the_executor_is_measured_without_peers(capsys: pytest.CaptureFixture[str]) -> None:
    assert executor.main(["--sizes", "3,6", "--quick", "--no-peers", "--json", "--check"]) in (1, 2)  # the peers' figures are absent
    whole = json.loads(capsys.readouterr().out)
    assert {cell["shape"] for cell in whole["cells"]} == set(peers.SHAPES)
    assert not [cell for cell in whole["cells"] if cell["note"] or not cell["us_per_node"]]
    states = {target["name"]: target["state"] for target in whole["targets"]}
    assert states["chain of 6, LangGraph durable over rookery durable"] == "absent"
    assert states["providers and other heavy packages that it loads"] == "met"
    assert {row["turns"] for row in whole["history"]} == {5, 10, 20}


def test_executions_after_a_finish_are_found() -> None:
    keys = {"step": "1", "step_2": "2", "join": "3"}
    found = crash.Trial(0)
    kill = ({"step"}, Counter({"1": 1, "2": 1}))
    end = ({"step", "step_2", "join"}, Counter({"1": 2, "2": 2, "3": 1}))
    crash._judge(found, [kill, end], keys)
    assert (found.repeated, found.in_flight, found.unwritten, found.wrong) == (1, 1, 0, "")


def test_calls_that_a_log_lost_are_found() -> None:
    found = crash.Trial(0)
    crash._judge(found, [({"step"}, Counter()), (set(), Counter({"1": 1}))], {"step": "1"})
    assert found.unwritten == 1
    assert "step" in found.wrong


@pytest.mark.timeout(180)
def test_a_few_runs_are_killed_and_resumed() -> None:
    data = crash.measure(runs=3, seed=1)
    assert data["calls"] == crash.CALLS == 200
    assert exit_code(crash.targets(data, 3)) == 0, data


async def test_a_few_runs_meet_faults() -> None:
    data = await faults.measure(calls=24, runs=3, seed=0)
    assert [tally["bad"] for tally in data["hostile"].values()] == [[], [], []]
    assert [limit["overshoot"] for limit in data["limits"].values()] == [0, 0, 0]
    assert data["equal_calls"] == {"one_run": 1, "many_runs": 1, "afterwards": 0, "pure_tool": 1}
    assert faults.targets(data)
    assert list(faults.lines(data))
