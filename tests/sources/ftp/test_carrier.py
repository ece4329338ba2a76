"""What is ordered of an FTP connection while it waits for the server."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from thunderdl.errors import Cancelled
from thunderdl.sources.answering import Facts
from thunderdl.sources.ftp.carrier import FtpCarrier
from thunderdl.sources.ftp.serving import Retrieval, Server
from thunderdl.sources.http.bucket import Meter, SharedLimit
from thunderdl.sources.http.daemons import DaemonThreads
from thunderdl.sources.http.events import Broke, Finished
from thunderdl.sources.http.head import Body
from thunderdl.sources.http.mover import Mover
from thunderdl.sources.http.transfer import Store, Transfer

LIMIT_S = 30.0


class _Waiting:
    """A server whose answer to a retrieval comes when it is let."""

    def __init__(self) -> None:
        self.asked, self.let = threading.Event(), threading.Event()
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.control = SimpleNamespace(close=lambda: None, interrupt=lambda: None)
        self.was_heard_out = False

    def facts(self, path: bytes) -> Facts:
        return Facts(size_bytes=100, modified=0.0)

    def retrieve(self, path: bytes, start: int, facts: Facts) -> Retrieval:
        self.asked.set()
        self.let.wait(LIMIT_S)
        return Retrieval(sock=self.ours, facts=facts, path=path, start=start)

    def broken_off(self) -> None:
        return

    def ended(self, *, sent_all: bool) -> bool:
        self.was_heard_out = True
        return True


def test_a_range_that_is_lowered_to_nothing_while_the_server_is_asked_for_it_is_over() -> None:
    """Its head would be "bytes 50-49/100", which says no size: taken for another version, it ended the download."""
    server = _Waiting()
    events: list[object] = []
    judged: list[object] = []

    async def run() -> None:
        mover, over = Mover(lambda: None), asyncio.Event()

        def heard(event: object) -> None:
            events.append(event)
            if isinstance(event, Finished | Broke):
                over.set()

        ground = SimpleNamespace(least_busy=lambda: mover)
        carrier = FtpCarrier(cast(Server, server), cast(Any, ground), DaemonThreads(1, "test"))
        transfer = Transfer(
            request=b"R/f",
            start=50,
            end=100,
            judge=cast(Any, judged.append),
            notify=heard,
            store=cast(Any, None),
            meter=cast(Any, None),
        )
        carrier.ask(transfer)
        await asyncio.to_thread(server.asked.wait, LIMIT_S)
        carrier.lower(transfer, 50)
        server.let.set()
        async with asyncio.timeout(LIMIT_S):
            await over.wait()
        carrier.close(cast(Any, RuntimeError()))
        await asyncio.to_thread(mover.stop)

    asyncio.run(run())
    server.theirs.close()
    assert judged == []
    assert [type(event) for event in events if isinstance(event, Finished | Broke)] == [Finished]


def test_one_that_is_closed_before_its_last_byte_was_told_hears_nobody_out(tmp_path: Path) -> None:
    """The order met a stream that was through, and nobody else saw it: whoever stopped waited for the server's word on
    the end of the file, which may not come for seconds."""
    server = _Waiting()
    server.let.set()
    server.theirs.sendall(bytes(50))
    server.theirs.close()
    fd = os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
    told: list[object] = []

    async def run() -> None:
        moved, over = threading.Event(), asyncio.Event()
        mover = Mover(moved.set)

        def heard(event: object) -> None:
            told.append(event)
            over.set()

        ground = SimpleNamespace(least_busy=lambda: mover)
        carrier = FtpCarrier(cast(Server, server), cast(Any, ground), DaemonThreads(1, "test"))
        transfer = Transfer(
            request=b"R/f", start=50, end=100, judge=lambda _: Body(50, 50, False), notify=heard,
            store=Store(fd=fd, path="f", granule_bytes=1000), meter=Meter(SharedLimit(None), 1.0),
        )  # fmt: skip
        carrier.ask(transfer)
        await asyncio.to_thread(moved.wait, LIMIT_S)
        carrier.close(Cancelled())
        while mover.events():
            notify, event = mover.events().popleft()
            notify(event)
        async with asyncio.timeout(LIMIT_S):
            await over.wait()
        await asyncio.to_thread(mover.stop)
        assert [(each.start, each.end) for each in transfer.records] == [(50, 100)]

    asyncio.run(run())
    os.close(fd)
    assert [type(event) for event in told] == [Broke]
    assert not server.was_heard_out
