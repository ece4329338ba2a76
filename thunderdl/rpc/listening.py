"""Where the daemon listens: addresses as typed to open sockets, or those that systemd has opened for it.

Of systemd's interface two variables and one datagram are needed (sd_listen_fds(3), sd_notify(3)): no library.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import re
import socket
from collections.abc import Iterable, MutableMapping
from typing import NamedTuple

from thunderdl.errors import UsageError, printable

# aria2's port: who has a client of aria2's finds the daemon there.
PORT = 6800
_FIRST_FD = 3
_BACKLOG = 512
_REASONS = {
    errno.EADDRINUSE: "another program listens there (another daemon, or aria2?); stop it, or choose another port with "
    "--listen",
    errno.EADDRNOTAVAIL: "this machine has no such address; choose another one with --listen",
    errno.EACCES: "only root may listen there; choose a port from 1024 with --listen",
}


class Place(NamedTuple):
    """``host``: an address, without brackets; ``port``: 0 for any that is free."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        return ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


LOOPBACK = Place("127.0.0.1", PORT)


def parse_place(text: str) -> Place:
    """``HOST:PORT``, ``HOST``, ``:PORT``, ``[::1]:PORT``; localhost is 127.0.0.1, other names are none: what they lead
    to would not be seen. Raises UsageError."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]*))(?::([0-9]{1,5}))?", text.strip(), re.ASCII)
    bare = re.fullmatch(r"[0-9A-Fa-f:.]*::?[0-9A-Fa-f:.]*", text.strip()) if match is None else None
    host, port = (text.strip(), PORT) if bare else (match[1] or match[2], int(match[3] or PORT)) if match else ("?", 0)
    try:
        address = ipaddress.ip_address({"": LOOPBACK.host, "localhost": LOOPBACK.host}.get(host, host))
    except ValueError:
        address = None
    if address is None or port > 65535:
        raise UsageError(
            f"--listen {printable(text)[:80]!r}: not an address; write HOST:PORT, as 127.0.0.1:6800, 0.0.0.0:6800 or "
            "[::1]:6800."
        )
    return Place(str(address), port)


def opened(places: Iterable[Place]) -> list[socket.socket]:
    """A socket that listens at each. Raises UsageError where one cannot be had; none is open then."""
    found: list[socket.socket] = []
    try:
        for place in places:
            found.append(_opened(place))
    except BaseException:
        for each in found:
            each.close()
        raise
    return found


def _opened(place: Place) -> socket.socket:
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    # Of a socket that says that it is TCP asyncio turns Nagle's wait off: without, each answer takes 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # [::] is IPv6 alone: what 0.0.0.0 means stays with who asks for that.
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((place.host, place.port))
        listening.listen(_BACKLOG)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        reason = _REASONS.get(error.errno or 0, (error.strerror or str(error)).lower())
        raise UsageError(f"{place}: {reason}.") from error
    return listening


def place_of(listening: socket.socket) -> Place | None:
    """Where a socket listens; None for one that has no address (a path: only who may open that is heard)."""
    if listening.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    host, port = listening.getsockname()[:2]
    return Place(str(host).partition("%")[0], int(port))


def from_systemd(environment: MutableMapping[str, str], own_pid: int) -> list[socket.socket]:
    """The sockets that systemd has opened for this process, and the variables taken away; none where it has not.
    Raises UsageError where they are none that can be listened at."""
    count, pid = environment.pop("LISTEN_FDS", ""), environment.pop("LISTEN_PID", "")
    environment.pop("LISTEN_FDNAMES", None)
    if not count.isdecimal() or pid != str(own_pid):
        return []
    return [_taken(fd) for fd in range(_FIRST_FD, _FIRST_FD + int(count))]


def _taken(fd: int) -> socket.socket:
    try:
        os.set_inheritable(fd, False)
        listening = socket.socket(fileno=fd)
    except OSError as error:
        raise UsageError(f"LISTEN_FDS: {fd} is no open socket ({(error.strerror or str(error)).lower()}).") from error
    if listening.type != socket.SOCK_STREAM:
        listening.close()
        raise UsageError(f"LISTEN_FDS: {fd} is no stream socket; write ListenStream= in the .socket unit.")
    listening.setblocking(False)
    return listening


def tell_systemd(told: str, environment: MutableMapping[str, str]) -> None:
    """``READY=1`` or ``STOPPING=1`` to who started this service with Type=notify; nothing where nobody waits for it."""
    path = environment.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
        line.sendto(told.encode(), "\0" + path[1:] if path.startswith("@") else path)
