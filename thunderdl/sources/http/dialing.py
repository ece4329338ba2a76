"""TCP to a host: which addresses, in which order, from where; the first that answers is taken (RFC 8305).

Blocking, for the threads that make connections. It knows nothing of proxies or TLS.
"""

from __future__ import annotations

import errno
import ipaddress
import selectors
import socket
import sys
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from thunderdl.core.inward import is_inward
from thunderdl.errors import UsageError, printable
from thunderdl.reach import IpVersion, Resolve

# RFC 8305 section 5: the next address is tried beside one that has been silent for so long.
NEXT_ATTEMPT_S = 0.25
_ON_LINUX: bool = sys.platform == "linux"
# <netinet/in.h> and <netinet6/in6.h> of macOS.
_IP_BOUND_IF, _IPV6_BOUND_IF = 25, 125
_FAMILIES = {IpVersion.ANY: socket.AF_UNSPEC, IpVersion.V4: socket.AF_INET, IpVersion.V6: socket.AF_INET6}
_KIND_OF_ADDRESS = {4: socket.AF_INET, 6: socket.AF_INET6}
Place = tuple[socket.AddressFamily, Any]


class LeadsInward(OSError):
    """Every address of a host that may be on the internet alone is an inward one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """``resolve``: addresses in place of DNS; ``interface``: interface, or address of ours, to leave by."""

    resolve: tuple[Resolve, ...] = ()
    interface: str | None = None
    ip_version: IpVersion = IpVersion.ANY

    @property
    def source_address(self) -> str | None:
        """The address to connect from, where the interface is named by one."""
        return self.interface if self.interface and _version(self.interface) else None

    def places(self, host: str, port: int) -> list[Place]:
        """Where ``host`` is, in the order to try. Raises OSError where it is nowhere."""
        family = _FAMILIES[self.ip_version]
        if (source := self.source_address) is not None:
            family = _KIND_OF_ADDRESS[_version(source) or 4]
        names = next((each.addresses for each in self.resolve if _is_meant(each, host, port)), (host,))
        found: list[Place] = []
        for name in names:
            if (version := _version(name)) and family not in (socket.AF_UNSPEC, _KIND_OF_ADDRESS[version]):
                continue
            try:
                found += [(each[0], each[4]) for each in socket.getaddrinfo(name, port, family, socket.SOCK_STREAM)]
            except UnicodeError:
                # A label that is empty or longer than 63 letters; Python looks before any resolver is asked.
                raise socket.gaierror(socket.EAI_NONAME, "no name of a host") from None
        if not found:
            raise OSError(errno.EADDRNOTAVAIL, "it has no address of that kind")
        return list(_alternating(dict.fromkeys(found)))


def _is_meant(given: Resolve, host: str, port: int) -> bool:
    return given.host in ("*", host) and given.port in (None, port)


def _version(text: str) -> int | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0]).version
    except ValueError:
        return None


def _alternating(places: Iterable[Place]) -> Iterable[Place]:
    """RFC 8305 section 4: the kind that the system prefers first, then in turns."""
    by_kind: dict[socket.AddressFamily, deque[Place]] = {}
    for place in places:
        by_kind.setdefault(place[0], deque()).append(place)
    while by_kind:
        for kind in list(by_kind):
            yield by_kind[kind].popleft()
            if not by_kind[kind]:
                del by_kind[kind]


def dial(host: str, port: int, reach: Reach, timeout_s: float, *, outside: bool = False) -> socket.socket:
    """A connected socket that waits for ``timeout_s`` at most. ``outside``: to an address of the internet alone.
    Raises OSError, LeadsInward; UsageError for a wrong interface."""
    places = reach.places(host, port)
    if outside:
        # The very addresses that are connected to next: no other look-up comes between.
        places = [place for place in places if not is_inward(str(place[1][0]))]
        if not places:
            raise LeadsInward(errno.EACCES, host)
    sock = _race(deque(places), reach, time.monotonic() + timeout_s)
    sock.settimeout(timeout_s)
    return sock


def _race(places: deque[Place], reach: Reach, ends: float) -> socket.socket:
    errors: list[OSError] = []
    attempts: set[socket.socket] = set()
    next_at = 0.0
    with selectors.DefaultSelector() as selector:
        try:
            while places or attempts:
                now = time.monotonic()
                if now >= ends:
                    raise TimeoutError
                if places and (now >= next_at or not attempts):
                    next_at = now + NEXT_ATTEMPT_S
                    _begin(places.popleft(), reach, selector, attempts, errors)
                    continue
                for key, _ in selector.select((min(ends, next_at) if places else ends) - now):
                    sock = key.fileobj
                    assert isinstance(sock, socket.socket)
                    selector.unregister(sock)
                    attempts.discard(sock)
                    if (code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) == 0:
                        return sock
                    sock.close()
                    errors.append(OSError(code, _told(code)))
                    next_at = 0.0
        finally:
            for loser in attempts:
                loser.close()
    raise errors[0]


def _begin(
    place: Place, reach: Reach, selector: selectors.BaseSelector, attempts: set[socket.socket], errors: list[OSError]
) -> None:
    sock = socket.socket(place[0], socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        _leave_by(sock, place[0], reach)
        code = sock.connect_ex(place[1])
        if code not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
            raise OSError(code, _told(code))
    except OSError as error:
        sock.close()
        errors.append(error)
        return
    except BaseException:
        sock.close()
        raise
    attempts.add(sock)
    selector.register(sock, selectors.EVENT_WRITE)


def _told(code: int) -> str:
    import os

    return os.strerror(code)


def _leave_by(sock: socket.socket, family: socket.AddressFamily, reach: Reach) -> None:
    if reach.interface is None:
        return
    try:
        if (source := reach.source_address) is not None:
            sock.bind((source, 0))
        elif _ON_LINUX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, reach.interface.encode())
        else:
            level, name = (41, _IPV6_BOUND_IF) if family == socket.AF_INET6 else (0, _IP_BOUND_IF)
            sock.setsockopt(level, name, socket.if_nametoindex(reach.interface))
    except OSError as error:
        # Never by another way in silence: who names a VPN's interface means that one.
        advice = "; name its address instead" if error.errno == errno.EPERM else ""
        raise UsageError(f"--interface {printable(reach.interface)}: {error.strerror}{advice}.") from None
