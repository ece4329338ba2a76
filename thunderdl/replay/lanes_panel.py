"""What each connection did: a row for each that was open at once, grouped by source. Pure."""

from __future__ import annotations

from collections.abc import Callable

from thunderdl.replay.frame import LETTER, Frame
from thunderdl.replay.story import Story
from thunderdl.replay.tracks import Doing, LaneTrack, SourceTrack, Span

# Rows get thinner rather than the chart endless.
ROW, LEAST_ROW, ROWS_HEIGHT, SOURCE_GAP = 11.0, 3.0, 520.0, 7.0
LEAST_SOURCE, MOST_ROWS = 16.0, 100
# Spans narrower than this are drawn as what stands before them; wider ones are few in any trace.
LEAST_SPAN = 0.5
MOST_SPANS = 6000
_LOOKS = {Doing.WAITING: "wait", Doing.MOVING: "full"}

Rows = list[list[LaneTrack]]


def lanes_height(story: Story) -> float:
    """How high the panel will be."""
    return sum(_heights(story)[1].values()) + SOURCE_GAP * (len(story.sources) + 1)


def lanes_panel(frame: Frame, top: float) -> None:
    row, heights, rows = _heights(frame.story)
    frame.axis("What each connection did", top, lanes_height(frame.story))
    _key(frame, top - 9)
    y, least = top + SOURCE_GAP, _least_span(frame, [lanes for each in rows.values() for lanes in each])
    for number, source in frame.story.sources.items():
        frame.picture.text("right", frame.left - 8, y + heights[number] / 2 + 4, frame.names[number], hint=source.name)
        _unused(frame, source, y, heights[number])
        for index, lanes in enumerate(rows[number]):
            _row(frame, number, lanes, y + index * row, row - (1.5 if row > 5 else 0.5), least)
        y += heights[number] + SOURCE_GAP
        if number != next(reversed(frame.story.sources)):
            frame.picture.line("sep", (frame.left, y - SOURCE_GAP / 2), (frame.right, y - SOURCE_GAP / 2))


def _rows(source: SourceTrack) -> Rows:
    """The lanes of a source in as few rows as there were lanes at once."""
    rows: Rows = []
    for lane in source.lanes:
        free = next((row for row in rows if (closed := row[-1].closed) is not None and closed <= lane.opened), None)
        if free is None and len(rows) < MOST_ROWS:
            rows.append([lane])
        else:
            (free or rows[-1]).append(lane)
    return rows


def _heights(story: Story) -> tuple[float, dict[int, float], dict[int, Rows]]:
    """The height of a row, that of each source, and the rows of each source."""
    rows = {number: _rows(source) for number, source in story.sources.items()}
    row = max(LEAST_ROW, min(ROW, ROWS_HEIGHT / max(1, sum(map(len, rows.values())))))
    return row, {number: max(len(each) * row, LEAST_SOURCE) for number, each in rows.items()}, rows


def _unused(frame: Frame, source: SourceTrack, y: float, height: float) -> None:
    """When it was left alone, and why."""
    for span in _joined(source.away, frame, LEAST_SPAN):
        x = frame.at(span.start)
        hint = f"backing off, {frame.since(span.start)} to {frame.since(span.end)}"
        frame.picture.box("away", x, y, frame.at(span.end) - x, height, hint=hint)
    if source.gone is not None:
        x = frame.at(source.gone)
        frame.picture.box("gone", x, y, frame.right - x, height, hint=source.why_gone)
        x = min(x + 6, frame.right - LETTER * len(source.why_gone))
        frame.picture.text("small", x, y + height / 2 + 4, source.why_gone)
    elif source.opened is None:
        frame.picture.text("small", frame.left + 6, y + height / 2 + 4, "never used")


def _row(frame: Frame, number: int, lanes: list[LaneTrack], y: float, height: float, least: float) -> None:
    for span in _joined([span for lane in lanes for span in lane.spans], frame, least):
        x, width = frame.at(span.start), frame.at(span.end) - frame.at(span.start)
        if span.doing is Doing.IDLE:
            frame.picture.line("idle", (x, y + height / 2), (x + width, y + height / 2))
            continue
        look = "silent" if span.doing is Doing.SILENT else f"{_LOOKS[span.doing]} s{number}"
        hint = f"{frame.names[number]}: {span.doing.value}, {frame.since(span.start)} to {frame.since(span.end)}"
        frame.picture.box(look, x, y, max(width, 0.4), height, hint=hint)


def _joined(spans: list[Span], frame: Frame, least: float) -> list[Span]:
    """The spans; those of less than ``least`` pixels are drawn as what stands before them."""
    joined: list[Span] = []
    for span in spans:
        before = joined[-1] if joined else None
        touches = before is not None and frame.at(span.start) - frame.at(before.end) < least
        if before is not None and touches and (
            before.doing is span.doing or frame.at(span.end) - frame.at(span.start) < least
        ):  # fmt: skip
            joined[-1] = Span(before.doing, before.start, span.end)
        else:
            joined.append(Span(span.doing, span.start, span.end))
    return joined


def _least_span(frame: Frame, rows: list[list[LaneTrack]]) -> float:
    """How narrow a span may be so that not too many are drawn."""
    spans = [[span for lane in lanes for span in lane.spans] for lanes in rows]
    least = LEAST_SPAN
    while least < frame.right and sum(len(_joined(each, frame, least)) for each in spans) > MOST_SPANS:
        least *= 2
    return least


def _key(frame: Frame, y: float) -> None:
    picture, first = frame.picture, next(iter(frame.story.sources), 0)

    def box(look: str) -> Callable[[float, float], None]:
        return lambda x, y: picture.box(look, x, y - 9, 14, 10)

    told = [
        (box(f"full s{first}"), "bringing bytes"),
        (box(f"wait s{first}"), "waiting for the first byte"),
        (box("silent"), "silent"),
        (box("away"), "backing off"),
        (lambda x, y: picture.line("idle", (x, y - 4), (x + 14, y - 4)), "idle"),
    ]
    frame.key(y, told)
