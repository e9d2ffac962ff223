"""The tests that come with the issue."""

from meetings.day import book, free, longest_stretch


def raises(function, *args):
    try:
        function(*args)
    except ValueError:
        return True
    return False


def test_a_meeting_begins_when_another_ends():
    assert book([(540, 600)], (600, 660)) == [(540, 600), (600, 660)]


def test_a_meeting_ends_when_another_begins():
    assert book([(600, 660)], (540, 600)) == [(540, 600), (600, 660)]


def test_a_clash_is_refused():
    assert raises(book, [(540, 600)], (570, 630)) and raises(book, [(540, 600)], (550, 560))


def test_back_to_back_is_one_stretch():
    assert longest_stretch([(540, 600), (600, 660)]) == 120


def test_a_break_ends_a_stretch():
    assert longest_stretch([(540, 600), (610, 660)]) == 60


def test_free_between_meetings():
    assert free([(540, 600), (660, 700)], (480, 720)) == [(480, 540), (600, 660), (700, 720)]
