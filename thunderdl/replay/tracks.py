"""What is known of each lease, lane and source over time: the books of a story (story.py). Values and arithmetic."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

MOST_POINTS = 64


class Doing(enum.Enum):
    """What a lane does during a span."""

    WAITING = "waiting for the first byte"
    MOVING = "bringing bytes"
    SILENT = "silent"
    IDLE = "idle"
    AWAY = "backing off"


@dataclass(slots=True)
class Span:
    doing: Doing
    start: float
    end: float


@dataclass(slots=True, kw_only=True)
class LeaseTrack:
    """``points``: (time, position), the first at the grant; ``cuts``: (time, new end); ``how``: it ended, in words."""

    id: int
    source: int
    lane: int
    start: int
    end: int
    granted: float
    points: list[tuple[float, int]]
    cuts: list[tuple[float, int]] = field(default_factory=list)
    over: float | None = None
    how: str = ""
    failed: bool = False

    @property
    def position(self) -> int:
        return self.points[-1][1]

    @property
    def asked_end(self) -> int:
        """Its end at the grant."""
        return max([self.end, *(end for _, end in self.cuts)])

    def reach(self, position: int, now: float) -> None:
        points = self.points
        if len(points) > 2 and points[-1][1] == points[-2][1] == position:
            points[-1] = (now, position)
        else:
            points.append((now, position))
        if len(points) > MOST_POINTS:
            # Every other one is enough for a line; first and last stay.
            points[1:-1] = points[2:-1:2]


@dataclass(slots=True, kw_only=True)
class LaneTrack:
    id: int
    source: int
    opened: float
    closed: float | None = None
    queue: list[LeaseTrack] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    # Until when it is accounted for, and when bytes were last seen to come.
    told: float = 0.0
    progressed: float = 0.0
    begun: bool = False

    def tell(self, doing: Doing, until: float) -> None:
        """It did this from where it was left until then."""
        until = max(until, self.told)
        if self.spans and self.spans[-1].doing is doing:
            self.spans[-1].end = until
        elif until > self.told:
            self.spans.append(Span(doing, self.told, until))
        self.told = until


@dataclass(slots=True, kw_only=True)
class SourceTrack:
    """``lost_bytes``: taken from it for other sources, ``won_bytes``: by it from others; ``away``: when it was left
    alone; ``gone``: when it was given up for good, and ``why_gone``; ``remarks``: (time, what else happened)."""

    id: int
    name: str
    host: str = ""
    opened: float | None = None
    lanes: list[LaneTrack] = field(default_factory=list)
    open_lanes: int = 0
    bytes: int = 0
    bad_bytes: int = 0
    lost_bytes: int = 0
    won_bytes: int = 0
    faults: int = 0
    away: list[Span] = field(default_factory=list)
    gone: float | None = None
    why_gone: str = ""
    remarks: list[tuple[float, str]] = field(default_factory=list)
