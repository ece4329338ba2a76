"""The rate of each source over time, one on top of the other. Pure."""

from __future__ import annotations

from thunderdl.formats.svg import path
from thunderdl.quantities import rate
from thunderdl.replay.frame import Frame
from thunderdl.replay.scale import Scale, byte_marks
from thunderdl.replay.story import Story

MOST_BINS = 260
# Reports come every tenth of a second: shorter stretches would show when they came, not how bytes did.
LEAST_BIN_S = 0.2
HEADROOM = 1.06


def rates_panel(frame: Frame, top: float, height: float) -> None:
    story = frame.story
    times, stacked = _stack(story)
    peak = max(stacked[-1], default=0.0) if stacked else 0.0
    y = Scale(0.0, HEADROOM * peak or 1.0, top + height, top)
    frame.axis("Rate of each source, one on top of the other", top, height)
    for mark in byte_marks(peak, 4):
        frame.picture.line("grid", (frame.left, y(mark)), (frame.right, y(mark)))
        frame.picture.text("small right", frame.left - 8, y(mark) + 4, rate(mark))
    below = [0.0] * len(times)
    for number, above in zip(story.sources, stacked, strict=True):
        if above != below:
            upper = [(frame.x(at), y(value)) for at, value in zip(times, above, strict=True)]
            lower = [(frame.x(at), y(value)) for at, value in zip(times, below, strict=True)]
            shape = path([*upper, *reversed(lower)], closed=True)
            frame.picture.shape("path", f"area s{number}", d=shape, hint=frame.names[number])
        below = above
    seconds = story.end - story.start
    if seconds > 0:
        mean = sum(source.bytes for source in story.sources.values()) / seconds
        frame.picture.line("mean", (frame.left, y(mean)), (frame.right, y(mean)))
        frame.picture.text("small right halo", frame.right - 4, y(mean) - 4, f"mean {rate(mean)}")


def _stack(story: Story) -> tuple[list[float], list[list[float]]]:
    """Moments, and at each of them each source's rate with those of the sources before it under it."""
    rates, seconds = story.rates, max(story.end - story.start, 0.0)
    group = max(1, -(-rates.count // MOST_BINS), round(LEAST_BIN_S / rates.width_s))
    width_s, count = group * rates.width_s, -(-rates.count // group)
    # The last bin is as long as there was time left.
    lengths = [min(width_s, max(seconds - index * width_s, rates.width_s)) for index in range(count)]
    times = [0.0, *((index + 0.5) * width_s for index in range(count)), seconds] if count else []
    stacked: list[list[float]] = []
    below = [0.0] * len(times)
    for number in story.sources:
        bins = rates.of(number)
        own = [sum(bins[at * group : (at + 1) * group]) * rates.width_s / lengths[at] for at in range(count)]
        padded = [own[0], *own, own[-1]] if own else []
        below = [low + high for low, high in zip(below, padded, strict=True)]
        stacked.append(below)
    # A last middle may lie behind the end.
    return [min(at, seconds) for at in times], stacked
