"""What is ordered of an FTP connection while it waits for the server."""

from __future__ import annotations

import asyncio
import socket
import threading
from types import SimpleNamespace
from typing import Any, cast

from thunderdl.sources.answering import Facts
from thunderdl.sources.ftp.carrier import FtpCarrier
from thunderdl.sources.ftp.serving import Retrieval, Server
from thunderdl.sources.http.daemons import DaemonThreads
from thunderdl.sources.http.events import Broke, Finished
from thunderdl.sources.http.mover import Mover
from thunderdl.sources.http.transfer import Transfer

LIMIT_S = 30.0


class _Waiting:
    """A server whose answer to a retrieval comes when it is let."""

    def __init__(self) -> None:
        self.asked, self.let = threading.Event(), threading.Event()
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.control = SimpleNamespace(close=lambda: None, interrupt=lambda: None)

    def facts(self, path: bytes) -> Facts:
        return Facts(size_bytes=100, modified=0.0)

    def retrieve(self, path: bytes, start: int, facts: Facts) -> Retrieval:
        self.asked.set()
        self.let.wait(LIMIT_S)
        return Retrieval(sock=self.ours, facts=facts, path=path, start=start)

    def broken_off(self) -> None:
        return


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
