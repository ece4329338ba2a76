"""The event stream: what :mod:`thunderdl.rpc.api.live` has for a listener, for as long as somebody reads it."""

from __future__ import annotations

import asyncio
import contextlib

from thunderdl.rpc.api.live import Live
from thunderdl.rpc.exchange import Receive, Send

PING_S = 15.0
_PING = b": ping\n\n"
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store"),
    # nginx would keep events until it has a page full of them.
    (b"x-accel-buffering", b"no"),
]  # fmt: skip


async def stream(live: Live, gid: str | None, receive: Receive, send: Send) -> None:
    """Until whoever listens is gone, or the daemon stops."""
    await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
    with live.listening(gid) as listener:
        watching = asyncio.create_task(_gone(receive))
        try:
            while True:
                getting = asyncio.ensure_future(listener.events.get())
                done, _ = await asyncio.wait({getting, watching}, timeout=PING_S, return_when=asyncio.FIRST_COMPLETED)
                if getting not in done:
                    getting.cancel()
                if watching in done:
                    return
                event = getting.result() if getting in done else _PING
                if event is None:
                    break
                await send({"type": "http.response.body", "body": event, "more_body": True})
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
