"""Where a lane goes on whose connection sends all that follows, whatever range was asked for, as FTP does. Pure.

There the next bytes come without being asked, and any others cost a new connection: the dialogue for it, its slow
start, and what the old one had on its way. So such a lane keeps going, and begins elsewhere only where it meets what
others have; then far enough ahead of whoever else is on his way there.
"""

from __future__ import annotations

from collections.abc import Container

from thunderdl.core.ranges import RangeSet

# It leaves the one behind it room for so many leases of its own size, or so large a part of what is missing, and no
# more: whoever reads or hashes the file from its beginning is held up by what is not there yet.
APART_LEASES, APART_SHARE = 8, 4


def onward(
    missing: RangeSet, *, at: int | None, heading: Container[int], want_bytes: int, align: int
) -> tuple[int, int] | None:  # fmt: skip
    """The range ``[start, end)`` of ``missing`` in which to go on; None where nothing is missing.

    ``at``: where the lane's connection stands, None for a new one; ``heading``: where those of others do;
    ``want_bytes``: the size of its next lease. Begins on a border of ``align`` where it begins in the middle.
    """
    largest: tuple[int, int] | None = None
    first: tuple[int, int] | None = None
    for start, end in missing:
        if at is not None and start <= at < end:
            return at, end
        if start not in heading:
            first = first or (start, end)
        elif largest is None or end - start > largest[1] - largest[0]:
            largest = start, end
    if first is not None or largest is None:
        return first
    start, end = largest
    room = max(APART_LEASES * want_bytes, missing.total // APART_SHARE)
    middle = start + min((end - start) // 2, room)
    middle -= middle % align
    return (middle, end) if middle - start >= want_bytes else (start, end)
