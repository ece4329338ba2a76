"""Making connections: name, TCP, proxy, TLS; blocking, in a small pool of threads, off the loop and the movers."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

from thunderdl.errors import ConnectFailed, NoSuchHost, TimedOut, TlsFailure, UsageError, shown_url
from thunderdl.sources.http.wire import Endpoint

# Two wide reads' worth: a full window on a fast path, and no more memory than that for each lane.
CONNECT_TIMEOUT_S = 15.0


class TlsSettings:
    """The TLS context, made when first needed: loading the system's certificates takes 20 ms.

    ``ca``: file or folder of further roots; ``insecure``: check nothing; ``make``: gives the user's own context,
    or None for ours.
    """

    def __init__(
        self, *, ca: str | None = None, insecure: bool = False,
        make: Callable[[], ssl.SSLContext | None] = lambda: None,
    ) -> None:  # fmt: skip
        self._ca, self._insecure, self._own = ca, insecure, make
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()

    def context(self, protocol: str = "http/1.1") -> ssl.SSLContext:
        """``protocol``: what it is for, as ALPN calls it; vsftpd 3.0.4 hangs up on a client that names another."""
        with self._lock:
            if protocol not in self._contexts:
                self._contexts[protocol] = self._own() or self._make(protocol)
            return self._contexts[protocol]

    def _make(self, protocol: str) -> ssl.SSLContext:
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
        context.set_alpn_protocols([protocol])
        return context


def connect(endpoint: Endpoint, tls: TlsSettings, timeout_s: float) -> socket.socket:
    """A connected, non-blocking socket to ``endpoint``, TLS done. Raises a SourceError that says what failed."""
    url, timeout_s = endpoint.origin, min(timeout_s, CONNECT_TIMEOUT_S)
    sock = tcp(endpoint, timeout_s)
    try:
        if endpoint.scheme == "https":
            sock.settimeout(timeout_s)
            sock = tls.context().wrap_socket(sock, server_hostname=endpoint.host)
        sock.setblocking(False)
        return sock
    except BaseException as error:
        sock.close()
        raise connect_fault(url, error) from None


def tcp(endpoint: Endpoint, timeout_s: float) -> socket.socket:
    """A connected, blocking socket, through the proxy where there is one. Raises a SourceError."""
    timeout_s = min(timeout_s, CONNECT_TIMEOUT_S)
    url = endpoint.origin
    sock = _proxied(endpoint, timeout_s) if endpoint.proxy else _direct(endpoint.host, endpoint.port, url, timeout_s)
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


_PROXIES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")


def check_proxy(proxy: str) -> None:
    """Raise UsageError where this is no proxy's URL."""
    try:
        parts = urlsplit(proxy)
        right = parts.scheme in _PROXIES and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        right = False
    if not right or not proxy.isprintable():
        raise UsageError(f"--proxy {shown_url(proxy)} is no proxy; write http://HOST:PORT or socks5://HOST:PORT.")


def _direct(host: str, port: int, url: str, timeout_s: float) -> socket.socket:
    try:
        return socket.create_connection((host, port), timeout_s)
    except OSError as error:
        raise connect_fault(url, error) from None


def _proxied(endpoint: Endpoint, timeout_s: float) -> socket.socket:
    proxy_url = endpoint.proxy or ""
    parts = urlsplit(proxy_url)
    if endpoint.scheme == "http" and parts.scheme == "http":
        # Plain http needs no tunnel: many proxies allow CONNECT to port 443 alone.
        return _direct(parts.hostname or "", parts.port or 8080, f"proxy {shown_url(proxy_url)}", timeout_s)
    if endpoint.scheme not in ("http", "https") and parts.scheme == "http":
        return _tunnelled(endpoint, parts, f"proxy {shown_url(proxy_url)}", timeout_s)
    from python_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError
    from python_socks.sync import Proxy

    where = f"proxy {shown_url(proxy_url)}"
    try:
        # Names are resolved by the proxy: nothing of them leaks to the local resolver.
        proxy = Proxy.from_url(proxy_url.replace("socks5h://", "socks5://"), rdns=True)
        return proxy.connect(dest_host=endpoint.host, dest_port=endpoint.port, timeout=timeout_s)
    except ProxyTimeoutError:
        raise TimedOut(where, "did not answer in time") from None
    except ProxyConnectionError as error:
        raise ConnectFailed(where, f"could not be reached ({error.strerror or 'refused'})") from None
    except ProxyError as error:
        raise ConnectFailed(where, f"refused to connect to {endpoint.authority} ({error})") from None
    except ValueError as error:
        raise UsageError(f"--proxy: {error}.") from None


def _tunnelled(endpoint: Endpoint, proxy: SplitResult, where: str, timeout_s: float) -> socket.socket:
    from thunderdl.sources.http.tunnel import open_tunnel

    sock = _direct(proxy.hostname or "", proxy.port or 8080, where, timeout_s)
    try:
        open_tunnel(sock, proxy, endpoint.host, endpoint.port, where)
    except BaseException as error:
        sock.close()
        raise connect_fault(where, error) from None
    return sock


def connect_fault(url: str, error: BaseException) -> BaseException:
    """The error of our tree for what the system said while connecting; what is none of its own comes back."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsFailure(url, f"its certificate is not valid: {error.verify_message}", _tls_advice(error))
    if isinstance(error, TimeoutError):
        return TimedOut(url, "did not answer in time")
    if isinstance(error, ssl.SSLError):
        return TlsFailure(url, f"TLS failed ({error.reason or error})")
    if isinstance(error, socket.gaierror):
        if error.errno == socket.EAI_AGAIN:
            return ConnectFailed(url, "its name could not be looked up just now", "check the network")
        return NoSuchHost(url, "no such host", "check the spelling")
    if isinstance(error, ConnectionRefusedError):
        return ConnectFailed(url, "connection refused", "check the port and whether the server runs")
    if isinstance(error, OSError):
        return ConnectFailed(url, f"could not connect ({error.strerror or type(error).__name__})")
    return error


def _tls_advice(error: ssl.SSLCertVerificationError) -> str:
    # X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, DEPTH_ZERO_SELF_SIGNED_CERT, UNABLE_TO_GET_ISSUER_CERT_LOCALLY
    unknown_root = error.verify_code in (18, 19, 20)
    return "name its authority with --ca if you trust it" if unknown_root else ""
