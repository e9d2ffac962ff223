"""Intervals of minutes, half open: (540, 600) ends where (600, 660) begins."""


def overlaps(a, b):
    """Whether two intervals have a minute in common."""
    return a[0] < b[1] and b[0] <= a[1]


def merged(intervals):
    """The intervals in order; those that overlap or touch are one."""
    found = []
    for start, end in sorted(intervals):
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found
