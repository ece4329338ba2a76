"""What the panels of a chart share: the picture, the axis of time, names, keys. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from thunderdl.formats.svg import Picture
from thunderdl.quantities import duration
from thunderdl.replay.scale import Scale
from thunderdl.replay.story import Story

# The mean width of a character of small text; fonts differ, a key need not be exact.
LETTER = 5.9


@dataclass(frozen=True, slots=True)
class Frame:
    """``x``: seconds since the start to pixels; ``marks``: of the axis of time; ``left``, ``right``: of all panels."""

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

    def key(self, y: float, told: Sequence[tuple[Callable[[float, float], None], str]]) -> None:
        """A key that ends at the right border: each entry draws its sign in 14 pixels from (x, y) on."""
        x = self.right
        for draw, text in reversed(told):
            x -= 22 + LETTER * len(text)
            draw(x, y)
            self.picture.text("small", x + 18, y, text)
            x -= 8
