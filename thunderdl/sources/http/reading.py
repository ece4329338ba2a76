"""Reading from a socket that does not block, as wide as it goes."""

from __future__ import annotations

import socket
import ssl

from thunderdl.sources.http.nested_tls import NestedTls

WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def receive(sock: socket.socket | NestedTls, view: memoryview) -> tuple[int, bool | OSError]:
    """Fill ``view`` as far as the socket has bytes: (how many, whether the peer has closed). Where the connection broke
    the second value is the error, which the system tells once: bytes that came before it count."""
    got, size = 0, len(view)
    into = sock.recv_into
    while got < size:
        try:
            count = into(view[got:])
        except WOULD_BLOCK:
            return got, False
        except ssl.SSLZeroReturnError:
            return got, True
        except OSError as error:
            return got, error
        if count == 0:
            return got, True
        got += count
    return got, False
