"""From a URL to the bytes of a request head: where to connect, what to say. Pure but for nothing.

One parser decides the host for the connection, the Host header and every look-up of credentials (curl and
requests leaked passwords where two parsers disagreed on an odd authority).
"""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote, unquote, urlsplit

from thunderdl.errors import InvalidUrl

_WEB_PORTS = {"http": 80, "https": 443}
DEFAULT_PORTS = {**_WEB_PORTS, "ftp": 21, "ftps": 990, "ftpes": 21, "sftp": 22}
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_HOST = re.compile(r"[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\]")
_PLAIN = re.compile(r"(https?)://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,4})?)(/[A-Za-z0-9/._~-]*)")
# Already encoded escapes stay as they are; anything else that a request line cannot carry is encoded.
_SAFE = "/%:@!$&'()*+,;=~-._?[]|^`{}\"<>\\"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where connections go: two URLs with equal endpoints may share one. ``proxy``: its URL, or None. ``login``: user
    and password, where a protocol logs in with the connection rather than with each request. ``outside``: only an
    address of the public internet may be connected to."""

    scheme: str
    host: str
    port: int
    proxy: str | None = None
    login: tuple[str, str] | None = field(default=None, repr=False)
    outside: bool = False

    @property
    def authority(self) -> str:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return shown if self.port == DEFAULT_PORTS.get(self.scheme, 0) else f"{shown}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}" if self.scheme != "data" else "data:"


@dataclass(frozen=True, slots=True)
class Address:
    """A URL taken apart: ``target`` is the request target in origin form; credentials as given, decoded."""

    endpoint: Endpoint
    target: str
    user: str | None = None
    password: str = ""

    def staying(self, *, outside: bool) -> Address:
        """The same, to be connected to on the public internet alone, or anywhere."""
        return replace(self, endpoint=replace(self.endpoint, outside=outside)) if outside else self

    @property
    def url(self) -> str:
        """The URL without credentials."""
        return self.endpoint.origin + self.target


@functools.lru_cache(maxsize=256)
def _endpoint(scheme: str, authority: str, proxy: str | None) -> Endpoint:
    host, _, port = authority.partition(":")
    return Endpoint(scheme, host, int(port) if port else DEFAULT_PORTS[scheme], proxy)


def parse_url(url: str, proxy: str | None = None, ports: Mapping[str, int] = _WEB_PORTS) -> Address:
    """Take an http or https URL apart; InvalidUrl says what is wrong with it. ``ports``: other schemes instead."""
    if plain := _PLAIN.fullmatch(url):
        # What nearly every line of a long list looks like: 200,000 of them take seconds otherwise.
        return Address(_endpoint(plain[1], plain[2], proxy), plain[3])
    text = url.strip(" ")
    if _CONTROL.search(text.replace(" ", "")):
        raise InvalidUrl(url, "it holds a control character")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise InvalidUrl(url, str(error)) from None
    scheme = parts.scheme.lower()
    if scheme not in ports:
        hint = f"write {f'https://{text}'!r}" if "://" not in text else f"no such protocol as {scheme!r} here"
        raise InvalidUrl(url, hint)
    if "\\" in parts.netloc:
        # Some parsers end the host here, others do not: which host the password is for must not be a question.
        raise InvalidUrl(url, "its host holds a backslash")
    authority = parts.netloc.rpartition("@")[2]
    host = _ascii_host(url, (parts.hostname or "").rstrip("."))
    if not host or not _HOST.match(authority if authority.isascii() else host):
        raise InvalidUrl(url, "it names no host")
    endpoint = Endpoint(scheme, host, ports[scheme] if port is None else port, proxy)
    target = quote(parts.path or "/", safe=_SAFE) + (f"?{quote(parts.query, safe=_SAFE)}" if parts.query else "")
    # "http://:@host/" names nobody.
    user = unquote(parts.username or "") if parts.username or parts.password else None
    return Address(endpoint, target, user, unquote(parts.password or ""))


def ascii_host(name: str) -> str:
    """A host's name as connections use it: ASCII, in lower case. ValueError where it is none."""
    try:
        return _ascii_host(name, name.lower())
    except InvalidUrl as error:
        raise ValueError(error.reason) from None


def _ascii_host(url: str, host: str) -> str:
    if host.isascii():
        if host and not _HOST.fullmatch(f"[{host}]" if ":" in host else host):
            raise InvalidUrl(url, f"{host!r} is no host name")
        return host
    import idna

    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise InvalidUrl(url, f"its host is no internationalised name ({error})") from None


def with_proxy(address: Address, proxy: str | None) -> Address:
    return replace(address, endpoint=replace(address.endpoint, proxy=proxy))


def basic_auth(user: str, password: str) -> str:
    """The value of an Authorization field (RFC 7617). What a file holds goes as it is there, UTF-8 or not."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode("utf-8", "surrogateescape")).decode("ascii")


@dataclass(frozen=True, slots=True)
class Request:
    """A GET that can be repeated for any range. ``head``: request line and fields, without Range and last line;
    ``sign``: gives one more field, another for each request."""

    address: Address
    head: bytes
    sign: Callable[[], str] | None = None

    def range(self, start: int, end: int, if_range: str | None = None) -> bytes:
        """The bytes to send for ``[start, end)``."""
        condition = f"If-Range: {if_range}\r\n".encode("latin-1") if if_range else b""
        return b"%b%bRange: bytes=%d-%d\r\n%b\r\n" % (self.head, self._signed(), start, end - 1, condition)

    def whole(self) -> bytes:
        """The bytes to send for all of it."""
        return self.head + self._signed() + b"\r\n"

    def fields(self) -> list[tuple[bytes, bytes]]:
        """The fields to repeat where somebody else makes the connection: all but Host and the proxy's."""
        lines = [line.partition(b": ") for line in (self.head + self._signed()).split(b"\r\n")[2:] if line]
        return [(name, value) for name, _, value in lines if name.lower() != b"proxy-authorization"]

    def plain_fields(self) -> list[tuple[str, str]]:
        """The same as text."""
        return [(name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape"))
                for name, value in self.fields()]  # fmt: skip

    def _signed(self) -> bytes:
        return f"{self.sign()}\r\n".encode("utf-8", "surrogateescape") if self.sign else b""


def build_request(
    address: Address, fields: list[tuple[str, str]], sign: Callable[[], str] | None = None
) -> Request:  # fmt: skip
    """``fields``: all but Host, Range and those of the connection; the caller has checked that none holds a newline."""
    endpoint = address.endpoint
    # A proxy for plain http is spoken to in absolute form (RFC 9112 section 3.2.2), a tunnel as the server itself.
    forwarded = endpoint.scheme == "http" and (endpoint.proxy or "").startswith("http")
    target = address.url if forwarded else address.target
    line = f"GET {target} HTTP/1.1\r\n".encode("utf-8", "surrogateescape")
    return Request(address, line + _field_block(endpoint, tuple(fields), forwarded), sign)


@functools.lru_cache(maxsize=256)
def _field_block(endpoint: Endpoint, fields: tuple[tuple[str, str], ...], forwarded: bool) -> bytes:
    lines = [f"Host: {endpoint.authority}", *(f"{name}: {value}" for name, value in fields)]
    if forwarded and endpoint.proxy:
        proxy = urlsplit(endpoint.proxy)
        if proxy.username is not None:
            lines.append(f"Proxy-Authorization: {basic_auth(unquote(proxy.username), unquote(proxy.password or ''))}")
    return ("\r\n".join(lines) + "\r\n").encode("utf-8", "surrogateescape")
