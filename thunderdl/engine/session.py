"""What the downloads of one client share: movers, connections, threads for the disk, the rate limit.

Bound to one running event loop. Events of the movers reach whom they concern from :meth:`_hear`, on the loop.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from thunderdl.options import Options
from thunderdl.sources.http.connect import TlsSettings
from thunderdl.sources.http.mover import Mover, SharedBucket
from thunderdl.sources.http.pool import Pool

MAX_MOVERS = 4
DISK_THREADS = 4
T = TypeVar("T")


class Session:
    """``httpx_settings``: keyword arguments of ``httpx.AsyncClient`` that the user hands in."""

    def __init__(self, options: Options, httpx_settings: Mapping[str, Any]) -> None:
        self.options, self.httpx_settings = options, dict(httpx_settings)
        self.loop = asyncio.get_running_loop()
        self.jitter = random.Random()
        self.bucket = SharedBucket(options.limit)
        context = self.httpx_settings.get("verify")
        self.tls = TlsSettings(
            ca=options.ca, insecure=options.insecure, context=None if isinstance(context, bool | str) else context
        )
        self._woken = False
        count = min(os.cpu_count() or 1, MAX_MOVERS)
        self._movers = [Mover(self._wake, self.bucket) for _ in range(count)]
        self.pool = Pool(self._movers, self.tls, per_host=options.per_host, in_all=options.connections)
        self._disk = ThreadPoolExecutor(DISK_THREADS, "thunderdl-disk")
        self._policies: dict[str | None, Any] = {}

    async def on_disk(self, work: Callable[..., T], *args: object) -> T:
        """Run blocking work on files in a thread of its own."""
        return await self.loop.run_in_executor(self._disk, work, *args)

    def policy(self, proxy: str | None) -> Any:
        """httpx's part, for one proxy; loaded when first needed (its import takes 70 ms)."""
        if proxy not in self._policies:
            from thunderdl.sources.http.policy import Policy

            self._policies[proxy] = Policy(
                context=self.tls.context(), proxy=proxy, cookies=self.options.cookies,
                timeout_s=self.options.timeout, settings=self.httpx_settings,
            )  # fmt: skip
        return self._policies[proxy]

    async def close(self) -> None:
        """End every connection and thread."""
        self.pool.close()
        for mover in self._movers:
            await asyncio.to_thread(mover.stop)
        self._hear()
        for policy in self._policies.values():
            await policy.close()
        self._disk.shutdown(wait=True)

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
