"""One day's meetings, as intervals of minutes since midnight."""

from meetings.interval import merged, overlaps


def book(meetings, meeting):
    """The meetings with one more, in order. Raises ValueError when it clashes with another."""
    if meeting[0] >= meeting[1] or any(overlaps(meeting, other) for other in meetings):
        raise ValueError("the meeting clashes")
    return sorted([*meetings, meeting])


def longest_stretch(meetings):
    """Minutes of the longest time in meetings without a break."""
    return max((end - start for start, end in merged(meetings)), default=0)


def free(meetings, day):
    """What is free of a day, in order."""
    found, start = [], day[0]
    for busy in merged(meetings):
        if busy[0] > start:
            found.append((start, busy[0]))
        start = max(start, busy[1])
    return [*found, (start, day[1])] if start < day[1] else found
