"""Reports of decoding: they add up, and stand in a log as what is not nothing."""

from __future__ import annotations

import pytest

from rookery.core.report import Report


def test_reports_add_up_and_come_back_from_a_log() -> None:
    one = Report(1, 3, 2, 1, waited_s=0.5, monitors=("a",))
    both = one + Report(4, 1, late=1, monitors=("b", "a"), note="why")
    assert both == Report(4, 4, 2, 1, late=1, waited_s=0.5, monitors=("a", "b"), note="why")
    assert Report.of(both.plain()) == both and Report().plain() == {} and Report.of({"later": 3, "level": 2}) == Report(2)
    assert both.line == "level 4: 4 triggers, 2 forbidden, 1 forced, 1 late, 500 ms waited, why"
    assert Report(1).line == "level 1: nothing to do"


@pytest.mark.parametrize("raw", [{"level": "1"}, {"waited_s": None}, {"note": 3}])
def test_a_damaged_report_is_told(raw: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        Report.of(raw)
