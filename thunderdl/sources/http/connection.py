"""One HTTP/1.1 connection and the transfers queued on it. Belongs to one mover thread once attached.

States of a connection, the only legal moves:

    IDLE -> HEAD            a transfer is asked for
    HEAD -> BODY | PARKED   its head was accepted | waits for the control plane's word (openings)
    PARKED -> BODY          the control plane says where the bytes go
    BODY -> HEAD | IDLE     the transfer ended, another is queued | none is
    any  -> CLOSED          and nothing leads out of it
"""

from __future__ import annotations

import enum
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from thunderdl.sources.http.nested_tls import NestedTls
from thunderdl.sources.http.reading import receive

if TYPE_CHECKING:
    from thunderdl.errors import ThunderdlError
    from thunderdl.sources.http.head import Body, Parser, ResponseHead
    from thunderdl.sources.http.mover import Mover
    from thunderdl.sources.http.transfer import Store, Transfer


class Phase(enum.Enum):
    IDLE = "idle"
    HEAD = "head"
    BODY = "body"
    PARKED = "parked"
    CLOSED = "closed"


LEGAL: dict[Phase, frozenset[Phase]] = {
    Phase.IDLE: frozenset({Phase.HEAD, Phase.CLOSED}),
    Phase.HEAD: frozenset({Phase.BODY, Phase.PARKED, Phase.CLOSED}),
    Phase.PARKED: frozenset({Phase.BODY, Phase.CLOSED}),
    Phase.BODY: frozenset({Phase.HEAD, Phase.IDLE, Phase.CLOSED}),
    Phase.CLOSED: frozenset(),
}


class Connection:
    """A :class:`thunderdl.sources.base.Carrier`, the mover's verbs as its own.

    ``heard``: is told instead of the transfers' own ``notify``. ``flows_on``: no answers but a file comes, in order, to
    its end; a transfer takes a part of it, and what is behind that waits for the next. ``ends_at``: how long that file
    is, where that was stated.
    ``sock``: connected, handshake done, non-blocking. ``left_bytes``: of the body in hand; None: until it ends.
    ``fault``: it broke behind the bytes that were read last."""

    __slots__ = (
        "carry", "ends_at", "fault", "flows_on", "heard", "left_bytes", "mover", "outbox", "parser", "peer", "phase",
        "queue", "served", "sock", "used", "waits_until", "watched",
    )  # fmt: skip

    def __init__(
        self, sock: socket.socket | NestedTls, *, heard: Callable[[object], None] | None = None,
        flows_on: bool = False, ends_at: int | None = None,
    ) -> None:  # fmt: skip
        self.sock, self.heard, self.flows_on, self.ends_at = sock, heard, flows_on, ends_at
        # The address at its other end; "" where that is not known.
        self.peer = peer_of(sock)
        self.phase = Phase.IDLE
        self.queue: deque[Transfer] = deque()
        self.carry = b""
        self.outbox = bytearray()
        self.left_bytes: int | None = 0
        self.parser: Parser | None = None
        self.fault: OSError | None = None
        self.mover: Mover | None = None
        # Answers completed: a connection that has none and breaks did not break for being old.
        self.served = 0
        self.used = False
        self.waits_until = 0.0
        self.watched = 0

    def move(self, phase: Phase) -> None:
        """Go to ``phase``; an illegal move raises RuntimeError and changes nothing."""
        if phase not in LEGAL[self.phase]:
            raise RuntimeError(f"a connection cannot go from {self.phase.value} to {phase.value}")
        self.phase = phase

    @property
    def is_closed(self) -> bool:
        return self.phase is Phase.CLOSED

    def ask(self, transfer: Transfer) -> None:
        """See :meth:`Mover.ask`, and so on."""
        if self.mover is not None:
            self.mover.ask(self, transfer)

    def answer(self, transfer: Transfer, head: ResponseHead) -> None:
        if self.mover is not None:
            self.mover.answer(self, transfer, head)

    def proceed(
        self, transfer: Transfer, body: Body, store: Store, choose: Callable[[Mover], Mover] | None = None
    ) -> None:  # fmt: skip
        if self.mover is not None:
            self.mover.proceed(self, transfer, body, store, choose(self.mover) if choose else None)

    def lower(self, transfer: Transfer, end: int) -> None:
        if self.mover is not None:
            self.mover.lower(self, transfer, end)

    def close(self, error: ThunderdlError) -> None:
        if self.mover is not None:
            self.mover.close(self, error)

    def receive(self, view: memoryview) -> tuple[int, bool]:
        """Fill ``view`` as far as there are bytes: (how many, whether the peer has closed). A break is noted as
        ``fault``, for the mover to raise once what came before it is taken: up to a buffer of it was thrown away, and
        an answer cut short passed for none."""
        if self.fault is not None:
            return 0, False
        got, ended = receive(self.sock, view)
        if isinstance(ended, OSError):
            self.fault, ended = ended, False
        return got, ended

    @property
    def buffered(self) -> bool:
        """Whether TLS holds decrypted bytes that no selector will speak of."""
        return (
            isinstance(self.sock, ssl.SSLSocket | NestedTls)
            and self.phase is not Phase.CLOSED
            and self.sock.pending() > 0
        )


def peer_of(sock: socket.socket | NestedTls) -> str:
    """The address at the other end; "" where it is not known."""
    if not isinstance(sock, socket.socket):
        return ""
    try:
        name = sock.getpeername()
    except OSError:
        return ""
    return str(name[0]) if isinstance(name, tuple) else ""
