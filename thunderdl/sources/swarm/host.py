"""libtorrent at work: one session for all torrents of a program, its alerts on the event loop.

Calls that libtorrent answers at once are made here; those that wait for its own thread are made in a thread of ours
(a synchronous ``status()`` waits while its network thread works). Alerts come through a socket that the loop watches
(``set_alert_notify`` would call Python from libtorrent's thread).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import re
import socket
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

import libtorrent as lt

from thunderdl.errors import ThunderdlError, UsageError, printable
from thunderdl.sources.swarm.places import Places
from thunderdl.sources.swarm.settings import DEFAULT_PORTS, MOST_BYTES_PER_S, SwarmSettings, settings_pack

Hear = Callable[[object], None]
T = TypeVar("T")
END_S = 0.2
AHEAD_S = 0.3
BLOCK_BYTES = 16 * 1024
MIN_ASKED, MAX_ASKED = 32, 500
# Of libtorrent: what add_torrent says where the session has one of that info hash.
_DUPLICATE = "[libtorrent:19]"
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)
# How often a limit is given out. libtorrent has a peer wait until it may receive all that it was asked for, at most for
# 20 turns: with 500 ms of its own, 100 ms, 20 ms a limit of 4 MB/s came in lumps of up to 9, 5 and 1.6 MB.
TURN_MS, LIMITED_TURN_MS = 500, 20


class SwarmFault(ThunderdlError):
    """What libtorrent could not do. The message is a sentence."""

    exit_code = 4


def _end(session: lt.session) -> None:
    """The destructor waits for what is under way: in a thread that may be left behind."""
    session.pause()


class Host:
    """One libtorrent session. Lives on the event loop that is running when it is made; end it with :meth:`close`."""

    def __init__(self, settings: SwarmSettings) -> None:
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(2, "thunderdl-swarm")
        self._reading, self._writing = socket.socketpair()
        self._reading.setblocking(False)
        self._writing.setblocking(False)
        self._utp, self._pex, self._adding, self._closed = settings.utp, settings.pex, 0, False
        self._hearers: list[tuple[lt.torrent_handle, Hear]] = []
        self._places = Places()
        self._asked = MAX_ASKED
        self._limited: set[lt.torrent_handle] = set()
        self.listen_errors: list[str] = []
        self.session: lt.session = lt.session(cast(Any, settings_pack(settings)))
        self.session.set_peer_class_filter(_limits_for_all())
        self.session.set_alert_fd(self._writing.fileno())
        self._loop.add_reader(self._reading.fileno(), self._drain)

    async def call(self, work: Callable[..., T], *args: object) -> T:
        """Make a call that waits for libtorrent's thread."""
        return await self._loop.run_in_executor(self._threads, work, *args)

    async def add(self, params: lt.add_torrent_params, hear: Hear, holder: Hashable | None = None) -> lt.torrent_handle:
        """Add a torrent, whose alerts ``hear`` is told. ``holder``: whose it is from here until :meth:`leave`, be it
        removed and added again by it meanwhile; without one it is free again once it is removed. Raises SwarmFault
        where it is another's, or cannot be started. Who is cancelled meanwhile has added nothing.
        """
        if not self._places.take(_info_hashes(params), hear if holder is None else holder):
            raise _under_way(params)
        if not self._pex:
            params.flags |= lt.torrent_flags.disable_pex
        # Its first alerts may come before it is known here whose they are.
        self._adding += 1
        # One torrent twice would be one handle for two: whoever leaves first takes it from the other.
        params.flags |= lt.torrent_flags.duplicate_is_error
        adding = asyncio.ensure_future(self.call(self.session.add_torrent, params))
        try:
            handle: lt.torrent_handle = await asyncio.shield(adding)
            self._hearers.append((handle, hear))
            self._note_limit(handle, params.download_limit)
            return handle
        except RuntimeError as error:
            self._places.leave(hear)
            said = str(error).partition(" [")[0]
            if _DUPLICATE in str(error):
                raise _under_way(params) from None
            raise SwarmFault(f"the torrent cannot be started: {said}.") from None
        except asyncio.CancelledError:
            await asyncio.shield(self._take_back(adding, hear))
            raise
        finally:
            self._adding -= 1
            # Not at once: whoever waits for the handle has it before he hears of a piece. (Pieces assigned in answer to
            # one that came that early were forgotten, and never came.)
            self._loop.call_soon(self._drain)

    async def _take_back(self, adding: asyncio.Future[lt.torrent_handle], hear: Hear) -> None:
        """The thread adds it all the same, and who would have removed it never has its handle."""
        try:
            with contextlib.suppress(RuntimeError):
                handle = await adding
                if not self._closed:
                    await self.call(self.session.remove_torrent, handle)
        finally:
            self._places.leave(hear)

    async def remove(self, handle: lt.torrent_handle) -> None:
        """Stop a torrent and forget it; its files stay."""
        hearers = [hear for known, hear in self._hearers if known == handle]
        self._hearers = [each for each in self._hearers if each[0] != handle]
        self._note_limit(handle, 0)
        try:
            await self.call(self.session.remove_torrent, handle)
        finally:
            for hear in hearers:
                self._places.leave(hear)

    def leave(self, holder: Hashable) -> None:
        """It adds none of its torrents again: others may have them."""
        self._places.leave(holder)

    def pass_on(self, holder: Hashable, to: Hashable) -> None:
        """Its torrents are ``to``'s from now on."""
        self._places.pass_on(holder, to)

    def ask_ahead(self, peer_bytes_per_s: float) -> None:
        """Have each peer asked for no more ahead than it brings in :data:`AHEAD_S` at this rate, the mean of theirs.

        Blocks that all are asked for already libtorrent asks others for, too (end-game): with its second of queue and
        the 0.6 s of pieces that it is given, 3 % came twice.
        """
        blocks = min(MAX_ASKED, max(MIN_ASKED, round(peer_bytes_per_s * AHEAD_S / BLOCK_BYTES)))
        if not 0.75 < blocks / self._asked < 1.33:
            self._asked = blocks
            self.session.apply_settings({"max_out_request_queue": blocks})

    def limit(self, handle: lt.torrent_handle, bytes_per_s: int) -> None:
        """Let no more than this come for a torrent from now on; 0 for no limit."""
        handle.set_download_limit(bytes_per_s or -1)
        self._note_limit(handle, bytes_per_s)

    def _note_limit(self, handle: lt.torrent_handle, bytes_per_s: int) -> None:
        was_limited = bool(self._limited)
        if bytes_per_s > 0:
            self._limited.add(handle)
        else:
            self._limited.discard(handle)
        if was_limited != bool(self._limited):
            self.session.apply_settings({"tick_interval": LIMITED_TURN_MS if self._limited else TURN_MS})

    def reach_further(self) -> None:
        """Try peers over uTP, too, where TCP found nobody."""
        if self._utp:
            self._utp = False
            self.session.apply_settings({"enable_outgoing_utp": True})

    def limit_uploads(self, bytes_per_s: int | None) -> None:
        """Send no more than this over all torrents from now on; None for no limit."""
        self.session.apply_settings({"upload_rate_limit": min(bytes_per_s or 0, MOST_BYTES_PER_S)})

    def port(self) -> int:
        """Where peers may connect to."""
        return int(self.session.listen_port())

    async def close(self) -> None:
        """End the session. Trackers were told as each torrent was removed; nobody waits for their answers."""
        self._loop.remove_reader(self._reading.fileno())
        self._closed = True
        ending = threading.Thread(target=_end, args=[self.session], name="thunderdl-swarm-end", daemon=True)
        del self.session
        ending.start()
        await asyncio.to_thread(ending.join, END_S)
        await asyncio.to_thread(self._threads.shutdown)
        self._reading.close()
        self._writing.close()

    def _drain(self) -> None:
        if self._closed:
            return
        with contextlib.suppress(BlockingIOError):
            while len(self._reading.recv(4096)) == 4096:
                pass
        if self._adding:
            return
        for alert in self.session.pop_alerts():
            if isinstance(alert, lt.listen_failed_alert):
                self.listen_errors.append(f"{alert.address}:{alert.port}: {alert.error.message()}")
            handle = getattr(alert, "handle", None)
            if handle is None:
                continue
            for known, hear in self._hearers:
                if known == handle:
                    hear(alert)
                    break


def _info_hashes(params: lt.add_torrent_params) -> tuple[str, ...]:
    named = params.ti.info_hashes() if params.ti is not None else params.info_hashes
    return (*([str(named.v1)] if named.has_v1() else []), *([str(named.v2)] if named.has_v2() else []))


def _under_way(params: lt.add_torrent_params) -> SwarmFault:
    return SwarmFault(f"{_called(params)}: its torrent is under way here already; name it once, or remove the other.")


def _called(params: lt.add_torrent_params) -> str:
    """A torrent, as the user knows it: of one file that is called otherwise here, the name here."""
    here = list(params.renamed_files.values())
    own = params.ti.name() if params.ti is not None else params.name
    return printable(here[0].removesuffix(".part") if len(here) == 1 else own)


def _limits_for_all() -> lt.ip_filter:
    """By itself libtorrent limits nobody on the local network (``init_peer_class_filter``); here a limit is one."""
    classes = 1 << lt.session.global_peer_class_id
    everybody = lt.ip_filter()
    everybody.add_rule("0.0.0.0", "255.255.255.255", classes)
    everybody.add_rule("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", classes)
    return everybody


def free_listen(port: int | None, address: str = "", *, interface: str | None = None) -> str:
    """Interfaces to listen on: those of ``address`` (all where empty), or the ``interface`` alone (its name, or an
    address), at ``port``, or at the first free one of the usual ones. Raises UsageError where ``port`` was named and is
    taken."""
    if interface and re.fullmatch(r"[0-9.]+|.*:.*", interface):
        address = f"[{interface}]" if ":" in interface else interface
    elif interface:
        # libtorrent finds the addresses of a device; whether a port is free there it sees itself.
        return f"{interface}:{port or DEFAULT_PORTS[0]}"
    ports = [port] if port else [*DEFAULT_PORTS, 0]
    for each in ports:
        hosts = [address] if address else ["0.0.0.0", "[::]"]
        if each == 0 or all(_is_free(host, each) for host in hosts):
            return ",".join(f"{host}:{each}" for host in hosts)
    raise UsageError(f"port {port} is in use or not allowed; choose another with --port.")


def _is_free(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            with socket.socket(family, kind) as trial:
                if kind == socket.SOCK_STREAM:
                    trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    # As libtorrent does: IPv4 has a socket of its own.
                    trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                trial.bind((address.strip("[]"), port))
        except OSError as error:
            # A machine without IPv6 has nobody on it who could take the port.
            return family == socket.AF_INET6 and error.errno in _NO_IPV6
    return True
