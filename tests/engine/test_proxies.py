"""Ways through a proxy: absolute form, tunnels, passwords, and proxies that are none or not there."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from pathlib import Path
from typing import Any, Self

import pytest

from tests.engine.runs import all_say, content_of, failed, fetch
from tests.servers import misbehave as m
from tests.servers import real
from tests.servers.certificates import Certificates
from tests.servers.loopback import LoopbackServer, Resource
from tests.servers.proxy import ProxyServer
from thunderdl.errors import AccessDenied, ConnectFailed, ThunderdlError, TlsFailure, UsageError
from thunderdl.reach import Resolve

SECRET = base64.b64encode(b"u:p").decode()


@pytest.mark.parametrize("by", ["option", "environment"])
def test_plain_http_by_a_proxy(
    tmp_path: Path, server: LoopbackServer, content: bytes, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    server.resources["/f"] = Resource(body=content)
    with ProxyServer() as proxy:
        if by == "environment":
            monkeypatch.setenv("http_proxy", proxy.url)
        changes: dict[str, Any] = {"proxy": proxy.url} if by == "option" else {}
        assert content_of(fetch(server.url("/f"), tmp_path, **changes)) == content
        assert proxy.heads
        assert all(head.startswith(f"GET {server.url('/f')} HTTP/1.1\r\n") for head in proxy.heads)


def test_no_proxy_for_those_excepted(tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.resources["/f"] = Resource(body=b"x")
    with ProxyServer() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "example.org, 127.0.0.1")
        assert content_of(fetch(server.url("/f"), tmp_path)) == b"x"
        assert proxy.heads == []


def test_https_by_a_tunnel(tmp_path: Path, certificates: Certificates, content: bytes) -> None:
    with (
        LoopbackServer({"/f": Resource(body=content)}, tls=certificates.good().server_context()) as server,
        ProxyServer(password=base64.b64encode(b"u:p").decode()) as proxy,
    ):
        by = proxy.url.replace("//", "//u:p@")
        result = fetch(server.url("/f"), tmp_path, proxy=by, ca=str(certificates.ca_file))
        assert content_of(result) == content
        assert all(head.startswith(f"CONNECT 127.0.0.1:{server.port} ") for head in proxy.heads)
        assert all_say(server, "Proxy-Authorization", None)


def test_a_wrong_certificate_behind_a_tunnel(tmp_path: Path, certificates: Certificates) -> None:
    with (
        LoopbackServer({"/f": Resource(body=b"x")}, tls=certificates.wrong_host().server_context()) as server,
        ProxyServer() as proxy,
    ):
        result = fetch(server.url("/f"), tmp_path, proxy=proxy.url, ca=str(certificates.ca_file))
        failed(result, TlsFailure, 12)
        assert server.requests == []


def test_a_redirect_by_a_proxy(tmp_path: Path, server: LoopbackServer, content: bytes) -> None:
    server.resources["/f"] = Resource(body=b"", behaviour=m.redirect("/g"))
    server.resources["/g"] = Resource(body=content)
    with ProxyServer(password=base64.b64encode(b"u:p").decode()) as proxy:
        assert content_of(fetch(server.url("/f"), tmp_path, proxy=proxy.url.replace("//", "//u:p@"))) == content
        assert len(proxy.heads) >= len(server.requests)
        assert all_say(server, "Proxy-Authorization", None)


def test_a_proxy_that_wants_a_password(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = Resource(body=b"x")
    with ProxyServer(password="dTpw") as proxy:
        failed(fetch(server.url("/f"), tmp_path, proxy=proxy.url), AccessDenied, 5, "407", "--proxy")
        assert server.requests == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_refuses(tmp_path: Path, certificates: Certificates, scheme: str) -> None:
    with ProxyServer(refuses=True) as proxy:
        target = f"{scheme}://127.0.0.1:1/f"
        result = fetch(target, tmp_path, proxy=proxy.url.replace("//", "//u:secret@"), ca=str(certificates.ca_file))
    assert isinstance(result.error, ThunderdlError)
    assert "secret" not in str(result.error)


@pytest.mark.parametrize("proxy", ["http://u:secret@127.0.0.1:1", "socks5://u:secret@127.0.0.1:1"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there(tmp_path: Path, proxy: str, scheme: str) -> None:
    result = fetch(f"{scheme}://127.0.0.1:1/f", tmp_path, proxy=proxy)
    failed(result, ConnectFailed, 4, "proxy")
    assert "secret" not in str(result.error)


@pytest.mark.parametrize("proxy", ["bogus://h", "http://", "127.0.0.1:1", "http://h:99999", "\nhttp://h", "ftp://h:1"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_none(tmp_path: Path, proxy: str, scheme: str) -> None:
    failed(fetch(f"{scheme}://127.0.0.1:1/f", tmp_path, proxy=proxy), UsageError, 2, "proxy")


# By TLS to the proxy.


def test_plain_http_by_a_proxy_that_is_spoken_to_by_tls(
    tmp_path: Path, server: LoopbackServer, certificates: Certificates, content: bytes
) -> None:
    server.resources["/f"] = Resource(body=content)
    with ProxyServer(password=SECRET, tls=certificates.good().server_context()) as proxy:
        by = proxy.url.replace("//", "//u:p@")
        assert content_of(fetch(server.url("/f"), tmp_path, proxy=by, ca=str(certificates.ca_file))) == content
        assert all(head.startswith("GET http://") for head in proxy.heads)
        assert all_say(server, "Proxy-Authorization", None)


def test_https_in_a_tunnel_of_tls(tmp_path: Path, certificates: Certificates, content: bytes) -> None:
    tls = certificates.good().server_context()
    with (
        LoopbackServer({"/f": Resource(body=content * 8)}, tls=tls) as server,
        ProxyServer(password=SECRET, tls=certificates.good().server_context()) as proxy,
    ):
        by = proxy.url.replace("//", "//u:p@")
        result = fetch(server.url("/f"), tmp_path, proxy=by, ca=str(certificates.ca_file), task_limit=32 << 20)
        assert content_of(result) == content * 8
        assert all(head.startswith("CONNECT ") for head in proxy.heads)
        assert all_say(server, "Proxy-Authorization", None)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_with_a_wrong_certificate_hears_nothing(
    tmp_path: Path, certificates: Certificates, scheme: str
) -> None:
    """S1: the password of the proxy and the address asked for are not for whoever answers there."""
    with ProxyServer(tls=certificates.wrong_host().server_context()) as proxy:
        by = proxy.url.replace("//", "//u:secret@")
        result = fetch(f"{scheme}://127.0.0.1:1/f", tmp_path, proxy=by, ca=str(certificates.ca_file))
        failed(result, TlsFailure, 12, "proxy")
        assert "secret" not in str(result.error)
        assert proxy.heads == []


def test_no_client_certificate_for_a_proxy(tmp_path: Path, certificates: Certificates, server: LoopbackServer) -> None:
    mine = certificates.client()
    with ProxyServer(tls=certificates.asking_context()) as proxy:
        result = fetch(
            server.url("/f"), tmp_path, proxy=proxy.url, ca=str(certificates.ca_file), cert=str(mine.chain),
            cert_key=str(mine.key),
        )  # fmt: skip
        assert result.error is not None
        assert proxy.heads == []


# Which proxy.


def test_each_hop_of_a_redirect_has_its_own_proxy(tmp_path: Path, server: LoopbackServer) -> None:
    """C5: and the password of one proxy goes to no other."""
    with LoopbackServer({"/g": Resource(body=b"x")}) as other, ProxyServer() as one, ProxyServer() as two:
        server.resources["/f"] = Resource(body=b"", behaviour=m.redirect(other.url("/g")))
        by = (
            (f"127.0.0.1:{server.port}", one.url.replace("//", "//u:one@")),
            (f"127.0.0.1:{other.port}", two.url.replace("//", "//u:two@")),
        )
        assert content_of(fetch(server.url("/f"), tmp_path, proxy_for=by)) == b"x"
        given = [base64.b64encode(f"u:{name}".encode()).decode() for name in ("one", "two")]
        assert [head.count(f"Basic {given[0]}") for head in one.heads] == [1]
        assert [head.count(f"Basic {given[1]}") for head in two.heads] == [1]
        assert not any(given[0] in head for head in two.heads)
        assert all_say(server, "Proxy-Authorization", None)
        assert all_say(other, "Proxy-Authorization", None)


@pytest.mark.parametrize(
    ("changes", "is_direct"),
    [
        ({"no_proxy": "127.0.0.0/8"}, True), ({"no_proxy": "*"}, True),
        ({"no_proxy": "example.org, 10.0.0.0/8"}, False),
        ({"proxy_for": (("127.0.0.1", "direct"),)}, True), ({"proxy_for": (("*.org", "direct"),)}, False),
        ({"no_proxy": "127.0.0.1:1"}, False),
    ],
)  # fmt: skip
def test_hosts_without_a_proxy(
    tmp_path: Path, server: LoopbackServer, changes: dict[str, Any], is_direct: bool
) -> None:  # fmt: skip
    server.resources["/f"] = Resource(body=b"x")
    with ProxyServer() as proxy:
        assert content_of(fetch(server.url("/f"), tmp_path, proxy=proxy.url, **changes)) == b"x"
        assert (proxy.heads == []) is is_direct


@pytest.mark.parametrize("given", ["", "example.org"])
def test_exceptions_that_are_given_replace_those_of_the_environment(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    server.resources["/f"] = Resource(body=b"x")
    with ProxyServer() as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "*")
        assert content_of(fetch(server.url("/f"), tmp_path, no_proxy=given)) == b"x"
        assert proxy.heads


@pytest.mark.parametrize("excepted", ["127.0.0.0/8", "127.0.0.1", "*", ".example.org,127.0.0.1"])
def test_no_proxy_of_the_environment(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch, excepted: str
) -> None:
    server.resources["/f"] = Resource(body=b"x")
    with ProxyServer() as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", excepted)
        assert content_of(fetch(server.url("/f"), tmp_path)) == b"x"
        assert proxy.heads == []


# SOCKS 4: the request is of a few bytes, and no server in Debian speaks it and its extension for names.


class OneByOne:
    """A server of one connection at a time, which ``_answer`` has."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with client, contextlib.suppress(OSError):
                    self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        raise NotImplementedError


class Socks4(OneByOne):
    """``asked``: host or address of each request."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def _answer(self, client: socket.socket) -> None:
        raw = client.recv(600)
        port, address, rest = int.from_bytes(raw[2:4], "big"), raw[4:8], raw[8:]
        named = address[:3] == bytes(3)
        host = rest.split(b"\0")[1].decode() if named else socket.inet_ntoa(address)
        self.asked.append(host)
        with socket.create_connection(("127.0.0.1", port)) as server:
            client.sendall(b"\0\x5a" + bytes(6))
            server.sendall(client.recv(65536))
            while part := server.recv(65536):
                client.sendall(part)


@pytest.mark.parametrize(("scheme", "asked"), [("socks4", "127.0.0.1"), ("socks4a", "name.example")])
def test_socks_4(tmp_path: Path, server: LoopbackServer, scheme: str, asked: str) -> None:
    """The name is looked up here, or by the proxy."""
    server.resources["/f"] = Resource(body=b"x", behaviour=m.close_delimited)
    with Socks4() as proxy:
        url = server.url("/f").replace("127.0.0.1", "name.example")
        here = (Resolve("name.example", None, ("127.0.0.1",)),)
        result = fetch(url, tmp_path, proxy=f"{scheme}://127.0.0.1:{proxy.port}", resolve=here)
        assert content_of(result) == b"x"
        assert set(proxy.asked) == {asked}


# Who is turned away: asked once, however many retries there are.


class Refusing(OneByOne):
    """A proxy that answers each connection with ``replies`` in turn, and hangs up. ``heard``: how many came; ``said``:
    what they said before each reply."""

    def __init__(self, *replies: bytes) -> None:
        super().__init__()
        self.heard, self.said = 0, list[bytes]()
        self._replies = replies

    def _answer(self, client: socket.socket) -> None:
        self.heard += 1
        for reply in self._replies:
            self.said.append(client.recv(4096))
            client.sendall(reply)


_407 = b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("scheme", "replies"),
    [
        ("socks5", (b"\5\2", b"\1\1")),
        ("socks5h", (b"\5\xff",)),
        ("socks4", (b"\0\x5d" + bytes(6),)),
        ("http", (_407,)),
    ],
)
@pytest.mark.parametrize("target", ["https", "ftp"])
def test_a_proxy_that_refuses_the_login_is_asked_once(
    tmp_path: Path, scheme: str, replies: tuple[bytes, ...], target: str
) -> None:
    with Refusing(*replies) as proxy:
        by = f"{scheme}://u:s3cret@127.0.0.1:{proxy.port}"
        result = fetch(f"{target}://127.0.0.1:1/f", tmp_path, proxy=by, retries=5)
        failed(result, AccessDenied, 5, f"proxy {scheme}://127.0.0.1:{proxy.port}", "login", "in --proxy")
        assert "s3cret" not in str(result.error)
        assert proxy.heard == 1


def test_what_else_a_proxy_says_may_pass(tmp_path: Path) -> None:
    """It takes the login, and does not get through to the server just now."""
    with Refusing(b"\5\2", b"\1\0", b"\5\5\0\1" + bytes(6)) as proxy:
        by = f"socks5://u:p@127.0.0.1:{proxy.port}"
        failed(fetch("https://127.0.0.1:1/f", tmp_path, proxy=by, retries=1), ConnectFailed, 4, "refused to connect")
        assert proxy.heard > 1


@pytest.mark.parametrize(
    ("typed", "octets"),
    [
        ("päss€", "päss€".encode()),
        ("p%C3%A4ss%E2%82%AC", "päss€".encode()),
        # Of another character set: the octets that were written.
        ("p%E4ss", b"p\xe4ss"),
    ],
)
def test_a_login_outside_of_ascii_goes_to_a_proxy_as_its_octets(tmp_path: Path, typed: str, octets: bytes) -> None:
    with Refusing(b"\5\2", b"\1\1") as proxy:
        by = f"socks5://ü:{typed}@127.0.0.1:{proxy.port}"
        failed(fetch("https://127.0.0.1:1/f", tmp_path, proxy=by), AccessDenied, 5, "in --proxy")
        assert proxy.said == [b"\5\2\0\2", b"\1\2\xc3\xbc" + bytes([len(octets)]) + octets]
    with Refusing(_407) as proxy:
        failed(
            fetch("https://127.0.0.1:1/f", tmp_path, proxy=f"http://ü:{typed}@127.0.0.1:{proxy.port}"), AccessDenied, 5
        )
        login = base64.b64encode("ü:".encode() + octets)
        assert b"Proxy-Authorization: Basic " + login in proxy.said[0]
    with Refusing(b"\0\x5d" + bytes(6)) as proxy:
        failed(fetch("https://127.0.0.1:1/f", tmp_path, proxy=f"socks4://ü@127.0.0.1:{proxy.port}"), AccessDenied, 5)
        assert proxy.said[0].endswith(b"\xc3\xbc\0")


def test_a_login_that_is_too_long_for_socks_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with Refusing(b"\5\2", b"\1\1") as proxy:
        result = fetch("https://127.0.0.1:1/f", tmp_path, proxy=f"socks5://u:{'é' * 128}@127.0.0.1:{proxy.port}")
    failed(result, UsageError, 2, "longer than the 255 bytes that SOCKS 5 has")
    assert "é" not in str(result.error)


# Real ones.


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_squid(tmp_path: Path, certificates: Certificates, content: bytes, scheme: str) -> None:
    tls = certificates.good().server_context() if scheme == "https" else None
    with (
        real.squid(user="u", password="p w") as proxy,
        LoopbackServer({"/f": Resource(body=content)}, tls=tls) as server,
    ):
        ca, by = str(certificates.ca_file), proxy.url("").replace("//", "//u:p%20w@")
        assert content_of(fetch(server.url("/f"), tmp_path / "a", proxy=by, ca=ca)) == content
        wrong = fetch(server.url("/f"), tmp_path / "b", proxy=proxy.url("").replace("//", "//u:wrong@"), ca=ca)
        failed(wrong, AccessDenied, 5, "407", "--proxy")
        assert "wrong" not in str(wrong.error)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("tls", [False, True])
def test_microsocks(
    tmp_path: Path, certificates: Certificates, content: bytes, scheme: str, tls: bool
) -> None:  # fmt: skip
    context = certificates.good().server_context() if tls else None
    with (
        real.microsocks(user="u", password="secret") as proxy,
        LoopbackServer({"/f": Resource(body=content)}, tls=context) as server,
    ):
        ca = str(certificates.ca_file)
        by = f"{scheme}://u:secret@127.0.0.1:{proxy.port}"
        assert content_of(fetch(server.url("/f"), tmp_path / "a", proxy=by, ca=ca)) == content
        wrong = fetch(server.url("/f"), tmp_path / "b", proxy=by.replace("secret", "wr0ng"), ca=ca)
        failed(wrong, AccessDenied, 5, "proxy", "login")
        assert "wr0ng" not in str(wrong.error)
        nameless = fetch(server.url("/f"), tmp_path / "c", proxy=f"{scheme}://127.0.0.1:{proxy.port}", ca=ca)
        failed(nameless, AccessDenied, 5, "proxy", "--proxy")
