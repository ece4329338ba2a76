"""One accepted connection: bytes in and out, every wait of which an alarm can end.

Invariants: only the connection's own thread touches its socket; another thread stops it by ringing the alarm,
so no descriptor is ever closed under a thread that uses it.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import struct
import time

_RDHUP: int = getattr(select, "POLLRDHUP", 0)
_DRAIN_S = 0.5


class Stopped(Exception):
    """The server wants this connection to end now."""


class PeerGone(Exception):
    """The client has closed, reset, or never finished the handshake."""


class Alarm:
    """A flag that ``poll`` can wait for; once rung it stays so."""

    def __init__(self) -> None:
        self._read_fd, self._write_fd = os.pipe()
        self.rung = False

    def fileno(self) -> int:
        return self._read_fd

    def ring(self) -> None:
        if not self.rung:
            self.rung = True
            os.write(self._write_fd, b"!")

    def close(self) -> None:
        os.close(self._read_fd)
        os.close(self._write_fd)


class Wire:
    """Blocking reads and writes over a non-blocking socket, plain or TLS."""

    def __init__(self, sock: socket.socket, alarm: Alarm, tls: ssl.SSLContext | None) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._alarm = alarm
        self._sock = sock
        if tls is not None:
            self._sock = tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)

    def handshake(self) -> None:
        """Finish TLS; nothing to do on a plain connection. ssl.SSLError where the client refuses."""
        while isinstance(self._sock, ssl.SSLSocket):
            try:
                self._sock.do_handshake()
                return
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN)
            except ssl.SSLWantWriteError:
                self._wait(select.POLLOUT)

    def receive(self) -> bytes:
        """Up to 64 KiB; empty at the end of the stream."""
        while True:
            try:
                return self._sock.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError):
                self._wait(select.POLLIN)
            except ssl.SSLWantWriteError:
                self._wait(select.POLLOUT)
            except OSError as error:
                raise PeerGone from error

    def send(self, block: bytes | memoryview) -> int:
        """Hand at least one byte to the kernel; how many it took. An empty block takes none."""
        while block:
            try:
                return self._sock.send(block)
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._wait(select.POLLOUT)
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN)
            except OSError as error:
                raise PeerGone from error
        return 0

    def send_all(self, block: bytes | memoryview) -> None:
        rest = memoryview(block)
        while rest:
            rest = rest[self.send(rest) :]

    def pause(self, seconds: float) -> None:
        """Wait; PeerGone where the client hangs up meanwhile, Stopped at the alarm."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            if self._wait(_RDHUP, left) & (_RDHUP | select.POLLHUP | select.POLLERR):
                raise PeerGone

    def close(self) -> None:
        """Close in order: everything sent arrives, even if requests are left unread (RFC 9112 section 9.6)."""
        with contextlib.suppress(OSError, ValueError, Stopped, PeerGone):
            if isinstance(self._sock, ssl.SSLSocket):
                with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    self._sock.unwrap()
            self._sock.shutdown(socket.SHUT_WR)
            ends = time.monotonic() + _DRAIN_S
            while (left := ends - time.monotonic()) > 0 and self._wait(select.POLLIN, left):
                if not socket.socket.recv(self._sock, 65536):
                    break
        self.drop()

    def reset(self, *, flush: bool = True) -> None:
        """End by RST. ``flush``: wait (at most 0.5 s) until the client's kernel has all that was sent."""
        ends = time.monotonic() + _DRAIN_S
        while flush and self._unacknowledged_bytes() and time.monotonic() < ends and not self._alarm.rung:
            time.sleep(0.0005)
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.drop()

    def drop(self) -> None:
        self._sock.close()

    def _unacknowledged_bytes(self) -> int:
        try:
            import fcntl
            import termios

            answer = fcntl.ioctl(self._sock, termios.TIOCOUTQ, b"\0" * 4)  # SIOCOUTQ, tcp(7)
        except (ImportError, OSError):
            return 0
        return int.from_bytes(answer, "little")

    def _wait(self, events: int, seconds: float | None = None) -> int:
        """Wait for ``events`` on the socket; what came, 0 when time is up. Stopped at the alarm."""
        poll = select.poll()
        poll.register(self._alarm, select.POLLIN)
        poll.register(self._sock, events)
        came = dict(poll.poll(None if seconds is None else seconds * 1000))
        if self._alarm.fileno() in came:
            raise Stopped
        return came.get(self._sock.fileno(), 0)
