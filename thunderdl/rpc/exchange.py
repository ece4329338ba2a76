"""One request and its answer, over ASGI: bodies read within bounds, answers of one piece, refusals as JSON.

Plain ASGI and no framework: Starlette's routing, request and response took 100 µs beside the 230 µs of uvicorn's, and
what would be used of it fits here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, NamedTuple

from thunderdl.daemon.places import OutsideRoots
from thunderdl.daemon.queue import NoSuchTask, NotNow
from thunderdl.errors import (
    BadContent,
    DiskFull,
    StorageError,
    TargetLocked,
    ThunderdlError,
    UsageError,
    foreseen,
    shown_url,
)

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]

# Whoever sends a body slower than that holds memory for nothing.
BODY_S = 60.0
JSON_TYPE = b"application/json"
_NO_STORE = (b"cache-control", b"no-store")


class Answer(NamedTuple):
    """A whole answer: ``body`` as bytes, ``type`` its media type."""

    status: int
    body: bytes = b""
    type: bytes = JSON_TYPE
    headers: Headers = (_NO_STORE,)

    async def send(self, send: Send) -> None:
        length = (b"content-length", str(len(self.body)).encode())
        about = (length,) if self.status in (204, 304) else ((b"content-type", self.type), length)
        headers = [*(about[:1] if self.body or self.status not in (204, 304) else ()), *about[1:], *self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


class Refused(Exception):
    """The request is not carried out. ``kind``: as an error's class; ``message``: one sentence."""

    def __init__(self, status: int, kind: str, message: str, headers: Headers = ()) -> None:
        super().__init__(status, kind, message)
        self.status, self.kind, self.message, self.headers = status, kind, message, headers

    def answer(self) -> Answer:
        body = {"error": {"kind": self.kind, "message": self.message}}
        return Answer(self.status, encoded(body), headers=(_NO_STORE, *self.headers))


class GoneAway(Exception):
    """Whoever asked has closed the connection."""


def encoded(value: object) -> bytes:
    """JSON, compact; what came in as lone surrogates leaves as an escape."""
    return _encode(value).encode()


# One encoder for all: json.dumps makes a new one wherever an argument is not its default.
_encode = json.JSONEncoder(separators=(",", ":")).encode


def refusal_of(error: Exception) -> Refused:
    """What an error of the tree, or a bug, is answered with."""
    known = foreseen(error)
    return Refused(_status_of(known), type(known).__name__, shown_url(str(known)))


def _status_of(error: ThunderdlError) -> int:
    match error:
        case NoSuchTask():
            return 404
        case NotNow() | BadContent() | TargetLocked():
            return 409
        case OutsideRoots():
            return 403
        case UsageError():
            return 400
        case DiskFull():
            return 507
        case StorageError():
            return 500
    # What another server answered, or did not.
    return 500 if error.exit_code == 1 else 502


async def body_of(receive: Receive) -> bytes:
    """The whole body; how long it may be the guard sees to. Raises GoneAway, Refused where it takes too long."""
    parts: list[bytes] = []
    try:
        async with asyncio.timeout(BODY_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise GoneAway
                parts.append(message.get("body", b""))
                if not message.get("more_body"):
                    return parts[0] if len(parts) == 1 else b"".join(parts)
    except TimeoutError:
        raise Refused(408, "TimedOut", f"the request's body took longer than {BODY_S:.0f} seconds.") from None


def parsed(body: bytes) -> object:
    """The JSON of a body, as RFC 8259 has it: no NaN, no Infinity. Raises Refused."""
    try:
        return json.loads(body, parse_constant=_no_constant)
    except RecursionError:
        raise Refused(400, "UsageError", "the body is nested too deeply.") from None
    except ValueError:
        # The parser's words repeat what it read.
        raise Refused(400, "UsageError", "the body is not JSON in UTF-8.") from None


def _no_constant(text: str) -> object:
    raise ValueError(text)


def header_of(scope: Scope, name: bytes) -> bytes | None:
    """The first header of that name (lower case), None where there is none."""
    found: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return next((value for each, value in found if each == name), None)
