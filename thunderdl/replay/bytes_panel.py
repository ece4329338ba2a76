"""Which bytes came when: a map of the file over time. Pure.

Across a moment, from below to above: bytes that are there, in the colour of who brought them; bytes that a lease
holds and has not brought yet, tinted; bytes that are missing, white. So a lease is a wedge that opens to the right,
under a line that rises from where it began to where it ended; and the right border is the file as it is in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from thunderdl.formats.svg import Point, path
from thunderdl.quantities import rate, size
from thunderdl.replay.frame import Frame
from thunderdl.replay.scale import Scale, byte_marks
from thunderdl.replay.tracks import LeaseTrack

# More shapes than this are no picture, and no file below 2 MB.
MOST_LEASES = 2500
MOST_MARKS = 400


def bytes_panel(frame: Frame, top: float, height: float) -> None:
    story, picture = frame.story, frame.picture
    y = Scale(0.0, max(story.size, 1), top + height, top)
    for start, end in list(story.there)[:MOST_MARKS]:
        hint = f"{size(end - start)} were there"
        picture.box("there", frame.left, y(end), frame.right - frame.left, y(start) - y(end), hint=hint)
    shown = _worth_drawing(frame, y)
    _wedges(frame, shown, y)
    frame.axis("Which bytes came when", top, height)
    for mark in byte_marks(story.size, 8):
        picture.line("grid", (frame.left, y(mark)), (frame.right, y(mark)))
        picture.text("small right", frame.left - 8, y(mark) + 4, size(mark))
    for lease in shown:
        picture.shape("path", f"lease l{lease.source}", d=path(_points(frame, lease, y)))
    _marks(frame, shown, y)
    if len(shown) < story.granted:
        told = f"the largest {len(shown)} of {story.granted} ranges are drawn"
        picture.text("small right", frame.right, top - 9, told)
    else:
        _key(frame, top - 9)


def _worth_drawing(frame: Frame, y: Scale) -> list[LeaseTrack]:
    """All leases, or the largest one of each spot where there are too many."""
    leases, spot = frame.story.leases, 1.0
    while len(leases) > MOST_LEASES:
        largest: dict[tuple[int, int, int], LeaseTrack] = {}
        for lease in leases:
            key = (lease.source, int(frame.at(lease.granted) / spot), int(y(lease.start) / spot))
            if key not in largest or largest[key].end - largest[key].start < lease.end - lease.start:
                largest[key] = lease
        leases, spot = list(largest.values()), spot * 2
    return leases


def _points(frame: Frame, lease: LeaseTrack, y: Scale) -> list[Point]:
    return [(frame.at(at), y(position)) for at, position in lease.points]


def _wedges(frame: Frame, leases: list[LeaseTrack], y: Scale) -> None:
    """Leases in the order of their grants, and wrong bytes among them: who comes later covers what was there."""
    bad = iter(sorted(frame.story.bad)[:MOST_MARKS])
    wrong = next(bad, None)
    for lease in sorted(leases, key=lambda each: each.granted):
        while wrong is not None and wrong[0] <= lease.granted:
            _wrong(frame, *wrong, y)
            wrong = next(bad, None)
        _held(frame, lease, y)
        _brought(frame, lease, y)
    while wrong is not None:
        _wrong(frame, *wrong, y)
        wrong = next(bad, None)


def _brought(frame: Frame, lease: LeaseTrack, y: Scale) -> None:
    points = _points(frame, lease, y)
    if lease.position > lease.start:
        border = [(frame.right, points[-1][1]), (frame.right, points[0][1])]
        shape = path([*points, *border], closed=True)
        frame.picture.shape("path", f"g{lease.source}", d=shape, hint=_hint(frame, lease))


def _held(frame: Frame, lease: LeaseTrack, y: Scale) -> None:
    """What it held and had not brought yet."""
    points = _points(frame, lease, y)
    over = frame.at(lease.over if lease.over is not None else frame.story.end)
    points.append((over, points[-1][1]))
    if over - points[0][0] > 1 and points[0][1] - y(lease.asked_end) > 1:
        border = [(over, y(lease.end))]
        for at, before, after in reversed([*_cuts(lease)]):
            border += [(frame.at(at), y(after)), (frame.at(at), y(before))]
        border.append((frame.at(lease.granted), y(lease.asked_end)))
        shape = path([*points, *border], closed=True)
        frame.picture.shape("path", f"h{lease.source}", d=shape, hint=_hint(frame, lease))


def _cuts(lease: LeaseTrack) -> Iterator[tuple[float, int, int]]:
    """(when, the end before, the end after) of each part that was taken from it."""
    ends = [*(end for _, end in lease.cuts), lease.end]
    return ((at, before, after) for (at, before), after in zip(lease.cuts, ends[1:], strict=True))


def _wrong(frame: Frame, at: float, start: int, end: int, y: Scale) -> None:
    hint = f"bytes {start}-{end - 1} did not match their hash, {frame.since(at)}"
    # A hair less high, so that nothing of it shines past the edges of what covers it later.
    x, top, height = frame.at(at), y(end) + 0.2, y(start) - y(end) - 0.4
    frame.picture.box("bad", x, top, frame.right - x, max(height, 0.3), hint=hint)


def _hint(frame: Frame, lease: LeaseTrack) -> str:
    until = lease.over if lease.over is not None else frame.story.end
    took, brought = until - lease.granted, lease.position - lease.start
    speed = f", {rate(brought / took)}" if took > 0 else ""
    cut = f", of {size(lease.asked_end - lease.start)} asked for" if lease.cuts else ""
    how = f", {lease.how}" if lease.how not in ("", "done") else ""
    name = frame.names.get(lease.source, f"source {lease.source}")
    return (
        f"{name}, connection {lease.lane}: {size(brought)} from {size(lease.start)} on{cut}, "
        f"{frame.since(lease.granted)} to {frame.since(until)}{speed}{how}"
    )


def _marks(frame: Frame, leases: list[LeaseTrack], y: Scale) -> None:
    """Where a part was taken away, and where a lease broke."""
    picture = frame.picture
    for lease in [each for each in leases if each.cuts][:MOST_MARKS]:
        for at, before, after in _cuts(lease):
            x = frame.at(at)
            if y(after) - y(before) > 1.5:
                picture.line("cut", (x - 3.5, y(after)), (x + 3.5, y(after)))
                picture.line("cut", (x, y(after)), (x, y(before)))
    for lease in [each for each in leases if each.failed][:MOST_MARKS]:
        # A try that brought nothing says little.
        look, arm = ("fault", 4.0) if lease.position > lease.start else ("fault try", 2.5)
        x, at_y = frame.at(lease.over or 0.0), y(lease.position)
        for slope in (-arm, arm):
            picture.line(look, (x - arm, at_y - slope), (x + arm, at_y + slope))


def _key(frame: Frame, y: float) -> None:
    picture, first = frame.picture, next(iter(frame.story.sources), 0)

    def box(look: str) -> Callable[[float, float], None]:
        return lambda x, y: picture.box(look, x, y - 9, 14, 10)

    def cut(x: float, y: float) -> None:
        picture.line("cut", (x + 3, y - 1), (x + 11, y - 1))
        picture.line("cut", (x + 7, y - 1), (x + 7, y - 10))

    def cross(x: float, y: float) -> None:
        picture.line("fault", (x + 3, y - 8), (x + 11, y))
        picture.line("fault", (x + 3, y), (x + 11, y - 8))

    told: list[tuple[Callable[[float, float], None], str]] = [
        (box(f"g{first}"), "there"),
        (box(f"h{first}"), "under way"),
        (cut, "taken by another connection"),
        (cross, "broke"),
    ]
    if frame.story.there:
        told.insert(0, (box("there"), "there before"))
    if frame.story.bad:
        told.append((box("bad"), "wrong bytes"))
    frame.key(y, told)
