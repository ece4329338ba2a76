"""TLS inside TLS: an https server behind a proxy that is itself spoken to over TLS. A mover's socket, no more of one.

``ssl`` wraps sockets, and no wrapped one a second time: the inner connection lives between two memory buffers, and
what is in them goes over the outer one.
"""

from __future__ import annotations

import select
import ssl
from typing import cast

_READ_BYTES = 256 * 1024
# The outer connection takes a request at once unless it is dead.
_SEND_PATIENCE_S = 5.0


class NestedTls:
    """``outer``: to the proxy, handshake done, in blocking mode until :meth:`setblocking`."""

    def __init__(self, outer: ssl.SSLSocket, context: ssl.SSLContext, server_hostname: str) -> None:
        self._outer = outer
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._inner = context.wrap_bio(self._in, self._out, server_hostname=server_hostname)
        self._is_drained = True

    def do_handshake(self) -> None:
        """Blocking. Raises OSError."""
        while True:
            try:
                self._inner.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
            else:
                self._flush()
                return

    def recv_into(self, view: memoryview) -> int:
        """As a non-blocking socket does it: SSLWantReadError where nothing is there."""
        while True:
            try:
                # With a buffer it returns how many bytes; the stubs of ssl do not know that.
                count = cast(int, self._inner.read(len(view), view))
            except ssl.SSLWantReadError:
                self._flush()
                self._is_drained = True
                self._fill()
            else:
                self._is_drained = False
                return count

    def send(self, raw: bytes | bytearray | memoryview) -> int:
        """All of it."""
        count = self._inner.write(raw)
        self._flush()
        return count

    def pending(self) -> int:
        """More than 0 where bytes may be there that no selector will speak of."""
        return 0 if self._is_drained else 1

    def fileno(self) -> int:
        return self._outer.fileno()

    def setblocking(self, flag: bool) -> None:
        self._outer.setblocking(flag)

    def close(self) -> None:
        self._outer.close()

    def _fill(self) -> None:
        raw = self._outer.recv(_READ_BYTES)
        if raw:
            self._in.write(raw)
        else:
            self._in.write_eof()

    def _flush(self) -> None:
        view = memoryview(self._out.read())
        while view:
            try:
                view = view[self._outer.send(view) :]
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError):
                _, ready, _ = select.select([], [self._outer], [], _SEND_PATIENCE_S)
                if not ready:
                    raise TimeoutError from None
