"""Ways through a proxy: absolute form, tunnels, passwords, and proxies that are none or not there."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import all_say, content_of, failed, fetch
from tests.servers import misbehave as m
from tests.servers.certificates import Certificates
from tests.servers.loopback import LoopbackServer, Resource
from tests.servers.proxy import ProxyServer
from thunderdl.errors import AccessDenied, ConnectFailed, ThunderdlError, TlsFailure, UsageError


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
