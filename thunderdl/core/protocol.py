"""What the scheduler hears (events) and what it says (commands). Values only.

Ids are small integers: a source's is given by the engine; lanes and leases are numbered by the scheduler.
A *lane* is one connection's worth of work at one source; a *lease* is a byte range that one lane owns from
the grant to its release, "granted, not yet started" included.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class FaultKind(enum.Enum):
    """Why a lease ended early, as far as it matters to scheduling."""

    PASSING = "passing"
    STALLED = "stalled"
    BUSY = "busy"
    LASTING = "lasting"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOpened:
    """A source answered. ``lane`` was given out by :meth:`Scheduler.new_lane`; it brings ``[start, end)``
    already, or nothing (start == end).

    What kind of source it is shows in what it can do alone. ``random_access`` False: it can only send the file
    from its start, as one stream; ``min_bytes``: no range smaller than this is worth asking it for (a piece, for
    peers); ``max_lanes``: it wants no more lanes than this, 0 for no wish; ``to_come``: how many others may still
    answer, and will want their lane; ``runs_on``: what follows a range comes without being asked, anything else costs a
    new connection."""

    source: int
    host: str
    lane: int
    start: int
    end: int
    latency_s: float
    random_access: bool = True
    min_bytes: int = 0
    max_lanes: int = 0
    to_come: int = 0
    runs_on: bool = False


@dataclass(frozen=True, slots=True)
class Moved:
    """The lease has written up to ``position``. Sent for every running lease about ten times a second."""

    lease: int
    position: int


@dataclass(frozen=True, slots=True)
class FirstByte:
    lease: int
    latency_s: float


@dataclass(frozen=True, slots=True)
class Ended:
    """The lease is over, and its lane ready for another; short of its end where the server sent less than asked."""

    lease: int
    position: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The lane is gone, and this lease with it; bytes up to ``position`` are written."""

    lease: int
    position: int
    kind: FaultKind
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The answer to :class:`Shrink`: the lease now ends at ``end`` (what was written already stays)."""

    lease: int
    end: int


@dataclass(frozen=True, slots=True)
class PieceBad:
    """Bytes ``[start, end)`` do not match their hash. ``suspects``: who may have served them;
    ``culprits``: who is proven to have."""

    start: int
    end: int
    suspects: frozenset[int]
    culprits: frozenset[int]


@dataclass(frozen=True, slots=True)
class Blamed:
    """Proven later: ``source`` served bytes that were wrong."""

    source: int


@dataclass(frozen=True, slots=True)
class Suspected:
    """``source`` is likely to serve wrong bytes: it is to bring none as long as there are others."""

    source: int


@dataclass(frozen=True, slots=True)
class Cleared:
    """``source`` was suspected and is so no longer: it may bring again what it was kept away from."""

    source: int


@dataclass(frozen=True, slots=True)
class SourceLost:
    """Not to be used again in this download, for a reason outside of scheduling."""

    source: int
    reason: str


@dataclass(frozen=True, slots=True)
class HostCap:
    """At most ``lanes`` lanes to ``host`` for this download from now on."""

    host: str
    lanes: int


@dataclass(frozen=True, slots=True)
class HostPause:
    """``host`` asked to be left alone until then: no new lane to it; those that bring bytes go on."""

    host: str
    until: float


@dataclass(frozen=True, slots=True)
class Budget:
    """At most ``lanes`` lanes in all for this download from now on; it is one of several that share."""

    lanes: int


@dataclass(frozen=True, slots=True)
class Limited:
    """Whether it is a limit of the user's that holds this download back: then rates say nothing of the sources."""

    on: bool


@dataclass(frozen=True, slots=True)
class Renewing:
    """Whether ``lane`` waits for another link of its source. Somebody is asked for that who has a limit of his own:
    that no byte comes meanwhile says nothing of the server."""

    lane: int
    on: bool


@dataclass(frozen=True, slots=True)
class Horizon:
    """Nothing at or behind ``end`` is to be fetched yet (a reader in order has bounded memory)."""

    end: int


@dataclass(frozen=True, slots=True)
class Reserved:
    """``[start, end)`` comes from the swarm from now on: it is not to be fetched, and leases are cut back to it."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Released:
    """``[start, end)`` was reserved, and is to be fetched again as far as it is missing."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Brought:
    """``[start, end)`` is here: the swarm brought it."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Scarce:
    """Pieces that begin at ``starts`` no peer has: they are fetched first, in this order, so that peers have something
    to give."""

    starts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Beside:
    """What the swarm brings meanwhile, in bytes/s: the end comes sooner by that."""

    rate_bytes_per_s: float


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Event = (
    SourceOpened | Moved | FirstByte | Ended | Failed | Shrunk | PieceBad | Blamed | Suspected | Cleared | SourceLost
    | HostCap | HostPause | Budget | Limited | Renewing | Horizon | Reserved | Released | Brought | Scarce | Beside
    | Tick
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fetch:
    """Get ``[start, end)`` on ``lane``, behind what that lane is doing; a lane not heard of before is opened."""

    lease: int
    source: int
    lane: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Shrink:
    """Lower the end of a running lease to ``end``, or to where it is if that is further; answer :class:`Shrunk`."""

    lease: int
    end: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Close the lane of this lease; answer :class:`Failed` for each lease that it held."""

    lease: int
    kind: FaultKind


@dataclass(frozen=True, slots=True)
class Close:
    """The lane is not needed any more."""

    lane: int


@dataclass(frozen=True, slots=True)
class Complete:
    """Every byte is filled."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No source is left that could bring what is missing."""


@dataclass(frozen=True, slots=True)
class Distrust:
    """``source`` is banned: what it brought and nothing proves is to be told as :class:`PieceBad`, without culprits."""

    source: int


Command = Fetch | Shrink | Cancel | Close | Complete | GiveUp | Distrust
