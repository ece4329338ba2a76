"""The server: every interface of the queue in the queue's own loop, over sockets that are open already.

uvicorn speaks HTTP (by httptools); it gets no signals, writes no log, trusts no header about who asks. What it knows no
bound of is bounded here: how many connections there are, how long and how slow a request's head may be.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import traceback
from asyncio import TimerHandle, Transport
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from socket import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from thunderdl.daemon.queue import Queue
from thunderdl.rpc.access import Access
from thunderdl.rpc.api.application import Api
from thunderdl.rpc.exchange import Answer, App, GoneAway, Receive, Scope, Send, refusal_of
from thunderdl.rpc.guard import MOST_BYTES, Guard, refuse_websocket
from thunderdl.rpc.pages import pages, serving
from thunderdl.rpc.secret import Secret

MOST_CONNECTIONS = 1024
MOST_HEAD_BYTES = 64 * 1024
HEAD_S = 30.0
KEEP_ALIVE_S = 75
_NO_SERVICES: Mapping[str, App] = {}
# So long requests that are under way when it stops have to end.
GRACE_S = 0.5
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Connection(HttpToolsProtocol):
    """One connection of a client's."""

    _head_bytes = 0
    _is_in_head = True
    _timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        if len(self.connections) >= MOST_CONNECTIONS:
            self.transport = transport
            transport.abort()
            return
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._timer is None:
                self._wait_for_head()
        super().data_received(data)
        if self._is_in_head and self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_TOO_LONG)
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._is_in_head, self._head_bytes = False, 0
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_in_head = True
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        self._timer = self.loop.call_later(HEAD_S, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Uvicorn(uvicorn.Server):
    """Whoever runs the daemon sees to signals; it is told to stop, and looks at the clock once a second, not ten times
    whether it was."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 1)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Server:
    """``queue`` over each of ``sockets``, which are closed in the end; ``services``: other interfaces by their paths,
    which see to the secret themselves."""

    def __init__(
        self, queue: Queue, sockets: Sequence[socket], access: Access, secret: Secret,
        services: Mapping[str, App] = _NO_SERVICES,
    ) -> None:  # fmt: skip
        self._sockets = list(sockets)
        self._api = Api(queue, secret)
        self.app: App = _told(Guard(access, secret, secured=self._api, others=_others(services)))
        self._uvicorn = _Uvicorn(_config(self.app))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer, from when it is entered on; left, it is over within a second, event streams and all."""
        async with self._api.running():
            serve = asyncio.create_task(self._uvicorn.serve(self._sockets))
            try:
                yield
            finally:
                self.stop()
                await serve

    def stop(self) -> None:
        """Take no more requests, and end the streams."""
        self._api.close()
        self._uvicorn.stop()


def _config(app: App) -> uvicorn.Config:
    # Without a level Python writes what nobody handles to standard error: a traceback for each request that the stop
    # cuts off. What is a bug :func:`_told` tells.
    settled: dict[str, Any] = {
        "http": Connection, "ws": "websockets-sansio", "ws_max_size": MOST_BYTES, "loop": "none",
        "interface": "asgi3", "lifespan": "off", "log_config": None, "log_level": "critical", "access_log": False,
        "proxy_headers": False, "server_header": False, "timeout_keep_alive": KEEP_ALIVE_S,
        "timeout_graceful_shutdown": GRACE_S,
    }  # fmt: skip
    return uvicorn.Config(app, **settled)


def _others(services: Mapping[str, App]) -> App:
    """What needs no secret, or sees to it itself."""
    files = serving({**pages(), "/healthz": _HEALTHY})

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        service = services.get(scope["path"])
        if service is not None:
            await service(scope, receive, send)
        elif scope["type"] == "websocket":
            await refuse_websocket(receive, send)
        else:
            await files(scope, receive, send)

    return serve


_HEALTHY = Answer(200, b"ok\n", b"text/plain; charset=utf-8", ((b"cache-control", b"no-store"), (b"etag", b'"ok"')))


def _told(app: App) -> App:
    """The app, a bug in it one sentence to whoever asked."""

    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except (GoneAway, asyncio.CancelledError):
            raise
        except Exception as error:
            if os.environ.get("THUNDERDL_DEBUG", "") not in ("", "0"):
                traceback.print_exception(error, file=sys.stderr)
            if scope["type"] == "http":
                with contextlib.suppress(RuntimeError):
                    await refusal_of(error).answer().send(send)

    return told
