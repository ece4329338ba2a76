"""One session of downloads from the command line: requests in, results shown, an exit code out.

Ctrl-C and SIGTERM: the first stops cleanly (no new file begins, the running ones keep their journals), the second
ends the process at once. Invariant: the view is closed and the terminal in order before this returns.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar

from thunderdl.cli import exit_codes
from thunderdl.cli.views import View, WatchedTask, WatchedTotals
from thunderdl.errors import Cancelled, UsageError
from thunderdl.model import Result, Status

STOPPED = 130
_R = TypeVar("_R")
_R_contra = TypeVar("_R_contra", contravariant=True)


class Downloads(Protocol[_R_contra]):
    """The client, as far as a session uses it."""

    def run(self, requests: AsyncIterable[_R_contra]) -> AsyncIterator[Result]: ...
    def stop(self) -> None: ...
    def tasks(self) -> Sequence[WatchedTask]: ...
    def totals(self) -> WatchedTotals: ...


class Tally:
    """The worst of the exit codes so far, and whether the user wants to stop."""

    def __init__(self) -> None:
        self.code = 0
        self.stopped = asyncio.Event()
        # Requests that were handed on and have not ended well enough to be done with.
        self.unfinished = 0

    @property
    def stopping(self) -> bool:
        return self.stopped.is_set()

    def count(self, code: int) -> None:
        self.code = exit_codes.worst((self.code, code))

    def bad_line(self, view: View) -> Callable[[UsageError], None]:
        """What an input list calls for a line that is no URL: it is told, it counts, the rest goes on."""

        def note(error: UsageError) -> None:
            view.problem(error)
            self.count(exit_codes.of_error(error))

        return note


async def run_session(
    client: Downloads[_R], requests: Iterable[_R] | AsyncIterable[_R], view: View, tally: Tally
) -> int:
    """Run them all; the exit code of the worst, 130 after a stop. Raises only what is a bug."""
    watching = asyncio.create_task(view.watch(client))
    try:
        with _stop_on_signals(client, view, tally):
            async for result in client.run(_until_stopped(requests, tally)):
                tally.count(exit_codes.of_result(result))
                tally.unfinished -= result.status is not Status.CANCELLED
                view.finished(result)
    finally:
        watching.cancel()
        # Who stops what is only being shared has every file.
        was_cut = tally.stopping and tally.unfinished > 0
        if was_cut:
            view.problem(Cancelled())
        ended = await asyncio.gather(watching, return_exceptions=True)
        view.close()
    fault = ended[0]
    if isinstance(fault, Exception):
        raise fault
    return STOPPED if was_cut else tally.code


async def _until_stopped(requests: Iterable[_R] | AsyncIterable[_R], tally: Tally) -> AsyncIterator[_R]:
    if isinstance(requests, AsyncIterable):
        waiting = aiter(requests)
        while (request := await _next_or_stopped(waiting, tally)) is not None:
            tally.unfinished += 1
            yield request
        tally.unfinished += tally.stopping
        return
    for request in requests:
        tally.unfinished += 1
        if tally.stopping:
            return
        yield request


async def _next_or_stopped(waiting: AsyncIterator[_R], tally: Tally) -> _R | None:
    """The next request; None after the last, and at once when the user stops: a pipe may have nothing for hours."""
    coming, stopped = asyncio.ensure_future(anext(waiting, None)), asyncio.create_task(tally.stopped.wait())
    await asyncio.wait((coming, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if tally.stopping:
        coming.cancel()
        return None
    return coming.result()


def _stop_on_signals(client: Downloads[_R], view: View, tally: Tally) -> AbstractContextManager[None]:
    def stop() -> None:
        tally.stopped.set()
        client.stop()

    def leave() -> None:
        view.close()
        os._exit(STOPPED)

    return stopping_on_signals(stop, leave)


@contextmanager
def stopping_on_signals(stop: Callable[[], None], leave: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM call ``stop`` the first time, ``leave`` from then on: whoever asks twice does not want to
    wait; the journal is written so that this is safe."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    was_asked = False

    def asked() -> None:
        nonlocal was_asked
        (leave if was_asked else stop)()
        was_asked = True

    for each in signals:
        loop.add_signal_handler(each, asked)
    try:
        yield
    finally:
        for each in signals:
            loop.remove_signal_handler(each)
