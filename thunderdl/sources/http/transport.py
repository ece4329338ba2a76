"""httpx over connections of ours: its requests obey the same proxies, addresses, interface and certificates as lanes.

One request, one connection: httpx only decides here, or reads a body that no range can be had of.
"""

from __future__ import annotations

import asyncio
import math
import select
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import httpcore
import httpx

from thunderdl.errors import InvalidUrl, SourceError, TimedOut
from thunderdl.sources.http.connect import Wire
from thunderdl.sources.http.wire import Address, basic_auth, parse_url, with_proxy

Connect = Callable[[Address], Awaitable[Wire]]
ProxyFor = Callable[[Address], str | None]
# The extension of a request that may go to the public internet alone (core/inward.py).
OUTSIDE = "thunderdl_outside"


class OwnTransport(httpx.AsyncBaseTransport):
    """``connect``: makes the connection for an address; ``proxy_for``: names the proxy of one."""

    def __init__(self, connect: Connect, proxy_for: ProxyFor) -> None:
        self._connect, self._proxy_for = connect, proxy_for

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            address = parse_url(str(request.url)).staying(outside=bool(request.extensions.get(OUTSIDE)))
        except InvalidUrl as error:
            raise httpx.UnsupportedProtocol(error.reason, request=request) from None
        address = with_proxy(address, self._proxy_for(address))
        try:
            wire = await self._connect(address)
        except TimedOut as error:
            raise httpx.ConnectTimeout(error.reason, request=request) from error
        except SourceError as error:
            raise httpx.ConnectError(error.reason, request=request) from error
        origin = httpcore.Origin(request.url.raw_scheme, request.url.raw_host, address.endpoint.port)
        connection = httpcore.AsyncHTTP11Connection(origin, _Stream(wire))
        try:
            response = await connection.handle_async_request(_asked(request, address))
        except BaseException as error:
            await connection.aclose()
            raise _mapped(error, request) from None
        return httpx.Response(
            status_code=response.status, headers=response.headers, stream=_Body(response, connection, request),
            extensions=response.extensions,
        )  # fmt: skip


def _asked(request: httpx.Request, address: Address) -> httpcore.Request:
    proxy, headers = urlsplit(address.endpoint.proxy or ""), list(request.headers.raw)
    target = request.url.raw_path
    if address.endpoint.scheme == "http" and proxy.scheme in ("http", "https"):
        target = address.endpoint.origin.encode("ascii") + target
        if proxy.username is not None:
            login = basic_auth(unquote(proxy.username), unquote(proxy.password or ""))
            headers.append((b"Proxy-Authorization", login.encode("utf-8")))
    url = httpcore.URL(
        scheme=request.url.raw_scheme, host=request.url.raw_host, port=address.endpoint.port, target=target
    )  # fmt: skip
    return httpcore.Request(
        request.method, url, headers=headers, content=cast(Any, request.stream), extensions=request.extensions
    )  # fmt: skip


class _Body(httpx.AsyncByteStream):
    def __init__(
        self, response: httpcore.Response, connection: httpcore.AsyncHTTP11Connection, request: httpx.Request
    ) -> None:  # fmt: skip
        self._response, self._connection, self._request = response, connection, request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._response.aiter_stream():
                yield part
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise _mapped(error, self._request) from None

    async def aclose(self) -> None:
        await self._response.aclose()
        await self._connection.aclose()


class _Stream(httpcore.AsyncNetworkStream):
    """A connected, non-blocking socket; what waits for it waits in a thread."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await asyncio.to_thread(self._read, max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await asyncio.to_thread(self._write, buffer, timeout)

    async def aclose(self) -> None:
        self._wire.close()

    def get_extra_info(self, info: str) -> Any:
        return False if info == "is_readable" else None

    def _read(self, max_bytes: int, timeout_s: float | None) -> bytes:
        buffer = bytearray(max_bytes)
        ends = time.monotonic() + (timeout_s or 60.0)
        while True:
            try:
                return bytes(buffer[: self._wire.recv_into(memoryview(buffer))])
            except OSError as error:
                if _is_over(error):
                    return b""
                if not _would_block(error):
                    raise httpcore.ReadError(str(error)) from None
            left_s = ends - time.monotonic()
            if left_s <= 0:
                raise httpcore.ReadTimeout
            self._wait(select.POLLIN, min(left_s, 1.0))

    def _write(self, buffer: bytes, timeout_s: float | None) -> None:
        view, ends = memoryview(buffer), time.monotonic() + (timeout_s or 60.0)
        while view:
            try:
                view = view[self._wire.send(view) :]
                continue
            except OSError as error:
                if not _would_block(error):
                    raise httpcore.WriteError(str(error)) from None
            if time.monotonic() >= ends:
                raise httpcore.WriteTimeout
            self._wait(select.POLLOUT, 1.0)

    def _wait(self, event: int, most_s: float) -> None:
        # select() takes no descriptor above 1023, and a daemon has more.
        poll = select.poll()
        poll.register(self._wire, event)
        poll.poll(math.ceil(most_s * 1000))


def _would_block(error: OSError) -> bool:
    return isinstance(error, BlockingIOError | ssl.SSLWantReadError | ssl.SSLWantWriteError)


def _is_over(error: OSError) -> bool:
    return isinstance(error, ssl.SSLZeroReturnError)


def _mapped(error: BaseException, request: httpx.Request) -> BaseException:
    """httpx's error for httpcore's, where it has one of that name."""
    kind = getattr(httpx, type(error).__name__, None) if isinstance(error, Exception) else None
    if isinstance(error, httpcore.NetworkError | httpcore.ProtocolError | httpcore.TimeoutException) and kind:
        return cast(BaseException, kind(str(error), request=request))
    return error
