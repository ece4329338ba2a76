"""A carrier whose work is one task: it carries one transfer after another, in the order they were asked.

What it is carried by, and how orders reach that, each kind of it says; the queue and what is told are the same.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

from thunderdl.errors import ConnectionLost, InternalError, NotFound, ThunderdlError, foreseen
from thunderdl.sources.http.events import Broke, Event, Finished
from thunderdl.sources.http.transfer import Transfer


class NotTaken(ConnectionLost):
    """The server has done nothing for the request, and would on another connection."""


class QueueCarrier:
    """Most of a :class:`thunderdl.sources.base.Carrier`. ``_carry``, ``_shut``, ``proceed``, ``lower`` and ``close``
    are for who is made of it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Transfer] = deque()
        self._task: asyncio.Task[None] | None = None
        self._asked = asyncio.Event()
        # Why it is to end; None while it goes on.
        self._closing: ThunderdlError | None = None
        self._served = 0
        self._is_under_way = False
        self.is_closed = False

    def ask(self, transfer: Transfer) -> None:
        if self.is_closed:
            self._tell(Broke(transfer, ConnectionLost("", "closed while idle"), stale=True))
            return
        # Behind another one, the time to the first byte would say nothing of the path.
        transfer.asked_at = 0.0 if self._queue else time.monotonic()
        self._queue.append(transfer)
        self._asked.set()
        if self._task is None:
            self._task = self._loop.create_task(self._carry_all())

    # -- what each kind does in its own way

    async def _carry(self, transfer: Transfer) -> None:
        """Bring the transfer to its end, which :meth:`_finish` tells. Raises what ends the connection: a
        ThunderdlError, or the OSError of a file that is written."""
        raise NotImplementedError

    async def _rest(self) -> bool:
        """Nothing is asked just now: whether to look again. May wait for ``_asked``."""
        return False

    def _shut(self) -> None:
        """The connection is at its end."""
        raise NotImplementedError

    # -- the task

    def _interrupt(self) -> None:
        """Have the task see that it is to end. One that has not begun sees it by itself: cancelled before its first
        step it would never come to tell anybody, and who asked would wait for ever."""
        if self._task is not None and self._is_under_way:
            self._task.cancel()

    async def _carry_all(self) -> None:
        error: ThunderdlError | OSError | None = None
        self._is_under_way = True
        try:
            while self._closing is None:
                self._asked.clear()
                if self._queue:
                    await self._carry_first()
                elif not await self._rest():
                    break
        except asyncio.CancelledError:
            # Ours, from close(); or the loop ends, and nobody hears.
            error = self._closing or ConnectionLost("", "the program ends")
        except OSError as fault:
            error = fault
        except Exception as fault:
            error = foreseen(fault)
        self._task, self._is_under_way = None, False
        if error is None and (error := self._closing) is None:
            return
        self._break(error)

    async def _carry_first(self) -> None:
        transfer = self._queue[0]
        try:
            await self._carry(transfer)
        except NotFound as error:
            # A good answer: whoever looks for what may not be there need not log in anew for each.
            if not transfer.opening or self._closing is not None:
                raise
            self._queue.popleft()
            self._served += 1
            self._tell(Broke(transfer, error, goes_on=True))

    # -- ends

    def _finish(self, transfer: Transfer, *, reusable: bool = True) -> None:
        """The head of the queue is at its end. Raises ConnectionLost where that was the last one."""
        self._queue.popleft()
        self._served += 1
        self._tell(Finished(transfer, reusable))
        if not reusable:
            raise ConnectionLost("", "closed after the body")

    def _break(self, error: ThunderdlError | OSError) -> None:
        self.is_closed = True
        self._shut()
        # A connection that has served and is found closed was idle for too long: no fault of the request.
        idle = isinstance(error, NotTaken) or (isinstance(error, ConnectionLost) and self._served > 0)
        for transfer in self._queue:
            is_stale = idle and not transfer.first_byte_at
            if not isinstance(error, InternalError):
                transfer.finish()
            self._tell(Broke(transfer, error, stale=is_stale))
        self._queue.clear()

    def _tell(self, event: Event) -> None:
        # By its notify of then: an opening that is given up meanwhile is heard by nobody.
        self._loop.call_soon(lambda: event.transfer.notify(event))
