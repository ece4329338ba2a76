"""aria2's RPC as an ASGI application: ``/jsonrpc`` by POST and WebSocket, ``/rpc`` for XML-RPC.

GET executes nothing, whatever it asks for: a page's ``<script src>`` is one. Whose Host and Origin may
ask at all the guard before this one decides, for WebSockets, too.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

from thunderdl.daemon.queue import Queue
from thunderdl.rpc.aria2 import jsonrpc, xmlrpc
from thunderdl.rpc.aria2.calling import Caller, Proof
from thunderdl.rpc.aria2.jsonrpc import Fault, encode, parse, refused
from thunderdl.rpc.aria2.notices import Notices, Outbox
from thunderdl.rpc.aria2.session import Save, Session
from thunderdl.rpc.exchange import Answer, App, Headers, Receive, Scope, Send, body_of
from thunderdl.rpc.guard import refuse_websocket

PATHS = ("/jsonrpc", "/rpc")
_JSON, _XML = b"application/json-rpc", b"text/xml"
_TOO_SLOW = 1013
_NO_CACHE: Headers = ((b"cache-control", b"no-cache"),)
# A client that does not even read that it is dropped.
_FAREWELL_S = 1.0


class Aria2:
    """ASGI. ``proof``: whether a text is the secret, False only after a second; ``stop``: ends the daemon, told whether
    in a hurry; ``save``: writes the session file, where there is one; ``port``: where it listens. It answers
    within :meth:`running` only."""

    def __init__(
        self, queue: Queue, proof: Proof, stop: Callable[[bool], None], save: Save | None = None, *,
        port: int | None = None,
    ) -> None:  # fmt: skip
        self._proof = proof
        self._session = Session(queue, stop, save, port=port)
        self._notices = Notices(self._session)

    @property
    def services(self) -> Mapping[str, App]:
        """What is answered, by path."""
        return dict.fromkeys(PATHS, self)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tell clients what happens in the queue."""
        async with self._notices.running():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["method"] != "POST":
            answer = encode(refused(Fault(jsonrpc.INVALID_REQUEST, "Only POST and WebSocket are answered.")))
            await Answer(405, answer.encode(), _JSON, (*_NO_CACHE, (b"allow", b"POST"))).send(send)
        elif scope["path"] == "/rpc":
            body = await xmlrpc.answer(Caller(self._session, self._proof), await body_of(receive))
            await Answer(200, body, _XML, _NO_CACHE).send(send)
        else:
            told = await self._answer(await body_of(receive))
            await Answer(jsonrpc.status_of(told), encode(told).encode(), _JSON, _NO_CACHE).send(send)

    async def _answer(self, body: bytes | str) -> dict[str, object] | Sequence[object]:
        try:
            asked = parse(body)
        except Fault as fault:
            return refused(fault)
        return await Caller(self._session, self._proof).answer(asked)

    # -- WebSocket

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/jsonrpc":
            await refuse_websocket(receive, send)
            return
        await receive()
        with self._notices.sent_to() as outbox:
            await send({"type": "websocket.accept"})
            code = await _first(self._read(receive, outbox), _write(send, outbox), _lost(outbox))
        if code:
            with contextlib.suppress(TimeoutError, RuntimeError, OSError):
                await asyncio.wait_for(send({"type": "websocket.close", "code": code}), _FAREWELL_S)

    async def _read(self, receive: Receive, outbox: Outbox) -> int:
        """Answer request after request; the code to close with, 0 where the client has closed."""
        while (message := await receive())["type"] != "websocket.disconnect":
            text, data = message.get("text"), message.get("bytes")
            await outbox.answer(encode(await self._answer(text if text is not None else data or b"")))
        return 0


async def _write(send: Send, outbox: Outbox) -> int:
    while True:
        await send({"type": "websocket.send", "text": await outbox.next()})


async def _lost(outbox: Outbox) -> int:
    await outbox.overfull.wait()
    return _TOO_SLOW


async def _first(*parts: Awaitable[int]) -> int:
    """What the first of them that ends returns; the others are stopped. A connection that is gone ends them all."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        ended = next(iter(done))
        return 0 if isinstance(ended.exception(), OSError | RuntimeError) else ended.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
