"""Ways to misbehave, as small functions that make another answer out of a right one.

A behaviour is ``(request, reply) -> reply``. Those on ranges and versions ask for the answer anew from a changed
request or resource; those on the wire rewrite head or blocks. ``first``, ``after``, ``script``, ``together`` and
``on_ranges`` put them together; request numbers count from 1 for each path.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import itertools
from collections.abc import Callable, Iterable, Iterator

from tests.servers.exchange import Behaviour, Block, Reply, Request, Resource, Step, answer, plain

_WRONG = bytes(byte ^ 0x55 for byte in range(256))

# Putting together.


def well(_request: Request, reply: Reply) -> Reply:
    """Behaves."""
    return reply


def first(count: int, behaviour: Behaviour, then: Behaviour = well) -> Behaviour:
    """So for the first ``count`` requests of a path."""
    return lambda request, reply: (behaviour if request.number <= count else then)(request, reply)


def after(count: int, behaviour: Behaviour) -> Behaviour:
    """So from request ``count + 1`` on."""
    return first(count, well, behaviour)


def script(*steps: Behaviour) -> Behaviour:
    """One behaviour for each request in turn; the last one stays."""
    return lambda request, reply: steps[min(request.number, len(steps)) - 1](request, reply)


def together(*behaviours: Behaviour) -> Behaviour:
    """One after the other on the same answer."""

    def act(request: Request, reply: Reply) -> Reply:
        for behaviour in behaviours:
            reply = behaviour(request, reply)
        return reply

    return act


def when(claim: Callable[[Request], bool], behaviour: Behaviour) -> Behaviour:
    """So for requests of which the claim holds."""
    return lambda request, reply: behaviour(request, reply) if claim(request) else reply


def on_ranges(behaviour: Behaviour) -> Behaviour:
    """So for requests that ask for a range."""
    return when(lambda request: request.header("Range") is not None, behaviour)


# Status, redirects, access.


def status(code: int, *headers: tuple[str, str], retry_after: str | None = None, body: bytes = b"") -> Behaviour:
    """Another status, without the resource. ``retry_after``: seconds or a date, as sent."""
    extra = headers if retry_after is None else (*headers, ("Retry-After", retry_after))
    return lambda _request, _reply: plain(code, *extra, body=body)


def redirect(location: str, code: int = 302) -> Behaviour:
    return lambda _request, _reply: plain(code, ("Location", location))


def redirect_loop() -> Behaviour:
    """To itself, for ever."""
    return lambda request, _reply: plain(302, ("Location", request.path))


def needs_basic(user: str, password: str) -> Behaviour:
    """401 without these credentials."""
    right = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    refuse = status(401, ("WWW-Authenticate", 'Basic realm="test"'))
    return when(lambda request: request.header("Authorization") != right, refuse)


def needs_cookie(pair: str) -> Behaviour:
    """403 without the cookie ``name=value``."""
    return lambda request, reply: reply if pair in (request.header("Cookie") or "").split("; ") else plain(403)


# Framing.


def close_delimited(_request: Request, reply: Reply) -> Reply:
    """No Content-Length; the end of the connection ends the body."""
    reply.close = True
    return reply.header("Content-Length")


def chunked(_request: Request, reply: Reply) -> Reply:
    reply.blocks = itertools.chain(_chunks(reply.blocks), [b"0\r\n\r\n"])
    return reply.header("Content-Length").header("Transfer-Encoding", "chunked")


def broken_chunks(rubbish: bytes) -> Behaviour:
    """Chunked; after the body's chunks come these bytes in place of the last chunk, then the close.

    Of use: ``b""`` (cut off), ``b"zz\\r\\n"``, ``b"-5\\r\\n"``, ``b"ffffffffffffffffff\\r\\n"``, ``b"5\\r\\nab"``.
    """

    def act(_request: Request, reply: Reply) -> Reply:
        reply.blocks = itertools.chain(_chunks(reply.blocks), [rubbish, Step.CLOSE])
        return reply.header("Content-Length").header("Transfer-Encoding", "chunked")

    return act


def content_length(*values: str) -> Behaviour:
    """These in place of the true length: huge, negative, rubbish, or two lines; closes after the body."""

    def act(_request: Request, reply: Reply) -> Reply:
        reply.blocks = itertools.chain(reply.blocks, [Step.CLOSE])
        return reply.header("Content-Length", *values)

    return act


def short_body(count: int) -> Behaviour:
    """Closes after ``count`` bytes of the body."""
    return _cut(count, Step.CLOSE)


def reset_after(count: int) -> Behaviour:
    """Resets after ``count`` bytes of the body, which do arrive."""
    return _cut(count, Step.RESET)


def stall_after(count: int) -> Behaviour:
    """Sends ``count`` bytes, then nothing until the server's ``release`` is set, then the rest."""

    def act(_request: Request, reply: Reply) -> Reply:
        reply.blocks = _insert(reply.blocks, count, Step.STALL)
        return reply

    return act


def long_body(count: int) -> Behaviour:
    """``count`` bytes more than promised, then closes."""

    def act(_request: Request, reply: Reply) -> Reply:
        reply.blocks = itertools.chain(reply.blocks, [b"+" * count, Step.CLOSE])
        return reply

    return act


def endless_body(_request: Request, reply: Reply) -> Reply:
    """The body, then rubbish for as long as the client stays, whatever length was promised."""
    reply.blocks = itertools.chain(reply.blocks, itertools.repeat(b"+" * 65536))
    return reply


# Heads.


def headers(*pairs: tuple[str, str | bytes], reason: str | bytes | None = None) -> Behaviour:
    """More headers, and another reason phrase; control bytes go out as they are."""

    def act(_request: Request, reply: Reply) -> Reply:
        reply.headers += pairs
        reply.reason = reason
        return reply

    return act


def head(*blocks: Block) -> Behaviour:
    """These blocks in place of the whole answer: a rubbish status line, a header without end (``Step.STALL``) …"""

    def act(_request: Request, reply: Reply) -> Reply:
        reply.head, reply.blocks, reply.close = blocks, (), True
        return reply

    return act


def endless_headers(_request: Request, reply: Reply) -> Reply:
    reply.head = itertools.chain(
        [b"HTTP/1.1 200 OK\r\n"], (b"X-%d: %s\r\n" % (n, b"y" * 999) for n in itertools.count())
    )
    return reply


unfinished_header = head(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Unfin", Step.STALL)
rubbish = head(b"\x00\xffthis is not HTTP\r\n\r\n" * 3)
silence = head(Step.STALL)
hang_up = head(Step.CLOSE)


# Ranges.


def no_ranges(request: Request, reply: Reply) -> Reply:
    """200 and the whole to a range, and no Accept-Ranges."""
    return answer(request.without("Range"), reply.resource).header("Accept-Ranges")


def ignores_if_range(request: Request, reply: Reply) -> Reply:
    """206 although the version is another one."""
    return answer(request.without("If-Range"), reply.resource)


def content_range(value: str | None) -> Behaviour:
    """This Content-Range (None: none) on what is otherwise a right 206."""
    return lambda _request, reply: reply.header("Content-Range", *([] if value is None else [value]))


def other_total(total: int | str) -> Behaviour:
    """A Content-Range with another total, or ``*``."""

    def act(_request: Request, reply: Reply) -> Reply:
        old = next((str(value) for name, value in reply.headers if name == "Content-Range"), None)
        return reply if old is None else reply.header("Content-Range", f"{old.split('/')[0]}/{total}")

    return act


def other_range(delta: int, *, owns_up: bool = True) -> Behaviour:
    """Serves the range moved by ``delta`` bytes. ``owns_up``: Content-Range says so; else it says what was asked."""

    def act(request: Request, reply: Reply) -> Reply:
        unit, _, span = (request.header("Range") or "bytes=0-").partition("=")
        bounds = [str(max(0, int(n) + delta)) if n else "" for n in span.split("-")]
        moved = request.without("Range")
        moved.headers.append(("Range", f"{unit}={'-'.join(bounds)}"))
        other = answer(moved, reply.resource)
        if owns_up:
            return other
        reply.blocks = other.blocks
        return reply

    return act


def always_416(*, tells_size: bool = True) -> Behaviour:
    def act(_request: Request, reply: Reply) -> Reply:
        extra = [("Content-Range", f"bytes */{reply.resource.size}")] if tells_size else []
        return plain(416, *extra)

    return on_ranges(act)


# Content.


def corrupt_from(offset: int) -> Behaviour:
    """Every byte of the file from ``offset`` on is wrong; the validators stay."""

    def body_of(resource: Resource) -> Callable[[int, int], bytes]:
        def body(start: int, end: int) -> bytes:
            right = bytes(resource.span(start, end))
            keep = max(0, min(offset, end) - start)
            return right[:keep] + right[keep:].translate(_WRONG)

        return body

    def act(request: Request, reply: Reply) -> Reply:
        return answer(request, dataclasses.replace(reply.resource, body=body_of(reply.resource)))

    return act


def becomes(other: Resource) -> Behaviour:
    """Another version (``after(3, becomes(...))``: from the fourth request on)."""
    return lambda request, _reply: answer(request, other)


def etag_by_request(*etags: str) -> Behaviour:
    """The same bytes, but each request meets another node with its own entity tag, in turn."""
    return lambda request, reply: answer(
        request, dataclasses.replace(reply.resource, etag=etags[(request.number - 1) % len(etags)])
    )


def gzip_coded(_request: Request, reply: Reply) -> Reply:
    """The body gzip-coded although identity was asked for."""
    packed = gzip.compress(b"".join(block for block in reply.blocks if not isinstance(block, Step)), mtime=0)
    reply.blocks = [packed]
    return reply.header("Content-Encoding", "gzip").header("Content-Length", str(len(packed)))


def _chunks(blocks: Iterable[Block]) -> Iterator[Block]:
    for block in blocks:
        if isinstance(block, Step):
            yield block
        elif len(block):
            yield b"%x\r\n%s\r\n" % (len(block), block)


def _cut(count: int, step: Step) -> Behaviour:
    def act(_request: Request, reply: Reply) -> Reply:
        reply.blocks = _insert(reply.blocks, count, step)
        return reply

    return act


def _insert(blocks: Iterable[Block], at: int, step: Step) -> Iterator[Block]:
    """The blocks with a step after ``at`` bytes, or at the end of a shorter body."""
    left = at
    for block in blocks:
        if not isinstance(block, Step) and 0 <= left < len(block):
            yield block[:left]
            yield step
            block, left = block[left:], -1
        elif not isinstance(block, Step) and left >= 0:
            left -= len(block)
        yield block
    if left >= 0:
        yield step
