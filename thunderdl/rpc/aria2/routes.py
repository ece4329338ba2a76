"""aria2's RPC as an ASGI application: ``/jsonrpc`` by POST and WebSocket, ``/rpc`` for XML-RPC.

GET executes nothing, whatever it asks for: a page's ``<script src>`` is one. Whose Host and Origin may
ask at all the guard before this one decides, for WebSockets, too.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from thunderdl.daemon.queue import Queue
from thunderdl.rpc.aria2 import jsonrpc, xmlrpc
from thunderdl.rpc.aria2.calling import Caller, Proof
from thunderdl.rpc.aria2.jsonrpc import Fault, encode, parse, refused
from thunderdl.rpc.aria2.notices import Notices, Outbox
from thunderdl.rpc.aria2.session import Session

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PATHS = ("/jsonrpc", "/rpc")
_JSON, _XML = b"application/json-rpc", b"text/xml"
_TOO_BIG, _TOO_SLOW, _GOING = 1009, 1013, 1001
# A client that does not even read that it is dropped.
_FAREWELL_S = 1.0


class Aria2:
    """ASGI. ``proof``: whether a text is the secret, False only after a second; ``stop``: ends the daemon, told whether
    in a hurry. It answers within :meth:`running` only."""

    def __init__(self, queue: Queue, proof: Proof, stop: Callable[[bool], None]) -> None:
        self._proof = proof
        self._session = Session(queue, stop)
        self._notices = Notices(self._session)

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
            await _send(send, 405, _JSON, answer.encode(), (b"allow", b"POST"))
        elif scope["path"] == "/rpc":
            await self._xmlrpc(receive, send)
        else:
            await self._post(receive, send)

    # -- HTTP

    async def _post(self, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if body is None:
            answer: dict[str, object] | Sequence[object] = refused(Fault(jsonrpc.PARSE_ERROR, "Parse error."))
            await _send(send, 413, _JSON, encode(answer).encode(), (b"connection", b"close"))
            return
        answer = await self._answer(body)
        await _send(send, jsonrpc.status_of(answer), _JSON, encode(answer).encode())

    async def _answer(self, body: bytes | str) -> dict[str, object] | Sequence[object]:
        try:
            asked = parse(body)
        except Fault as fault:
            return refused(fault)
        return await Caller(self._session, self._proof).answer(asked)

    async def _xmlrpc(self, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if body is None:
            await _send(send, 413, _XML, b"", (b"connection", b"close"))
            return
        await _send(send, 200, _XML, await xmlrpc.answer(Caller(self._session, self._proof), body))

    # -- WebSocket

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if scope["path"] != "/jsonrpc":
            await send({"type": "websocket.close", "code": 1008})
            return
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
            said: bytes | str = text if text is not None else data or b""
            if len(said) > jsonrpc.MOST_BYTES:
                return _TOO_BIG
            await outbox.answer(encode(await self._answer(said)))
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


async def _body(receive: Receive) -> bytes | None:
    """The request's body; None where it is longer than aria2 takes, or the client is gone."""
    parts: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part: bytes = message.get("body", b"")
        length += len(part)
        if length > jsonrpc.MOST_BYTES:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def _send(send: Send, status: int, kind: bytes, body: bytes, *more: tuple[bytes, bytes]) -> None:
    headers = [
        (b"content-type", kind), (b"content-length", str(len(body)).encode()), (b"cache-control", b"no-cache"), *more,
    ]  # fmt: skip
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
