"""What httpx asks goes the same ways as lanes: the same proxies, addresses, certificates."""

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
from thunderdl.errors import ConnectFailed, ConnectionLost, TlsFailure
from thunderdl.reach import parse_resolve

SECRET = base64.b64encode(b"u:p").decode()


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("tls_to_proxy", [False, True])
def test_a_coded_body_by_a_proxy(
    tmp_path: Path, certificates: Certificates, content: bytes, tls: bool, tls_to_proxy: bool
) -> None:  # fmt: skip
    """It is asked for once more, whole, since no range of it is a range of the file."""
    context = certificates.good().server_context()
    coded = Resource(body=content, behaviour=m.gzip_coded)
    with (
        LoopbackServer({"/f": coded}, tls=context if tls else None) as server,
        ProxyServer(password=SECRET, tls=context if tls_to_proxy else None) as proxy,
    ):
        url = server.url("/f").replace("127.0.0.1", "localhost")
        by = proxy.url.replace("//", "//u:p@")
        assert content_of(fetch(url, tmp_path, proxy=by, ca=str(certificates.ca_file))) == content
        assert len(proxy.heads) >= 2
        assert all_say(server, "Proxy-Authorization", None)


def test_a_coded_body_by_an_address_that_was_given(tmp_path: Path, server: LoopbackServer, content: bytes) -> None:
    server.resources["/f"] = Resource(body=content, behaviour=m.gzip_coded)
    url = server.url("/f").replace("127.0.0.1", "nowhere.invalid")
    here = (parse_resolve("nowhere.invalid:127.0.0.1"),)
    assert content_of(fetch(url, tmp_path, resolve=here, interface="127.0.0.1")) == content


@pytest.mark.parametrize("settings", [{"headers": {"X-Own": "yes"}}, {"timeout": 3.0}])
def test_own_settings_by_an_address_that_was_given(
    tmp_path: Path, server: LoopbackServer, content: bytes, settings: dict[str, Any]
) -> None:
    server.resources["/f"] = Resource(body=b"", behaviour=m.redirect("/g"))
    server.resources["/g"] = Resource(body=content)
    url = server.url("/f").replace("127.0.0.1", "nowhere.invalid")
    here = (parse_resolve("*:*:127.0.0.1"),)
    assert content_of(fetch(url, tmp_path, resolve=here, httpx_settings=settings)) == content
    assert all_say(server, "Host", f"nowhere.invalid:{server.port}")


def test_own_settings_and_a_server_that_is_not_there(tmp_path: Path, certificates: Certificates) -> None:
    settings = {"headers": {"X-Own": "yes"}}
    failed(fetch("http://127.0.0.1:1/f", tmp_path, httpx_settings=settings), ConnectFailed, 4, "refused")
    with LoopbackServer({"/f": Resource(body=b"x")}, tls=certificates.expired().server_context()) as server:
        result = fetch(server.url("/f"), tmp_path, httpx_settings=settings, ca=str(certificates.ca_file))
        failed(result, TlsFailure, 12, "expired")


def test_a_coded_body_that_breaks_off(tmp_path: Path, server: LoopbackServer, content: bytes) -> None:
    server.resources["/f"] = Resource(body=content, behaviour=m.together(m.gzip_coded, m.reset_after(1000)))
    failed(fetch(server.url("/f"), tmp_path), ConnectionLost, 4)
