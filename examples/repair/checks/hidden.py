"""Tests that no search sees; they grade the patch when the search is over."""

from meetings.day import book, free, longest_stretch
from meetings.interval import merged, overlaps


def test_touching_is_no_overlap():
    assert not overlaps((0, 1), (1, 2)) and not overlaps((1, 2), (0, 1)) and overlaps((0, 2), (1, 3)) and overlaps((1, 3), (0, 2))


def test_touching_is_merged():
    assert merged([(3, 4), (1, 2), (2, 3)]) == [(1, 4)] and merged([(1, 2), (3, 4)]) == [(1, 2), (3, 4)]


def test_inside_is_merged():
    assert merged([(1, 9), (2, 3), (8, 10)]) == [(1, 10)]


def test_three_in_a_row():
    assert book(book([(0, 60)], (60, 90)), (90, 100)) == [(0, 60), (60, 90), (90, 100)] and longest_stretch([(0, 60), (60, 90), (90, 100)]) == 100


def test_a_full_day_has_nothing_free():
    assert free([(0, 30), (30, 60)], (0, 60)) == [] and free([], (0, 60)) == [(0, 60)] and longest_stretch([]) == 0
