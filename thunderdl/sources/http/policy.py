"""What httpx decides: redirects, cookies, the user's own client settings. It moves no bytes of the file.

It asks once, with a range, follows every hop by hand and hands back the request that worked, for lanes to
repeat. Credentials and the user's headers go to the origin (scheme, host, port) that they are for and to no
other (curl CVE-2022-27774 and -27776, CVE-2018-1000007); https never becomes http by a redirect.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass
from http.cookiejar import Cookie as StoredCookie
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import httpx

from thunderdl.errors import (
    BadResponse,
    ConnectFailed,
    ConnectionLost,
    InvalidUrl,
    RedirectRefused,
    SourceError,
    TimedOut,
    UsageError,
)
from thunderdl.formats.cookies import Cookie
from thunderdl.sources.http.connect import connect_fault
from thunderdl.sources.http.redirects import MAX_REDIRECTS
from thunderdl.sources.http.suffixes import is_public_suffix
from thunderdl.sources.http.transport import OUTSIDE, OwnTransport
from thunderdl.sources.http.wire import parse_url

# What a redirect to another origin may carry along.
_ANYWHERE = frozenset({"user-agent", "accept", "accept-language", "accept-encoding", "range"})
# What the wire adds by itself.
_NOT_REPEATED = frozenset({"host", "range", "connection", "content-length", "if-range"})


@dataclass(frozen=True, slots=True)
class Resolved:
    """The request that got an answer which is no redirect: final URL and fields to repeat. ``hops``: redirects."""

    url: str
    fields: list[tuple[str, str]]
    hops: int


class Policy:
    """``settings``: keyword arguments of ``httpx.AsyncClient``, the user's own; they win over ours."""

    def __init__(
        self, *, transport: OwnTransport, cookies: Iterable[Cookie], timeout_s: float, settings: Mapping[str, Any]
    ) -> None:  # fmt: skip
        ours: dict[str, Any] = {
            "timeout": timeout_s, "trust_env": False, "headers": {}, "cookies": jar_of(cookies),
        }  # fmt: skip
        if not {"transport", "mounts"} & settings.keys():
            # What these say is in our connections already.
            settings = {name: value for name, value in settings.items() if name not in ("verify", "cert", "proxy")}
            ours["transport"] = transport
        try:
            self.client = httpx.AsyncClient(**{**ours, **settings, "follow_redirects": False})
        except (TypeError, ValueError, ImportError) as error:
            raise UsageError(f"httpx does not take these settings ({str(error).rstrip('.')}).") from None

    async def resolve(self, url: str, fields: list[tuple[str, str]], start: int, end: int) -> Resolved:
        """Follow ``url`` to where it is served. Raises a SourceError for what stands in the way."""
        headers = [*fields, ("Range", f"bytes={start}-{end - 1}")]
        auth: Any = httpx.USE_CLIENT_DEFAULT
        try:
            request = self.client.build_request("GET", url, headers=headers)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise InvalidUrl(url, str(error).rstrip(".")) from None
        first = request
        try:
            for hops in range(MAX_REDIRECTS + 1):
                response = await self.client.send(request, stream=True, auth=auth)
                await response.aclose()
                if not response.has_redirect_location:
                    return Resolved(str(response.request.url), _repeatable(response.request), hops)
                request = self._next_hop(url, response)
                # The client would log in anywhere: its credentials are for the origin that the user named.
                auth = httpx.USE_CLIENT_DEFAULT if _same_origin(first, request) else None
        except (httpx.InvalidURL, httpx.RemoteProtocolError, httpx.UnsupportedProtocol) as error:
            reason = str(error).rstrip(".")
            raise RedirectRefused(url, f"a redirect that cannot be followed ({reason})") from None
        except httpx.HTTPError as error:
            raise _fault(url, error) from None
        raise RedirectRefused(url, f"more than {MAX_REDIRECTS} redirects")

    def _next_hop(self, url: str, response: httpx.Response) -> httpx.Request:
        location = response.headers["location"]
        if any(ord(c) < 32 or ord(c) == 127 for c in location):
            raise RedirectRefused(url, "a redirect with a control character in it")
        old, new = response.request, response.next_request
        if new is None or new.url.scheme not in ("http", "https"):
            raise RedirectRefused(url, f"a redirect to {location.split(':')[0][:40]}:, which is no web address")
        if old.url.scheme == "https" and new.url.scheme == "http":
            advice = "ask for the http address yourself if you trust it"
            raise RedirectRefused(url, "a redirect from https to http", advice)
        _check_location(url, old.url.scheme, location)
        if _same_origin(old, new):
            # httpx takes the user's own Cookie header out even where nothing is left behind.
            if "cookie" in old.headers:
                new.headers.setdefault("cookie", old.headers["cookie"])
            return new
        for name in list(new.headers):
            if name not in _ANYWHERE and name not in ("host", "connection"):
                del new.headers[name]
        self._cookies_with_a_domain().set_cookie_header(new)
        return new

    def _cookies_with_a_domain(self) -> httpx.Cookies:
        """Cookies that the user handed in without saying for which host are for the first one alone."""
        named = httpx.Cookies()
        for cookie in self.client.cookies.jar:
            if cookie.domain:
                named.jar.set_cookie(cookie)
        return named

    async def raw_body(
        self, url: str, final_url: str, fields: list[tuple[bytes, bytes]], coding: str | None, *, outside: bool
    ) -> AsyncGenerator[bytes, None]:  # fmt: skip
        """The whole of ``final_url`` as sent, in the coding of an earlier answer (None: none). ``outside``: by an
        address of the public internet alone. Raises SourceError."""
        try:
            # What logs in is among the fields already; the client's own would follow to any origin.
            held = {OUTSIDE: outside}
            async with self.client.stream("GET", final_url, headers=fields, auth=None, extensions=held) as response:
                if response.status_code != 200 or response.headers.get("content-encoding") != coding:
                    raise BadResponse(url, f"it answers otherwise each time (now {response.status_code})")
                async for raw in response.aiter_raw():
                    yield raw
        except httpx.TimeoutException:
            raise TimedOut(url, "silent for too long") from None
        except httpx.HTTPError:
            raise ConnectionLost(url, "closed in the middle of the body") from None

    async def close(self) -> None:
        await self.client.aclose()


def _repeatable(request: httpx.Request) -> list[tuple[str, str]]:
    return [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in request.headers.raw
        if name.decode("latin-1").lower() not in _NOT_REPEATED
    ]


def _check_location(url: str, scheme: str, location: str) -> None:
    """httpx mends what is no host or may be two; a redirect comes from outside and is not guessed at."""
    try:
        parts = urlsplit(location)
        if parts.scheme or parts.netloc:
            parse_url(location if parts.scheme else f"{scheme}:{location}")
    except (ValueError, InvalidUrl) as error:
        reason = error.reason if isinstance(error, InvalidUrl) else str(error)
        raise RedirectRefused(url, f"a redirect that cannot be followed ({reason})") from None


def _same_origin(one: httpx.Request, other: httpx.Request) -> bool:
    return _origin(one.url) == _origin(other.url)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _fault(url: str, error: httpx.HTTPError) -> SourceError:
    if isinstance(error, httpx.TimeoutException):
        return TimedOut(url, "did not answer in time")
    where = _origin_of(error) or url
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, SourceError):
            # From a connection of ours, which names a proxy where that is to blame.
            cause.url = where if not cause.url.startswith("proxy ") else cause.url
            return cause
        if isinstance(cause, ssl.SSLError | socket.gaierror | ConnectionError):
            found = connect_fault(where, cause)
            if isinstance(found, SourceError):
                return found
        cause = cause.__cause__ or cause.__context__
    return ConnectFailed(where, "could not be reached")


def _origin_of(error: httpx.HTTPError) -> str:
    """Who could not be reached: after a redirect it is not whom the user named."""
    try:
        url = error.request.url
    except RuntimeError:
        return ""
    return str(url.copy_with(userinfo=b"", path="/", query=None, fragment=None))


def context_of(settings: Mapping[str, Any]) -> ssl.SSLContext | None:
    """The TLS context that httpx would make of these settings."""
    verify = settings.get("verify", True)
    if isinstance(verify, ssl.SSLContext):
        return verify
    return httpx.create_ssl_context(verify=verify, cert=settings.get("cert"), trust_env=False)


class _Suffixes(DefaultCookiePolicy):
    """The standard library knows no public suffixes."""

    def set_ok_domain(self, cookie: StoredCookie, request: Any) -> bool:
        is_super = cookie.domain_specified and is_public_suffix(cookie.domain.lstrip("."))
        return not is_super and bool(super().set_ok_domain(cookie, request))


def jar_of(cookies: Iterable[Cookie]) -> CookieJar:
    """Cookies of ours as httpx takes them."""
    jar = CookieJar(_Suffixes())
    for each in cookies:
        domain = f".{each.domain}" if each.is_for_below else each.domain
        jar.set_cookie(StoredCookie(
            0, each.name, each.value, None, False, domain, True, each.is_for_below, each.path, True, each.is_secure,
            None if each.expires is None else int(each.expires), each.expires is None, None, None, {},
        ))  # fmt: skip
    return jar
