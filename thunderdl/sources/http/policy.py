"""What httpx decides: redirects, cookies, the user's own client settings. It moves no bytes of the file.

It asks once, with a range, follows every hop by hand and hands back the request that worked, for lanes to
repeat. Credentials and the user's headers go to the origin (scheme, host, port) that they are for and to no
other (curl CVE-2022-27774 and -27776, CVE-2018-1000007); https never becomes http by a redirect.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import LoadError, MozillaCookieJar
from typing import Any

import httpx

from thunderdl.errors import ConnectFailed, InvalidUrl, RedirectRefused, SourceError, TimedOut, TlsFailure, UsageError

MAX_REDIRECTS = 20
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
        self, *, context: ssl.SSLContext, proxy: str | None, cookies: str | None, timeout_s: float,
        settings: Mapping[str, Any],
    ) -> None:  # fmt: skip
        ours: dict[str, Any] = {
            "verify": context, "proxy": proxy, "timeout": timeout_s, "trust_env": False, "headers": {},
            "cookies": load_cookies(cookies) if cookies else None,
        }  # fmt: skip
        self.client = httpx.AsyncClient(**{**ours, **settings, "follow_redirects": False})

    async def resolve(self, url: str, fields: list[tuple[str, str]], start: int, end: int) -> Resolved:
        """Follow ``url`` to where it is served. Raises a SourceError for what stands in the way."""
        headers = [*fields, ("Range", f"bytes={start}-{end - 1}")]
        try:
            request = self.client.build_request("GET", url, headers=headers)
            for hops in range(MAX_REDIRECTS + 1):
                response = await self.client.send(request, stream=True)
                await response.aclose()
                if not response.has_redirect_location:
                    return Resolved(str(response.request.url), _repeatable(response.request), hops)
                request = _next_hop(url, response)
        except httpx.InvalidURL as error:
            raise InvalidUrl(url, str(error)) from None
        except httpx.RemoteProtocolError as error:
            raise RedirectRefused(url, f"a redirect that cannot be followed ({error})") from None
        except httpx.HTTPError as error:
            raise _fault(url, error) from None
        raise RedirectRefused(url, f"more than {MAX_REDIRECTS} redirects")

    async def close(self) -> None:
        await self.client.aclose()


def _repeatable(request: httpx.Request) -> list[tuple[str, str]]:
    return [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in request.headers.raw
        if name.decode("latin-1").lower() not in _NOT_REPEATED
    ]


def _next_hop(url: str, response: httpx.Response) -> httpx.Request:
    old, new = response.request, response.next_request
    if any(ord(c) < 32 or ord(c) == 127 for c in response.headers["location"]):
        raise RedirectRefused(url, "a redirect with a control character in it")
    if new is None or new.url.scheme not in ("http", "https"):
        raise RedirectRefused(
            url, f"a redirect to {response.headers['location'].split(':')[0]}:, which is no web address"
        )
    if old.url.scheme == "https" and new.url.scheme == "http":
        raise RedirectRefused(url, "a redirect from https to http", "ask for the http address yourself if you trust it")
    if (old.url.scheme, old.url.host, old.url.port) != (new.url.scheme, new.url.host, new.url.port):
        for name in list(new.headers):
            # The cookie jar has put in what is for the new host; httpx took out Authorization.
            if name not in _ANYWHERE and name not in ("host", "connection", "cookie"):
                del new.headers[name]
        if old.headers.get("cookie") == new.headers.get("cookie"):
            new.headers.pop("cookie", None)
    return new


def _fault(url: str, error: httpx.HTTPError) -> SourceError:
    if isinstance(error, httpx.TimeoutException):
        return TimedOut(url, "did not answer in time")
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return TlsFailure(url, f"TLS failed ({getattr(cause, 'verify_message', '') or cause.reason})")
        cause = cause.__cause__ or cause.__context__
    return ConnectFailed(url, f"could not be reached ({str(error) or type(error).__name__})")


def load_cookies(path: str) -> MozillaCookieJar:
    """Cookies of a Netscape file; UsageError where it is none."""
    jar = MozillaCookieJar(path)
    try:
        jar.load(ignore_discard=True, ignore_expires=False)
    except (LoadError, OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no Netscape cookie file"
        raise UsageError(f"--cookies {path}: {reason}.") from None
    return jar
