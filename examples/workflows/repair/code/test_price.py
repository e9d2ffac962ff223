from price import dearest, total


def test_total():
    assert total([1, 2], 0.5) == 4.5


def test_dearest():
    assert dearest([1, 3, 2]) == 3


def test_nothing():
    assert dearest([]) == 0 and total([], 0.2) == 0
