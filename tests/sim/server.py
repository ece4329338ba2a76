"""One scripted source at work: a fluid model of its connections, exact between two changes.

Its connections share its rate equally, each below its own limit. A new connection costs one round trip, the
first byte of an answer another; a queued request has its answer on the way when the one before it ends.
It knows nothing of the scheduler: it is asked, shrunk and closed, and says what came of it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tests.sim.script import FOREVER, SourceScript, Span
from thunderdl.core.protocol import Ended, Event, Failed, FaultKind, FirstByte

# A receive window: what can be on its way at most when the reader turns away.
WINDOW_BYTES = 4 * 1024 * 1024
# What waits in queues and socket buffers besides: so many bytes, and no more than so much time of them.
SOCKET_BYTES = 64 * 1024
QUEUE_S = 0.25
# After so long TCP sends again what was not acknowledged, then after twice that, and so on: what slept through the
# dark wakes up late (RFC 6298; Linux waits 200 ms at least, and a second for a SYN).
MIN_RESEND_S, CONNECT_RESEND_S = 0.2, 1.0
# Half a byte: positions are floats.
CRUMB = 0.5


@dataclass(slots=True)
class Ask:
    """One request. ``sent_end``: the end that the server was asked for; ``end``: where the lane stops reading."""

    lease: int
    start: int
    end: int
    sent_end: int
    position: float
    ready_at: float
    latency_s: float | None
    begun: bool = False


@dataclass(slots=True)
class Line:
    """A lane's connection. ``admit_at``: when the server accepts or refuses it; None: it is open."""

    lane: int
    asks: deque[Ask] = field(default_factory=deque)
    admit_at: float | None = None
    asleep_until: float = 0.0
    open: bool = False
    parked: tuple[int, int] | None = None

    @property
    def head(self) -> Ask | None:
        return self.asks[0] if self.asks else None


class Server:
    def __init__(self, script: SourceScript) -> None:
        self.script = script
        self.lines: dict[int, Line] = {}
        self.at = 0.0
        self.cut_bytes = 0.0
        self.served_bytes = 0.0
        self._change_at = script.next_change(0.0)

    # -- asked by the world

    def adopt(self, lane: int, start: int, end: int) -> None:
        """The connection of the opening, with the rest of its answer waiting if there is one."""
        self.lines[lane] = Line(lane, open=True, parked=(start, end) if end > start else None)

    def ask(self, lane: int, lease: int, start: int, end: int, now: float) -> None:
        line = self.lines.setdefault(lane, Line(lane))
        rtt = self.script.rtt_s
        parked, line.parked = line.parked, None
        sent_end = int(min(end, start + self.script.answer_bytes))
        ask = Ask(lease, start, end, sent_end, float(start), now + rtt, None if line.asks else rtt)
        ask.end = sent_end
        if parked is not None:
            if parked[0] == start:
                ask.ready_at, ask.sent_end, ask.latency_s = now, max(parked[1], end), None
            else:
                line.open = False
        if self._refuses(now):
            line.open = False
        line.asks.append(ask)
        if not line.open:
            if line.admit_at is None:
                line.admit_at = now + rtt
            ask.ready_at = line.admit_at + rtt

    def shrink(self, lane: int, lease: int, end: int) -> int | None:
        """Lower the end of an ask, not below its position; where it is now. None: it has ended in passing."""
        for ask in self.lines[lane].asks if lane in self.lines else ():
            if ask.lease == lease:
                ask.end = max(min(ask.end, end), int(ask.position))
                return ask.end
        return None

    def close(self, lane: int) -> list[Ask]:
        """Close the lane's connection; what it was asked for."""
        line = self.lines.pop(lane, None)
        if line is None:
            return []
        if line.head is not None and line.head.begun:
            self._turn_away(line.head)
        return list(line.asks)

    # -- time

    def next_event(self) -> float:
        """When something happens next if nobody interferes."""
        times = [self._change_at]
        rate = self._lane_rate()
        for line in self.lines.values():
            if line.admit_at is not None:
                times.append(line.admit_at)
            elif line.head is not None:
                if line.asleep_until > self.at:
                    times.append(line.asleep_until)
                elif line.head.ready_at > self.at or not line.head.begun:
                    times.append(max(line.head.ready_at, self.at))
                elif rate > 0 or line.head.end - line.head.position < CRUMB:
                    times.append(self.at + max(0.0, line.head.end - line.head.position) / max(rate, 1e-9))
        return min(times)

    def advance(self, now: float) -> None:
        """Let bytes flow until ``now``, at which nothing else may have happened in between."""
        elapsed, rate = now - self.at, self._lane_rate()
        if elapsed > 0 and rate > 0:
            for line in self._flowing():
                assert line.head is not None
                moved = min(rate * elapsed, line.head.end - line.head.position)
                line.head.position += moved
                self.served_bytes += moved
        self.at = max(self.at, now)

    def fire(self, now: float) -> list[Event]:
        """Everything that is due at ``now``."""
        self.advance(now)
        events: list[Event] = []
        if now >= self._change_at:
            self._change_at = self.script.next_change(now)
            self._sleep(now)
            if self._refuses(now):
                for lane in [line.lane for line in self.lines.values() if line.open and line.parked is None]:
                    events += self._fail(lane, now)
        for line in list(self.lines.values()):
            if line.admit_at is not None and line.admit_at <= now:
                events += self._admit(line, now)
        for line in list(self.lines.values()):
            events += self._deliver(line, now)
        return events

    # -- inside

    def _sleep(self, now: float) -> None:
        """Where the dark begins now: every connection wakes at its first resend after it has ended."""
        for span in self.script.dark:
            if span.start == now:
                for line in self.lines.values():
                    line.asleep_until = resent_at(span, max(MIN_RESEND_S, 2 * self.script.rtt_s))

    def _dark(self, now: float) -> Span | None:
        return next((span for span in self.script.dark if span.holds(now)), None)

    def _flowing(self) -> list[Line]:
        return [
            line for line in self.lines.values()
            if line.open and line.head is not None and line.head.begun and line.head.position < line.head.end
            and line.asleep_until <= self.at
        ]  # fmt: skip

    def _lane_rate(self) -> float:
        count = len(self._flowing())
        return min(self.script.lane_limit, self.script.rate(self.at) / count) if count else 0.0

    def _refuses(self, now: float) -> bool:
        return any(span.holds(now) for span in (*self.script.dead, *self.script.busy))

    def _admit(self, line: Line, now: float) -> list[Event]:
        if (dark := self._dark(now)) is not None:
            # A handshake in the dark: it is sent again until the light is back.
            sent = Span(now - self.script.rtt_s, dark.end)
            line.admit_at = resent_at(sent, CONNECT_RESEND_S) + self.script.rtt_s
            for ask in line.asks:
                ask.ready_at = line.admit_at + self.script.rtt_s
            return []
        line.admit_at = None
        busy = sum(1 for other in self.lines.values() if other.open) >= self.script.max_connections
        if busy or self._refuses(now):
            return self._fail(line.lane, now, over=busy)
        line.open = True
        return []

    def _fail(self, lane: int, now: float, *, over: bool = False) -> list[Event]:
        kind, wait = FaultKind.PASSING, None
        if over or any(span.holds(now) for span in self.script.busy):
            kind, wait = FaultKind.BUSY, self.script.retry_after_s
        asks = self.lines.pop(lane).asks
        return [Failed(ask.lease, int(ask.position), kind, wait) for ask in asks]

    def _deliver(self, line: Line, now: float) -> list[Event]:
        events: list[Event] = []
        while line.open and line.head is not None and line.head.ready_at <= now and line.asleep_until <= now:
            ask = line.head
            if not ask.begun:
                if line.asleep_until > now or self._dark(now):
                    ask.ready_at = max(line.asleep_until, now) + self.script.rtt_s
                    break
                ask.begun = True
                if ask.latency_s is not None:
                    events.append(FirstByte(ask.lease, ask.latency_s))
            if ask.end - ask.position >= CRUMB:
                break
            events.append(Ended(ask.lease, ask.end))
            line.asks.popleft()
            if ask.end < ask.sent_end:
                self._turn_away(ask)
                self._reconnect(line, now)
        return events

    def _turn_away(self, ask: Ask) -> None:
        """Close in the middle of an answer: what is on its way was sent for nothing."""
        rate = min(self.script.lane_limit, self.script.rate(self.at) / max(1, len(self._flowing())))
        on_its_way = rate * self.script.rtt_s / 2 + min(SOCKET_BYTES, rate * QUEUE_S)
        self.cut_bytes += min(on_its_way, WINDOW_BYTES, ask.sent_end - ask.position)

    def _reconnect(self, line: Line, now: float) -> None:
        line.open = False
        if line.asks:
            line.admit_at = now + self.script.rtt_s
            for ask in line.asks:
                ask.ready_at = now + 2 * self.script.rtt_s


def resent_at(dark: Span, first_s: float) -> float:
    """When what was sent as the dark began is first sent again after it has ended."""
    at, wait_s = dark.start + first_s, first_s
    while at < dark.end:
        wait_s *= 2
        at += wait_s
    return at


__all__ = ["FOREVER", "Ask", "Line", "Server"]
