"""Requests, resources and right answers: what the loopback server says when it behaves.

Pure: no sockets, no clock but for the Date header. A :class:`Reply` is a plan; behaviours make other plans of it.
"""

from __future__ import annotations

import dataclasses
import email.utils
import enum
import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus

BLOCK_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Step(enum.Enum):
    """What may stand between the bytes of an answer: wait for the server's ``release``, close, or reset."""

    STALL = "stall"
    CLOSE = "close"
    RESET = "reset"


Block = bytes | memoryview | Step
Span = Callable[[int, int], bytes]  # the bytes [start, end) of a body


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A logged request. ``order``: 1 for the server's first; ``number``: 1 for the first of this path."""

    method: str
    path: str
    version: str
    headers: list[tuple[str, str]]
    connection: int
    order: int
    number: int

    def header(self, name: str) -> str | None:
        """The first value of a header, None where it is absent."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def without(self, *names: str) -> Request:
        dropped = {name.lower() for name in names}
        return dataclasses.replace(self, headers=[h for h in self.headers if h[0].lower() not in dropped])


@dataclass(slots=True, kw_only=True)
class Reply:
    """A plan for an answer.

    ``blocks``: the body. ``head``: what is sent in place of status line and headers. ``close``: close after
    the answer.
    """

    status: int
    headers: list[tuple[str, str | bytes]]
    blocks: Iterable[Block] = ()
    reason: str | bytes | None = None
    head: Iterable[Block] | None = None
    close: bool = False
    resource: Resource

    def header(self, name: str, *values: str) -> Reply:
        """Replace a header by these values, each on its own line; no value removes it."""
        self.headers = [h for h in self.headers if h[0].lower() != name.lower()]
        self.headers += [(name, value) for value in values]
        return self

    def head_blocks(self) -> Iterable[Block]:
        if self.head is not None:
            return self.head
        reason = HTTPStatus(self.status).phrase if self.reason is None else self.reason
        lines = [b"HTTP/1.1 %d " % self.status + _raw(reason)]
        lines += [_raw(name) + b": " + _raw(value) for name, value in self.headers]
        return [b"\r\n".join(lines) + b"\r\n\r\n"]


Behaviour = Callable[[Request, Reply], Reply]


@dataclass(slots=True, kw_only=True)
class Resource:
    """A file to serve. ``body``: its bytes, or a function of (start, end), which needs ``size``."""

    body: bytes | Span
    size: int = -1
    etag: str | None = '"v1"'
    last_modified: str | None = "Mon, 01 Jan 2024 00:00:00 GMT"
    headers: list[tuple[str, str | bytes]] = field(default_factory=list)
    behaviour: Behaviour | None = None

    def __post_init__(self) -> None:
        if isinstance(self.body, bytes):
            self.size = len(self.body)
        elif self.size < 0:
            raise ValueError("a generated body needs its size")

    def span(self, start: int, end: int) -> bytes | memoryview:
        return memoryview(self.body)[start:end] if isinstance(self.body, bytes) else self.body(start, end)

    def blocks(self, start: int, end: int) -> Iterator[Block]:
        """The bytes [start, end), a block at a time."""
        for at in range(start, end, BLOCK_BYTES):
            yield self.span(at, min(at + BLOCK_BYTES, end))


def generated(size: int, *, seed: int = 0, **fields: object) -> Resource:
    """A resource of any size that takes no memory; no two of its 64 KiB blocks are alike."""
    block_bytes = 65536
    base = random.Random(seed).randbytes(block_bytes - 8)

    def body(start: int, end: int) -> bytes:
        first = start // block_bytes
        blocks = b"".join(index.to_bytes(8, "big") + base for index in range(first, -(-end // block_bytes)))
        return blocks[start - first * block_bytes : end - first * block_bytes]

    return dataclasses.replace(Resource(body=body, size=size), **fields)  # type: ignore[arg-type]


def answer(request: Request, resource: Resource) -> Reply:
    """The right answer to GET or HEAD (RFC 9110 sections 13 and 14), without the resource's behaviour."""
    reply = Reply(status=200, headers=_common_headers(resource), resource=resource)
    wanted = _wanted(request, resource)
    if wanted is not None and wanted[0] >= wanted[1]:
        reply.status = 416
        return reply.header("Content-Range", f"bytes */{resource.size}").header("Content-Length", "0")
    start, end = (0, resource.size) if wanted is None else wanted
    if wanted is not None:
        reply.status = 206
        reply.header("Content-Range", f"bytes {start}-{end - 1}/{resource.size}")
    reply.blocks = resource.blocks(start, end)
    return reply.header("Content-Length", str(end - start))


def plain(status: int, *headers: tuple[str, str], body: bytes = b"") -> Reply:
    """An answer with no resource behind it."""
    reply = Reply(status=status, headers=[("Date", _date()), *headers], resource=Resource(body=body), blocks=[body])
    return reply.header("Content-Length", str(len(body)))


def _common_headers(resource: Resource) -> list[tuple[str, str | bytes]]:
    known = [("ETag", resource.etag), ("Last-Modified", resource.last_modified)]
    validators = [(name, value) for name, value in known if value is not None]
    return [("Date", _date()), ("Accept-Ranges", "bytes"), *validators, *resource.headers]


def _wanted(request: Request, resource: Resource) -> tuple[int, int] | None:
    """[start, end) that a GET asks for, empty where it cannot be satisfied; None for the whole."""
    match = _RANGE.fullmatch((request.header("Range") or "").replace(" ", ""))
    if (
        match is None
        or match.group(0) == "bytes=-"
        or request.method != "GET"
        or not _if_range_holds(request, resource)
    ):
        return None
    first, last = match.groups()
    if first and last and int(last) < int(first):
        return None
    start = int(first) if first else max(0, resource.size - int(last))
    end = min(resource.size, int(last) + 1) if first and last else resource.size
    return start, end


def _if_range_holds(request: Request, resource: Resource) -> bool:
    """RFC 9110 section 13.1.5: strong comparison, and an exact match for dates."""
    condition = request.header("If-Range")
    if condition is None:
        return True
    return not condition.startswith("W/") and condition in (resource.etag, resource.last_modified)


def _date() -> str:
    return email.utils.formatdate(usegmt=True)


def _raw(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
