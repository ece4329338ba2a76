"""Blocking calls that the stop of the daemon does not wait for.

A loop that ends waits for the threads of ``asyncio.to_thread``: a webhook that gave no answer held the stop up for 8 s,
a large file that was being checked again for as long as its hashing took.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from thunderdl.sources.http.daemons import DaemonThreads

T = TypeVar("T")


async def unwaited(name: str, call: Callable[[], T]) -> T:
    """What ``call`` returns or raises, from a thread of its own called ``name``. Where the wait is cancelled nobody
    waits for the thread: only for what reads and leaves nothing half done."""
    threads: DaemonThreads[T] = DaemonThreads(1, name)
    try:
        return await asyncio.wrap_future(threads.submit(call))
    finally:
        threads.close()
