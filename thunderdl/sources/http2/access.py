"""HTTP/2 where the server agrees to it in the TLS handshake (ALPN, RFC 9113 section 3.2): HTTP/1.1 elsewhere."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

from thunderdl.errors import ConnectionLost
from thunderdl.sources.base import OnDisk
from thunderdl.sources.http.connect import Wire
from thunderdl.sources.http.connection import Connection, peer_of
from thunderdl.sources.http.wire import Endpoint
from thunderdl.sources.http2.carrier import StreamCarrier
from thunderdl.sources.http2.line import Line

ALPN = "h2"
# A list of 100,000 hosts would leave as many behind.
MAX_ENDPOINTS_KNOWN = 1024
Dial = Callable[[Endpoint, float, str], Awaitable[Wire]]


class Http2:
    """The HTTP/2 connections of one session: one to each endpoint, more where its server wants few streams on one.

    ``dial``: makes a socket, offering what is named."""

    def __init__(self, dial: Dial, on_disk: OnDisk) -> None:
        self._dial, self._on_disk = dial, on_disk
        self._lines: dict[Endpoint, tuple[Line, str]] = {}
        self._turns: dict[Endpoint, asyncio.Lock] = {}
        self._without: set[Endpoint] = set()

    def may_serve(self, endpoint: Endpoint) -> bool:
        """Whether to ask :meth:`connect`. Not through a proxy that is itself reached by TLS."""
        return (
            endpoint.scheme == "https"
            and endpoint not in self._without
            and not (endpoint.proxy or "").startswith("https:")
        )

    async def connect(self, endpoint: Endpoint, timeout_s: float) -> StreamCarrier | Connection:
        """One more stream; where the server speaks no HTTP/2, a connection that nobody moves yet. Raises a
        SourceError."""
        self._tidy()
        # Else sixteen lanes that begin at once would make sixteen connections.
        async with self._turns.setdefault(endpoint, asyncio.Lock()):
            known = self._lines.get(endpoint)
            if known is not None and known[0].wants_http1:
                self._without.add(endpoint)
            if endpoint in self._without:
                return Connection(await self._dial(endpoint, timeout_s, "http/1.1"))
            if known is None or not known[0].has_room:
                wire = await self._dial(endpoint, timeout_s, ALPN)
                if not isinstance(wire, ssl.SSLSocket) or wire.selected_alpn_protocol() != ALPN:
                    self._without.add(endpoint)
                    return Connection(wire)
                known = self._lines[endpoint] = _begun(wire), peer_of(wire)
            return StreamCarrier(known[0], self._on_disk, known[1])

    def _tidy(self) -> None:
        if len(self._turns) + len(self._without) < MAX_ENDPOINTS_KNOWN:
            return
        self._without.clear()
        self._lines = {endpoint: known for endpoint, known in self._lines.items() if not known[0].ended}
        self._turns = {endpoint: turn for endpoint, turn in self._turns.items() if turn.locked()}

    def close(self) -> None:
        """End what is not closed yet."""
        for line, _ in self._lines.values():
            line.close()


def _begun(wire: ssl.SSLSocket) -> Line:
    try:
        line = Line(wire)
    except OSError:
        wire.close()
        raise ConnectionLost("", "the connection broke") from None
    return line
