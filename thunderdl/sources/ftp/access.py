"""``ftp:``, ``ftps:`` and ``ftpes:`` URLs (RFC 1738 section 3.2): which file of which server, as whom."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import Future
from dataclasses import replace
from urllib.parse import quote, unquote_to_bytes

from thunderdl.errors import InvalidUrl
from thunderdl.formats.links import taken_apart
from thunderdl.sources.answering import PlainRequest
from thunderdl.sources.base import Ground
from thunderdl.sources.ftp.carrier import FtpCarrier
from thunderdl.sources.ftp.control import Features
from thunderdl.sources.ftp.serving import Server, Way, log_in
from thunderdl.sources.http.daemons import DaemonThreads
from thunderdl.sources.http.wire import DEFAULT_PORTS, Address, Endpoint, parse_url

# ftps: TLS from the first byte on, as curl and lftp mean it; ftpes: TLS by AUTH, as FileZilla and WinSCP write it.
SCHEMES = ("ftp", "ftps", "ftpes")
_PORTS = {scheme: DEFAULT_PORTS[scheme] for scheme in SCHEMES}
_TYPE = re.compile(r";type=([a-z])$", re.IGNORECASE)
_LINE_ENDS = re.compile(rb"[\r\n\0]")
_THREADS = 32


class Ftp:
    """The :class:`thunderdl.sources.base.Access` for them."""

    takes_proxy = True
    runs_on = True

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._log_ins = DaemonThreads[Server](_THREADS, "thunderdl-ftp-login")
        self._threads = DaemonThreads[None](_THREADS, "thunderdl-ftp")
        # Logins that have worked, and what was learnt then: one that is refused is one too many, not wrong.
        self._known: dict[Endpoint, Features] = {}

    def address(self, url: str) -> Address:
        address = self.folder(url)
        if address.target.endswith("/"):
            raise InvalidUrl(url, "it names a folder; name one file in it, or use thunderdl mirror")
        return address

    def folder(self, url: str) -> Address:
        found = parse_url(url, ports=_PORTS)
        path = taken_apart(url)[1] or "/"
        if kind := _TYPE.search(path):
            if kind[1].lower() != "i":
                raise InvalidUrl(url, f"files come as they are here; leave ;type={kind[1]} away")
            path = path[: kind.start()]
        raw = unquote_to_bytes(path.encode("utf-8", "surrogateescape"))
        login = f"{found.user or ''}{found.password}".encode("utf-8", "surrogateescape")
        if _LINE_ENDS.search(raw) or _LINE_ENDS.search(login):
            # A line end in a name is a command of its own on the wire.
            raise InvalidUrl(url, "it holds a line end")
        return replace(found, target=quote(raw))

    def request(self, address: Address) -> PlainRequest:
        return PlainRequest(address)

    async def connect(self, endpoint: Endpoint, timeout_s: float) -> FtpCarrier:
        known = self._known.get(endpoint)
        way = Way(self._ground.tls, self._ground.reach)
        making = self._log_ins.submit(lambda: log_in(endpoint, way, timeout_s, known))
        try:
            server = await asyncio.wrap_future(making)
        except asyncio.CancelledError:
            making.add_done_callback(_close_unwanted)
            raise
        self._known.setdefault(endpoint, server.features)
        return FtpCarrier(server, self._ground, self._threads)

    async def close(self) -> None:
        self._log_ins.close()
        self._threads.close()


def _close_unwanted(made: Future[Server]) -> None:
    if not made.cancelled() and made.exception() is None:
        made.result().control.close()
