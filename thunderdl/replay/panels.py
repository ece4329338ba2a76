"""The panels of the chart (chart.py): bytes over time, the lanes' rows, the rates. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from thunderdl.formats.svg import Picture, Point, path
from thunderdl.quantities import duration, rate, size
from thunderdl.replay.scale import Scale, byte_marks
from thunderdl.replay.story import Doing, LaneTrack, LeaseTrack, SourceTrack, Span, Story

# More lines than this are no picture, and no file below 2 MB.
MOST_LEASES = 3000
MOST_SPANS = 4000
MOST_MARKS = 400
ROW, LEAST_ROW, ROWS_HEIGHT, SOURCE_GAP = 11.0, 3.0, 520.0, 7.0
LEAST_SOURCE = 16.0
MOST_BINS = 260


@dataclass(frozen=True, slots=True)
class Frame:
    """What the panels share. ``x``: seconds since the start to pixels; ``marks``: of the axis of time."""

    picture: Picture
    story: Story
    x: Scale
    names: dict[int, str]
    marks: tuple[float, ...]
    left: float
    right: float

    def at(self, moment: float) -> float:
        """The pixel of a moment of the trace's clock."""
        return self.x(moment - self.story.start)

    def since(self, moment: float) -> str:
        return duration(moment - self.story.start)

    def axis(self, head: str, top: float, height: float) -> None:
        """Heading, frame and the marks of time."""
        self.picture.text("head", self.left, top - 9, head)
        for mark in self.marks:
            x = self.x(mark)
            self.picture.line("grid", (x, top), (x, top + height))
            self.picture.text("small mid", x, top + height + 15, f"{mark:g} s")
        self.picture.box("frame", self.left, top, self.right - self.left, height)


# -- bytes


def bytes_panel(frame: Frame, top: float, height: float) -> None:
    story, picture = frame.story, frame.picture
    y = Scale(0.0, max(story.size, 1), top + height, top)
    frame.axis("Which bytes came when", top, height)
    for mark in byte_marks(story.size, 8):
        picture.line("grid", (frame.left, y(mark)), (frame.right, y(mark)))
        picture.text("small right", frame.left - 8, y(mark) + 4, size(mark))
    for start, end in list(story.there)[:MOST_MARKS]:
        hint = f"{size(end - start)} were there"
        picture.box("there", frame.left, y(end), frame.right - frame.left, y(start) - y(end), hint=hint)
    for at, start, end in story.bad[:MOST_MARKS]:
        hint = f"bytes {start}-{end - 1} did not match their hash, {frame.since(at)}"
        picture.box("bad", frame.at(at) - 3, y(end), 6, max(y(start) - y(end), 2), hint=hint)
    shown = _worth_drawing(frame, y)
    for lease in shown:
        _held(frame, lease, y)
    for lease in shown:
        _lease(frame, lease, y)
    _marks(frame, shown, y)
    if len(shown) < len(story.leases):
        told = f"{len(shown)} of {len(story.leases)} ranges are drawn"
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


def _held(frame: Frame, lease: LeaseTrack, y: Scale) -> None:
    """What it held and had not brought yet."""
    points = _points(frame, lease, y)
    over = frame.at(lease.over if lease.over is not None else frame.story.end)
    points.append((over, points[-1][1]))
    border: list[Point] = [(over, y(lease.end))]
    for (at, end), after in zip(reversed(lease.cuts), [lease.end, *(e for _, e in reversed(lease.cuts))], strict=False):
        border += [(frame.at(at), y(after)), (frame.at(at), y(end))]
    border.append((frame.at(lease.granted), y(lease.asked_end)))
    if over - points[0][0] > 1 and points[0][1] - y(lease.asked_end) > 1:
        frame.picture.shape("path", f"held s{lease.source}", d=path([*points, *border], closed=True))


def _lease(frame: Frame, lease: LeaseTrack, y: Scale) -> None:
    until = lease.over if lease.over is not None else frame.story.end
    took = until - lease.granted
    speed = f", {rate((lease.position - lease.start) / took)}" if took > 0 else ""
    cut = f", of {size(lease.asked_end - lease.start)} asked" if lease.cuts else ""
    hint = (
        f"{frame.names.get(lease.source, lease.source)}, connection {lease.lane}: {size(lease.position - lease.start)}"
        f" from {size(lease.start)} on{cut}, {frame.since(lease.granted)} to {frame.since(until)}{speed}"
        f"{f', {lease.how}' if lease.how not in ('', 'done') else ''}"
    )
    frame.picture.shape("path", f"lease l{lease.source}", d=path(_points(frame, lease, y)), hint=hint)


def _marks(frame: Frame, leases: list[LeaseTrack], y: Scale) -> None:
    """Where a part was taken, and where a lease broke."""
    picture = frame.picture
    for lease in [each for each in leases if each.cuts][:MOST_MARKS]:
        # The ends after each cut: what the next cut began with, at last the final one.
        ends = [end for _, end in lease.cuts[1:]] + [lease.end]
        for (at, before), end in zip(lease.cuts, ends, strict=True):
            x = frame.at(at)
            if y(end) - y(before) > 1.5:
                picture.line("cut", (x - 3.5, y(end)), (x + 3.5, y(end)))
                picture.line("cut", (x, y(end)), (x, y(before)))
    for lease in [each for each in leases if each.failed][:MOST_MARKS]:
        x, at_y = frame.at(lease.over or 0.0), y(lease.position)
        for slope in (-4, 4):
            picture.line("fault", (x - 4, at_y - slope), (x + 4, at_y + slope))


def _key(frame: Frame, y: float) -> None:
    told = (("cut", "a part is taken away"), ("fault", "broke"), ("bad", "wrong bytes"))
    x = frame.right - 330
    for look, text in told:
        if look == "cut":
            frame.picture.line("cut", (x - 6, y - 1), (x + 1, y - 1))
            frame.picture.line("cut", (x - 2.5, y - 1), (x - 2.5, y - 9))
        elif look == "fault":
            frame.picture.line("fault", (x - 7, y - 8), (x, y - 1))
            frame.picture.line("fault", (x - 7, y - 1), (x, y - 8))
        else:
            frame.picture.box("bad", x - 7, y - 9, 6, 10)
        frame.picture.text("small", x + 6, y, text)
        x += 45 + 6.2 * len(text)


# -- lanes


def _rows(source: SourceTrack) -> list[list[LaneTrack]]:
    """The lanes of a source in as few rows as there were lanes at once."""
    rows: list[list[LaneTrack]] = []
    for lane in source.lanes:
        free = next((row for row in rows if (closed := row[-1].closed) is not None and closed <= lane.opened), None)
        if free is None:
            rows.append([lane])
        else:
            free.append(lane)
    return rows


def _row_height(rows: int) -> float:
    return max(LEAST_ROW, min(ROW, ROWS_HEIGHT / max(rows, 1)))


def _heights(story: Story) -> tuple[float, dict[int, float], dict[int, list[list[LaneTrack]]]]:
    rows = {number: _rows(source) for number, source in story.sources.items()}
    row = _row_height(sum(map(len, rows.values())))
    return row, {number: max(len(each) * row, LEAST_SOURCE) for number, each in rows.items()}, rows


def lanes_height(story: Story) -> float:
    """How high the panel will be."""
    return sum(_heights(story)[1].values()) + SOURCE_GAP * (len(story.sources) + 1)


def lanes_panel(frame: Frame, top: float) -> None:
    row, heights, rows = _heights(frame.story)
    height = lanes_height(frame.story)
    frame.axis("What each connection did", top, height)
    _states_key(frame, top - 9)
    y = top + SOURCE_GAP
    for number, source in frame.story.sources.items():
        frame.picture.text("right", frame.left - 8, y + heights[number] / 2 + 4, frame.names[number], hint=source.name)
        _unused(frame, source, y, heights[number])
        for index, lanes in enumerate(rows[number]):
            for lane in lanes:
                _lane(frame, lane, y + index * row, row - (1.5 if row > 5 else 0.5))
        y += heights[number] + SOURCE_GAP
        if number != next(reversed(frame.story.sources)):
            frame.picture.line("sep", (frame.left, y - SOURCE_GAP / 2), (frame.right, y - SOURCE_GAP / 2))


def _unused(frame: Frame, source: SourceTrack, y: float, height: float) -> None:
    for span in source.away:
        hint = f"backing off, {frame.since(span.start)} to {frame.since(span.end)}"
        frame.picture.box("away", frame.at(span.start), y, frame.at(span.end) - frame.at(span.start), height, hint=hint)
    if source.gone is not None:
        told = source.remarks[-1][1] if source.remarks else "gone"
        x = frame.at(source.gone)
        frame.picture.box("gone", x, y, frame.right - x, height, hint=told)
        frame.picture.text("small", min(x + 6, frame.right - 6.2 * len(told)), y + height / 2 + 4, told)
    elif source.opened is None:
        frame.picture.text("small", frame.left + 6, y + height / 2 + 4, "never used")


_LOOKS = {Doing.WAITING: "wait", Doing.SILENT: "silent", Doing.AWAY: "away"}


def _lane(frame: Frame, lane: LaneTrack, y: float, height: float) -> None:
    for span in _joined(lane.spans, frame):
        x, width = frame.at(span.start), frame.at(span.end) - frame.at(span.start)
        if span.doing is Doing.IDLE:
            frame.picture.line("idle", (x, y + height / 2), (x + width, y + height / 2))
            continue
        look = _LOOKS.get(span.doing, "")
        look = look if span.doing is Doing.SILENT else f"{look} s{lane.source}".strip()
        hint = f"connection {lane.id}: {span.doing.value}, {frame.since(span.start)} to {frame.since(span.end)}"
        frame.picture.box(look, x, y, max(width, 0.4), height, hint=hint)


def _joined(spans: list[Span], frame: Frame) -> list[Span]:
    """The spans; those of less than a fifth of a pixel are drawn as what stands before them."""
    joined: list[Span] = []
    for span in spans:
        if joined and (joined[-1].doing is span.doing or frame.at(span.end) - frame.at(span.start) < 0.2):
            joined[-1] = Span(joined[-1].doing, joined[-1].start, span.end)
        else:
            joined.append(Span(span.doing, span.start, span.end))
    return joined


def _states_key(frame: Frame, y: float) -> None:
    first = next(iter(frame.story.sources), 0)
    x = frame.right - 480
    told = ((f"s{first}", "bringing bytes"), (f"wait s{first}", "waiting for the first byte"), ("silent", "silent"))
    for look, text in (*told, ("away", "backing off"), ("idle", "idle")):
        if look == "idle":
            frame.picture.line("idle", (x, y - 4), (x + 14, y - 4))
        else:
            frame.picture.box(look, x, y - 9, 14, 10)
        frame.picture.text("small", x + 19, y, text)
        x += 40 + 5.9 * len(text)


# -- rates


def rates_panel(frame: Frame, top: float, height: float) -> None:
    story = frame.story
    times, stacked = _stack(story)
    peak = max((stacked[-1][at] for at in range(len(times))), default=0.0) if stacked else 0.0
    y = Scale(0.0, peak or 1.0, top + height, top)
    frame.axis("Rate of each source, one on top of the other", top, height)
    for mark in byte_marks(peak, 4):
        frame.picture.line("grid", (frame.left, y(mark)), (frame.right, y(mark)))
        frame.picture.text("small right", frame.left - 8, y(mark) + 4, rate(mark))
    below = [0.0] * len(times)
    for number, above in zip(story.sources, stacked, strict=True):
        if above != below:
            upper = [(frame.x(at), y(value)) for at, value in zip(times, above, strict=True)]
            lower = [(frame.x(at), y(value)) for at, value in zip(times, below, strict=True)]
            frame.picture.shape(
                "path", f"area s{number}", d=path([*upper, *reversed(lower)], closed=True), hint=frame.names[number]
            )
        below = above
    seconds = story.end - story.start
    if seconds > 0:
        mean = sum(source.bytes for source in story.sources.values()) / seconds
        frame.picture.line("mean", (frame.left, y(mean)), (frame.right, y(mean)))
        frame.picture.text("small right", frame.right - 4, y(mean) - 4, f"mean {rate(mean)}")


def _stack(story: Story) -> tuple[list[float], list[list[float]]]:
    """The middles of so many bins, and each source's rate with those of the sources before it under it."""
    rates = story.rates
    group = max(1, -(-rates.count // MOST_BINS), round(0.2 / rates.width_s))
    count = -(-rates.count // group)
    # The last bin is not full: drawn at its full width it would look like a fall.
    times = [(index + 0.5) * group * rates.width_s for index in range(count)]
    stacked: list[list[float]] = []
    below = [0.0] * count
    for number in story.sources:
        bins = rates.of(number)
        own = [sum(part := bins[at * group : (at + 1) * group]) / max(len(part), 1) for at in range(count)]
        below = [low + high for low, high in zip(below, own, strict=True)]
        stacked.append(below)
    return times, stacked
