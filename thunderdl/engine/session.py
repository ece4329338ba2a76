"""What the downloads of one client share: movers, connections, threads for the disk, the rate limit.

Bound to one running event loop. Events of the movers reach whom they concern from :meth:`_hear`, on the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import ssl
import time
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from thunderdl.engine.access import Access
from thunderdl.engine.documents import Shelf
from thunderdl.engine.pacing import Keeper, Pacing
from thunderdl.engine.sharing import Sharing
from thunderdl.errors import StorageError, printable
from thunderdl.options import Options
from thunderdl.sources.http.connect import Certificate, TlsSettings, Wire, check_proxy
from thunderdl.sources.http.dialing import Reach
from thunderdl.sources.http.mover import Mover
from thunderdl.sources.http.pool import Pool
from thunderdl.sources.http.wire import Address, Endpoint
from thunderdl.storage.files import sync_folder

if TYPE_CHECKING:
    from thunderdl.engine.tracing import Trace
    from thunderdl.sources.base import Access as Protocol
    from thunderdl.sources.registry import Registry
    from thunderdl.sources.swarm.host import Host
    from thunderdl.timetable import Timetable

_WEB = ("http", "https")
MAX_MOVERS = 4
DISK_THREADS = 4
# A small file's write and sync that takes longer than this would hold up the loop.
SLOW_DISK_S = 0.002
T = TypeVar("T")


class Session:
    """``httpx_settings``: keyword arguments of ``httpx.AsyncClient`` that the user hands in."""

    def __init__(self, options: Options, httpx_settings: Mapping[str, Any]) -> None:
        self.options, self.httpx_settings = options, dict(httpx_settings)
        # First, since it may be refused: nothing else has begun then.
        self.trace = _trace_of(options)
        self.loop = asyncio.get_running_loop()
        self.jitter = random.Random()
        self.pacing = Pacing(options.limit)
        certificate = Certificate(options.cert, options.cert_key, options.cert_password) if options.cert else None
        self.tls = TlsSettings(
            ca=options.ca, insecure=options.insecure, make=self._own_context, certificate=certificate
        )
        self.access = Access(options, self.tls.shown_to)
        self._woken = False
        self._disk_s = 0.0
        self.unsynced_folders: set[str] = set()
        self.proxies: dict[tuple[Endpoint, bool], str | None] = {}
        count = min(os.cpu_count() or 1, MAX_MOVERS)
        self._movers = [Mover(self._wake) for _ in range(count)]
        self._registry: Registry | None = None
        self._reach = Reach(resolve=options.resolve, interface=options.interface, ip_version=options.ip_version)
        self.pool = Pool(
            self._movers, self.tls, per_host=options.per_host, in_all=options.connections, reach=self._reach,
            access=self.protocol,
        )  # fmt: skip
        if options.http2:
            from thunderdl.sources.http2.access import Http2

            self.pool.http2 = Http2(self.pool.dial, self.on_disk)
        self.sharing = Sharing(self.pool, in_all=options.connections)
        self._disk = ThreadPoolExecutor(DISK_THREADS, "thunderdl-disk")
        self._policies: dict[object, Any] = {}
        self._swarm: Host | None = None
        self.shelf = Shelf()
        self._upload_limit = options.upload_limit
        self._uploads: Keeper | None = None

    def _own_context(self) -> ssl.SSLContext | None:
        """The TLS context that the user's settings ask for, None where they say nothing of it."""
        if not {"verify", "cert"} & self.httpx_settings.keys():
            return None
        from thunderdl.sources.http.policy import context_of

        return context_of(self.httpx_settings)

    @property
    def own_proxy(self) -> str | None:
        """The proxy that the user's settings name."""
        proxy = self.httpx_settings.get("proxy")
        return str(getattr(proxy, "url", proxy)) if proxy else None

    async def on_disk(self, work: Callable[..., T], *args: object) -> T:
        """Run blocking work on files in a thread of its own."""
        return await self.loop.run_in_executor(self._disk, work, *args)

    def begin_on_disk(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """The same where nobody stands and waits for it."""
        return self.loop.run_in_executor(self._disk, work)

    async def opened(self, let_go: Callable[[T], object], work: Callable[..., T], *args: object) -> T:
        """What ``work`` opens, in a thread of its own. Where the wait is cancelled, however often, ``let_go`` is called
        with it: the thread cannot be stopped, and what it locks would be in the way of who begins again at once."""
        opening = self.loop.run_in_executor(self._disk, work, *args)
        try:
            return await seen_through(opening)
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                let_go(opening.result())
            raise

    async def to_its_end(self, work: Callable[..., T], *args: object) -> T:
        """:meth:`on_disk`, waited for where the wait is cancelled, too: what it makes would come after who clears away
        what is there."""
        return await self.opened(lambda _: None, work, *args)

    async def on_quick_disk(self, work: Callable[..., T], *args: object) -> T:
        """Run short work on files: right here while the disk is quick, in a thread where it is not.

        Measured with 20,000 files of 50 KB on tmpfs: 11.7 s through threads (six of them wrestle for the GIL at
        each system call), 6.6 s in place.
        """
        if self._disk_s > SLOW_DISK_S:
            # Look again now and then whether it has become quick.
            self._disk_s *= 0.99
            return await self.to_its_end(work, *args)
        began = time.perf_counter()
        try:
            return work(*args)
        finally:
            self._disk_s += (time.perf_counter() - began - self._disk_s) / 4

    def protocol(self, scheme: str) -> Protocol | None:
        """Who speaks a protocol that is not the web's; None for the web's, and for what nobody speaks."""
        if scheme in _WEB:
            return None
        if self._registry is None:
            from thunderdl.sources.base import Ground
            from thunderdl.sources.registry import Registry

            ground = Ground(
                options=self.options, tls=self.tls, reach=self._reach, least_busy=self.pool.least_busy,
                on_disk=self.on_disk,
            )  # fmt: skip
            self._registry = Registry(ground)
        return self._registry.access(scheme)

    def policy(self, by: object, proxy_for: Callable[[Address], str | None]) -> Any:
        """httpx's part, for one choice ``by`` of proxies; loaded when first needed (its import takes 70 ms)."""
        if by not in self._policies:
            from thunderdl.sources.http.policy import Policy
            from thunderdl.sources.http.transport import OwnTransport

            self._policies[by] = Policy(
                transport=OwnTransport(self._connect, proxy_for), cookies=self.access.jar,
                timeout_s=self.options.timeout, settings=self.httpx_settings,
            )  # fmt: skip
        return self._policies[by]

    async def _connect(self, address: Address) -> Wire:
        return await self.pool.dial(address.endpoint, self.options.timeout)

    async def swarm(self) -> Host:
        """libtorrent's session; made when first needed. Raises UsageError where its port is taken."""
        if self._swarm is None:
            from thunderdl.sources.swarm.host import Host, free_listen
            from thunderdl.sources.swarm.settings import SwarmSettings

            options = self.options
            proxy = options.proxy or self.own_proxy
            if proxy:
                check_proxy(proxy)
            chosen = SwarmSettings(
                listen=free_listen(options.port or None, interface=options.interface), interface=options.interface,
                user_agent=options.user_agent, dht=options.dht,
                lsd=options.lsd, pex=options.pex, utp=options.utp, encryption=options.encryption.value,
                proxy=proxy,
            )  # fmt: skip
            self._swarm = Host(chosen)
            self._uploads = Keeper(self._swarm.limit_uploads)
            self._uploads.keep(self._upload_limit)
        return self._swarm

    def leave_swarm(self, holder: Hashable) -> None:
        """Torrents that are ``holder``'s are free for others."""
        if self._swarm is not None:
            self._swarm.leave(holder)

    def pass_on_swarm(self, holder: Hashable, to: Hashable) -> None:
        """Torrents that are ``holder``'s are ``to``'s."""
        if self._swarm is not None:
            self._swarm.pass_on(holder, to)

    def change_upload_limit(self, limit: int | Timetable | None) -> None:
        """Another limit of what peers have from us, over all torrents, from now on."""
        self._upload_limit = limit
        if self._uploads is not None:
            self._uploads.keep(limit)

    def change(self, options: Options) -> None:
        """Other options, of which the limits and the numbers of connections hold for all from now on."""
        before, self.options = self.options, options
        if options.limit != before.limit:
            self.pacing.change(options.limit)
        if options.upload_limit != before.upload_limit:
            self.change_upload_limit(options.upload_limit)
        if (options.per_host, options.connections) != (before.per_host, before.connections):
            self.pool.change(per_host=options.per_host, in_all=options.connections)
            self.sharing.change(options.connections)

    async def write_trace(self, notes: list[str]) -> None:
        """Have all that was recorded so far in the trace, or note that it is not complete."""
        if self.trace is not None:
            await self.on_disk(self.trace.flush)
            if self.trace.fault:
                notes.append(f"the trace {printable(self.trace.path)} is not complete: {self.trace.fault}")

    async def close(self) -> None:
        """End every connection and thread."""
        self.shelf.close()
        self.pacing.close()
        if self._uploads is not None:
            self._uploads.close()
        if self._swarm is not None:
            await self._swarm.close()
        self.pool.close()
        if self._registry is not None:
            await self._registry.close()
        for mover in self._movers:
            await asyncio.to_thread(mover.stop)
        self._hear()
        for policy in self._policies.values():
            await policy.close()
        for folder in self.unsynced_folders:
            # Once for all small files of a folder: their names are then there after a power loss, too.
            with contextlib.suppress(StorageError):
                await self.on_disk(sync_folder, folder)
        self._disk.shutdown(wait=True)
        if self.trace is not None:
            self.trace.close()

    def _wake(self) -> None:
        """Called in a mover's thread: have the loop listen, once for any number of events."""
        if not self._woken:
            self._woken = True
            try:
                self.loop.call_soon_threadsafe(self._hear)
            except RuntimeError:
                # The loop is gone: nobody is left to hear.
                return

    def _hear(self) -> None:
        self._woken = False
        for mover in self._movers:
            events = mover.events()
            while events:
                notify, event = events.popleft()
                notify(event)


async def seen_through(work: asyncio.Future[T]) -> T:
    """What ``work`` brings, waited for however often the wait is cancelled; that it was is told when the work is done.

    A second cancellation (a client that ends while its download is being stopped) ends no more than the first: nobody
    else would close what comes.
    """
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([work])
        raise


def _trace_of(options: Options) -> Trace | None:
    if options.trace is None:
        return None
    from thunderdl.engine.tracing import Trace

    return Trace(options.trace)
