"""Making connections: name, TCP, proxy, TLS; blocking, in a small pool of threads, off the loop and the movers.

A proxy's password goes to that proxy, a client certificate to the servers that the user named: to nobody else.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, cast
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from thunderdl.core.inward import is_inward
from thunderdl.errors import (
    ConnectFailed,
    NoSuchHost,
    RedirectRefused,
    SourceError,
    TimedOut,
    TlsFailure,
    UsageError,
    printable,
    shown_url,
)
from thunderdl.sources.http.dialing import LeadsInward, Reach, dial
from thunderdl.sources.http.faults import certificate_refused
from thunderdl.sources.http.nested_tls import NestedTls
from thunderdl.sources.http.wire import Endpoint

if TYPE_CHECKING:
    from python_socks.sync import Proxy

CONNECT_TIMEOUT_S = 15.0
Wire = socket.socket | NestedTls


class TlsSettings:
    """The TLS contexts, made when first needed: loading the system's certificates takes 20 ms.

    ``ca``: file or folder of further roots; ``insecure``: check nothing; ``make``: gives the user's own context,
    or None for ours. ``certificate``: what to show to the origins in :attr:`shown_to`.
    """

    def __init__(
        self, *, ca: str | None = None, insecure: bool = False,
        make: Callable[[], ssl.SSLContext | None] = lambda: None, certificate: Certificate | None = None,
    ) -> None:  # fmt: skip
        self._ca, self._insecure, self._own, self._certificate = ca, insecure, make, certificate
        self.shown_to: set[str] = set()
        self._made: dict[tuple[bool, str], ssl.SSLContext] = {}
        self._lock = threading.Lock()

    def context(self, origin: str = "", protocol: str = "http/1.1") -> ssl.SSLContext:
        """The one for connections to ``origin``; for a proxy's own, none is given. ``protocol``: what it is for, as
        ALPN calls it; vsftpd 3.0.4 hangs up on a client that names another. With h2, HTTP/1.1 is offered, too."""
        shows = self._certificate is not None and origin in self.shown_to
        with self._lock:
            if (shows, protocol) not in self._made:
                made = self._own() or self._make(self._certificate if shows else None, protocol)
                self._made[shows, protocol] = made
            return self._made[shows, protocol]

    def _make(self, certificate: Certificate | None, protocol: str) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._ca:
            try:
                import os

                folder = os.path.isdir(self._ca)
                context.load_verify_locations(None if folder else self._ca, self._ca if folder else None)
            except (OSError, ssl.SSLError) as error:
                reason = error.strerror or "not a file of certificates"
                raise UsageError(f"--ca {self._ca}: {reason}; give a PEM file or a hashed folder.") from None
        if self._insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if certificate is not None:
            certificate.load_into(context)
        context.set_alpn_protocols([protocol] if protocol != "h2" else [protocol, "http/1.1"])
        return context


class Certificate:
    """A client certificate: ``chain`` and ``key`` are PEM files, the key may be in the chain's."""

    def __init__(self, chain: str, key: str | None, password: str | None) -> None:
        self._chain, self._key, self._password = chain, key, password

    def load_into(self, context: ssl.SSLContext) -> None:
        """Have connections of ``context`` show it. Raises UsageError where it is unusable."""
        asked: list[bool] = []

        def password() -> str:
            # Without this, OpenSSL would ask on the terminal, in the middle of whatever is drawn there.
            asked.append(True)
            return self._password or ""

        try:
            context.load_cert_chain(self._chain, self._key, password)
        except (OSError, ssl.SSLError, ValueError) as error:
            if asked:
                reason = "its key needs a password" if self._password is None else "the password does not open its key"
                reason += "; set THUNDERDL_CERT_PASSWORD"
            elif isinstance(error, ssl.SSLError):
                reason = "not a certificate and its key in PEM form; the key may be in a file of its own, --cert-key"
            else:
                reason = getattr(error, "strerror", None) or "unreadable"
            raise UsageError(f"--cert {printable(self._chain)}: {reason}.") from None


def connect(
    endpoint: Endpoint, tls: TlsSettings, timeout_s: float, reach: Reach | None = None, protocol: str = "http/1.1"
) -> Wire:  # fmt: skip
    """A connected, non-blocking socket to ``endpoint``, TLS done. Raises a SourceError that says what failed.

    ``protocol``: see :meth:`TlsSettings.context`.
    """
    url, timeout_s = endpoint.origin, min(timeout_s, CONNECT_TIMEOUT_S)
    plain = tcp(endpoint, tls, timeout_s, reach)
    sock: Wire = plain
    try:
        if endpoint.scheme == "https":
            sock = _wrapped(plain, tls.context(url, protocol), endpoint.host)
        sock.setblocking(False)
        return sock
    except BaseException as error:
        sock.close()
        raise connect_fault(url, error) from None


def _wrapped(sock: socket.socket, context: ssl.SSLContext, host: str) -> Wire:
    if not isinstance(sock, ssl.SSLSocket):
        return context.wrap_socket(sock, server_hostname=host)
    nested = NestedTls(sock, context, host)
    nested.do_handshake()
    return nested


def tcp(endpoint: Endpoint, tls: TlsSettings, timeout_s: float, reach: Reach | None = None) -> socket.socket:
    """A connected, blocking socket, through the proxy where there is one. Raises a SourceError."""
    url, timeout_s, reach = endpoint.origin, min(timeout_s, CONNECT_TIMEOUT_S), reach or Reach()
    if endpoint.proxy:
        return _proxied(endpoint, endpoint.proxy, tls, reach, timeout_s)
    return _direct(endpoint.host, endpoint.port, url, reach, timeout_s, outside=endpoint.outside)


# With their usual ports.
_PROXIES = {"http": 8080, "https": 443, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}


def check_proxy(proxy: str) -> None:
    """Raise UsageError where this is no proxy's URL."""
    try:
        parts = urlsplit(proxy)
        right = parts.scheme in _PROXIES and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        right = False
    if not right or not proxy.isprintable():
        raise UsageError(f"--proxy {shown_url(proxy)} is no proxy; write http://HOST:PORT or socks5://HOST:PORT.")


def _direct(
    host: str, port: int, where: str, reach: Reach, timeout_s: float, *, outside: bool = False
) -> socket.socket:
    try:
        sock = dial(host, port, reach, timeout_s, outside=outside)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    except OSError as error:
        raise connect_fault(where, error) from None


def _proxied(endpoint: Endpoint, proxy_url: str, tls: TlsSettings, reach: Reach, timeout_s: float) -> socket.socket:
    """To the proxy, and by a tunnel of it to the server where one is needed."""
    if endpoint.outside and _names_inward(endpoint.host):
        raise connect_fault(endpoint.origin, LeadsInward())
    parts, where = urlsplit(proxy_url), f"proxy {shown_url(proxy_url)}"
    host, port = parts.hostname or "", parts.port or _PROXIES[parts.scheme]
    sock = _direct(host, port, where, reach, timeout_s)
    try:
        if parts.scheme == "https":
            sock = tls.context().wrap_socket(sock, server_hostname=host)
        if endpoint.scheme == "http" and parts.scheme in ("http", "https"):
            # Plain http needs no tunnel: many proxies allow CONNECT to port 443 alone.
            return sock
        if endpoint.scheme not in ("http", "https") and parts.scheme in ("http", "https"):
            # A server that greets first may be heard with the proxy's answer: no byte of that may get lost.
            from thunderdl.sources.http.tunnel import open_tunnel

            open_tunnel(sock, parts, endpoint.host, endpoint.port, where)
            return sock
        return _tunnelled(endpoint, _tunnel(parts, sock), reach, where, timeout_s)
    except BaseException as error:
        sock.close()
        raise connect_fault(where, error) from None


class _Reached:
    """In the place of a proxy before the proxy: the connection to it is there already."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def connect(self, **_: object) -> socket.socket:
        return self._sock


# Of a user, and of a password (RFC 1929 section 2): their length is one octet.
_MOST_LOGIN_BYTES = 255


class _Octets(str):
    """Octets as a text of one character each, which becomes them again however it is encoded.

    To SOCKS a login is octets (RFC 1929); python-socks 3.2 encodes as ASCII there, and its error shows the character
    that it could not, one of a password; to HTTP as Latin-1, where our own ``basic_auth`` sends UTF-8.
    """

    __slots__ = ()

    @classmethod
    def of(cls, escaped: str) -> _Octets:
        return cls(unquote_to_bytes(escaped).decode("latin-1"))

    def encode(self, encoding: str = "", errors: str = "") -> bytes:
        return super().encode("latin-1")


def _tunnel(parts: SplitResult, sock: socket.socket) -> Proxy:
    from python_socks import ProxyType
    from python_socks.sync import Proxy

    user, password = (None if each is None else _Octets.of(each) for each in (parts.username, parts.password))
    if parts.scheme.startswith("socks5") and max(len(user or ""), len(password or "")) > _MOST_LOGIN_BYTES:
        raise UsageError(
            f"--proxy: its user or password is longer than the {_MOST_LOGIN_BYTES} bytes that SOCKS 5 has."
        )
    kinds = {"http": ProxyType.HTTP, "https": ProxyType.HTTP, "socks4": ProxyType.SOCKS4, "socks4a": ProxyType.SOCKS4}
    return Proxy(
        kinds.get(parts.scheme, ProxyType.SOCKS5), parts.hostname or "", parts.port or 0,
        username=user, password=password,
        # Names are resolved by the proxy, so that nothing of them leaks to the local resolver: all but SOCKS 4 can.
        rdns=parts.scheme != "socks4", forward=cast(Proxy, _Reached(sock)),
    )  # fmt: skip


def _tunnelled(endpoint: Endpoint, proxy: Proxy, reach: Reach, where: str, timeout_s: float) -> socket.socket:
    from python_socks import ProxyError, ProxyTimeoutError

    from thunderdl.sources.http.proxy_refusals import refusal

    host = endpoint.host
    try:
        if where.startswith("proxy socks4:"):
            places = reach.places(host, endpoint.port)
            host = next((str(place[0]) for family, place in places if family == socket.AF_INET), host)
        return proxy.connect(host, endpoint.port, timeout=timeout_s)
    except ProxyTimeoutError:
        raise TimedOut(where, "did not answer in time") from None
    except ProxyError as error:
        raise refusal(where, endpoint.authority, str(error), error.error_code) from None
    except socket.gaierror as error:
        raise connect_fault(endpoint.origin, error) from None
    except ValueError as error:
        raise UsageError(f"--proxy: {error}.") from None


def connect_fault(url: str, error: BaseException) -> BaseException:
    """The error of our tree for what the system said while connecting; what is none of its own comes back."""
    if isinstance(error, SourceError):
        return error
    if isinstance(error, LeadsInward):
        return RedirectRefused(url, "it leads into this machine or its network", "name it with -m if you trust it")
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsFailure(url, f"its certificate is not valid: {error.verify_message}", _tls_advice(error))
    if isinstance(error, TimeoutError):
        return TimedOut(url, "did not answer in time")
    if isinstance(error, ssl.SSLError):
        return certificate_refused(url, error) or TlsFailure(url, f"TLS failed ({error.reason or error})")
    if isinstance(error, socket.gaierror):
        if error.errno == socket.EAI_AGAIN:
            return ConnectFailed(url, "its name could not be looked up just now", "check the network")
        return NoSuchHost(url, "no such host", "check the spelling")
    if isinstance(error, ConnectionRefusedError):
        return ConnectFailed(url, "connection refused", "check the port and whether the server runs")
    if isinstance(error, OSError):
        return ConnectFailed(url, f"could not connect ({error.strerror or type(error).__name__})")
    return error


def _names_inward(host: str) -> bool:
    """Of a name that a proxy looks up, as much as can be told: addresses in each form of inet_aton, and this host."""
    with contextlib.suppress(OSError):
        host = socket.inet_ntoa(socket.inet_aton(host))
    return is_inward(host) or host.lower().rstrip(".").rpartition(".")[2] == "localhost"


def _tls_advice(error: ssl.SSLCertVerificationError) -> str:
    # X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, DEPTH_ZERO_SELF_SIGNED_CERT, UNABLE_TO_GET_ISSUER_CERT_LOCALLY
    unknown_root = error.verify_code in (18, 19, 20)
    return "name its authority with --ca if you trust it" if unknown_root else ""
