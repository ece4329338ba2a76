"""Threads for blocking calls that nobody can stop, and that nobody should have to wait for.

A ThreadPoolExecutor's threads are joined when the interpreter ends: a download whose last byte was there after 5 s
ended after 20 s, because a connect to a mirror that had gone dark was still waiting for its time to run out
(measured on a link that drops everything). These are daemons: the program ends without them.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class DaemonThreads(Generic[T]):
    """For calls that return a ``T``: at most ``most`` threads called ``name``, made as they are needed."""

    def __init__(self, most: int, name: str) -> None:
        self._most, self._name = most, name
        self._work: queue.SimpleQueue[tuple[Future[T], Callable[[], T]] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = self._idle = 0

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Have ``call`` called in a thread; what it returns or raises is in the future."""
        future: Future[T] = Future()
        self._work.put((future, call))
        with self._lock:
            if self._idle:
                # Spoken for, so that two calls at once do not count on the same idle thread.
                self._idle -= 1
            elif self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
        return future

    def close(self) -> None:
        """Cancel what has not begun, and let the threads end when they are done; waits for none of them."""
        with contextlib.suppress(queue.Empty):
            # Never asked first whether there is one: a thread may take the last, and the wait for another has no end.
            while True:
                if (work := self._work.get_nowait()) is not None:
                    work[0].cancel()
        for _ in range(self._threads):
            self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            future, call = work
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:
                    future.set_exception(error)
            # Nothing of a call outlives it: a socket held here would stay open.
            del work, future, call
            with self._lock:
                self._idle += 1
