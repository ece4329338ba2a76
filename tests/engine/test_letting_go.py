"""What a thread opens for somebody who has been cancelled meanwhile is closed again."""

from __future__ import annotations

import asyncio
import threading

import pytest

from thunderdl.client import Client


def test_what_is_opened_for_a_cancelled_one_is_let_go_before_it_has_ended() -> None:
    began, go_on = threading.Event(), threading.Event()
    let_go: list[str] = []

    def work() -> str:
        began.set()
        go_on.wait(10)
        return "opened"

    async def run() -> None:
        async with Client() as client:
            opening = asyncio.create_task(client.session.opened(let_go.append, work))
            await asyncio.to_thread(began.wait, 10)
            opening.cancel()
            await asyncio.sleep(0)
            assert let_go == []
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await opening
            assert let_go == ["opened"]

    asyncio.run(run())
