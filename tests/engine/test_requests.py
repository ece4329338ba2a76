"""What we say, and to whom: headers, credentials, cookies, proxies, the user's own httpx settings (C1-C9)."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import httpx
import pytest

from tests.engine.runs import all_say, content_of, failed, fetch, names
from tests.servers import misbehave as m
from tests.servers.certificates import Certificates
from tests.servers.exchange import Request
from tests.servers.loopback import LoopbackServer, Resource
from tests.servers.proxy import ProxyServer
from thunderdl.errors import UsageError

BASIC = "Basic " + base64.b64encode(b"user:secret").decode()


def test_what_every_request_says(tmp_path: Path, server: LoopbackServer, content: bytes) -> None:
    server.resources["/f"] = Resource(body=content)
    fetch(server.url("/f?x=1#fragment").replace("?x=1", ""), tmp_path, user_agent="me/1", headers=(("X-A", "b"),))
    assert all_say(server, "User-Agent", "me/1")
    assert all_say(server, "X-A", "b")
    assert all_say(server, "Accept-Encoding", "identity")
    assert all_say(server, "Referer", None)
    assert all_say(server, "Host", f"127.0.0.1:{server.port}")
    assert all(request.method == "GET" for request in server.requests)
    assert all("#" not in request.path for request in server.requests)


def test_a_referer_has_no_password(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = Resource(body=b"x")
    fetch(server.url("/f").replace("//", "//user:secret@"), tmp_path, headers=(("referer", "http://user:secret@h/p"),))
    assert all_say(server, "Referer", "http://h/p")


def test_the_users_header_wins_over_ours(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = Resource(body=b"x")
    fetch(server.url("/f"), tmp_path, headers=(("user-agent", "mine"), ("ACCEPT", "text/x")))
    assert [v for n, v in server.requests[0].headers if n.lower() == "user-agent"] == ["mine"]
    assert [v for n, v in server.requests[0].headers if n.lower() == "accept"] == ["text/x"]


def test_credentials_of_the_url(tmp_path: Path, server: LoopbackServer, content: bytes) -> None:
    server.resources["/f"] = Resource(body=content, behaviour=m.needs_basic("user", "s@cret"))
    url = server.url("/f").replace("//", "//user:s%40cret@")
    result = fetch(url, tmp_path)
    assert content_of(result) == content
    assert "cret" not in str(result.notes)


def test_the_journal_holds_no_credentials(tmp_path: Path, server: LoopbackServer, content: bytes) -> None:
    cut = m.first(1, m.reset_after(len(content)), m.status(404))
    server.resources["/f"] = Resource(body=content * 4, behaviour=cut)
    url = server.url("/f").replace("//", "//user:topsecret@")
    headers = (("Authorization", "Bearer topsecret"),)
    result = fetch(url, tmp_path, connections=1, headers=headers, checksum="md5=" + "0" * 32)
    assert result.error is not None
    assert names(tmp_path) == ["f.part", "f.part.journal"]
    assert b"topsecret" not in (tmp_path / "f.part.journal").read_bytes()
    assert "topsecret" not in str(result.error)


@pytest.mark.parametrize("where", ["host", "port", "scheme"])
def test_nothing_of_the_users_goes_to_another_origin(
    tmp_path: Path, server: LoopbackServer, certificates: Certificates, where: str
) -> None:
    tls = certificates.good().server_context() if where == "scheme" else None
    with LoopbackServer({"/f": Resource(body=bytes(300_000))}, tls=tls) as other:
        target = other.url("/f").replace("127.0.0.1", "localhost") if where == "host" else other.url("/f")
        server.resources["/f"] = Resource(body=b"", behaviour=m.redirect(target))
        headers = (("X-Token", "secret"), ("Cookie", "s=1"), ("Authorization", "Bearer x"), ("Referer", "http://a/"))
        url = server.url("/f")
        result = fetch(url, tmp_path, headers=headers, user_agent="me/1", ca=str(certificates.ca_file))
        assert content_of(result) == bytes(300_000)
        for name in ("X-Token", "Cookie", "Authorization", "Referer"):
            assert all_say(other, name, None), name
        assert all_say(other, "User-Agent", "me/1")
        assert all_say(server, "X-Token", "secret")


def test_credentials_of_the_url_do_not_go_to_another_origin(tmp_path: Path, server: LoopbackServer) -> None:
    with LoopbackServer({"/f": Resource(body=b"x")}) as other:
        server.resources["/f"] = Resource(body=b"", behaviour=m.redirect(other.url("/f")))
        assert content_of(fetch(server.url("/f").replace("//", "//user:secret@"), tmp_path)) == b"x"
        assert all_say(other, "Authorization", None)
        assert all_say(server, "Authorization", BASIC)


def test_all_of_it_goes_along_within_an_origin(tmp_path: Path, server: LoopbackServer, content: bytes) -> None:
    server.resources["/f"] = Resource(body=b"", behaviour=m.redirect("/g"))
    server.resources["/g"] = Resource(body=content)
    headers = (("X-Token", "t"), ("Cookie", "s=1"), ("Authorization", "Bearer x"))
    assert content_of(fetch(server.url("/f"), tmp_path, headers=headers)) == content
    for name, value in headers:
        assert all_say(server, name, value), name


def test_netrc(tmp_path: Path, server: LoopbackServer, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login user password secret\n")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))
    server.resources["/f"] = Resource(body=content)
    assert fetch(server.url("/f"), tmp_path / "a").error is None
    assert all_say(server, "Authorization", None)
    server.requests.clear()
    assert content_of(fetch(server.url("/f"), tmp_path / "b", netrc=True)) == content
    assert all_say(server, "Authorization", BASIC)


def test_netrc_is_for_its_host_alone(tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login user password secret\n")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))
    with LoopbackServer({"/f": Resource(body=b"x")}) as other:
        away = other.url("/f").replace("127.0.0.1", "localhost")
        server.resources["/f"] = Resource(body=b"", behaviour=m.redirect(away))
        assert content_of(fetch(server.url("/f"), tmp_path / "a", netrc=True)) == b"x"
        assert all_say(other, "Authorization", None)


def test_a_netrc_that_is_none(tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login\nrubbish rubbish")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))
    server.resources["/f"] = Resource(body=b"x")
    failed(fetch(server.url("/f"), tmp_path / "a", netrc=True), UsageError, 2, str(file))


COOKIES = "# Netscape HTTP Cookie File\n{host}\tFALSE\t/\tFALSE\t4102444800\tname\tvalue\n"


def test_cookies(tmp_path: Path, server: LoopbackServer, content: bytes) -> None:
    (tmp_path / "jar").write_text(COOKIES.format(host="127.0.0.1") + COOKIES.format(host="other.example")[28:])
    server.resources["/f"] = Resource(body=content, behaviour=m.needs_cookie("name=value"))
    assert content_of(fetch(server.url("/f"), tmp_path / "a", cookies=str(tmp_path / "jar"))) == content
    assert all_say(server, "Cookie", "name=value")


def test_cookies_are_for_their_host_alone(tmp_path: Path, server: LoopbackServer) -> None:
    (tmp_path / "jar").write_text(COOKIES.format(host="127.0.0.1"))
    with LoopbackServer({"/f": Resource(body=b"x")}) as other:
        away = other.url("/f").replace("127.0.0.1", "localhost")
        server.resources["/f"] = Resource(body=b"", behaviour=m.redirect(away))
        assert content_of(fetch(server.url("/f"), tmp_path / "a", cookies=str(tmp_path / "jar"))) == b"x"
        assert all_say(other, "Cookie", None)
        assert all_say(server, "Cookie", "name=value")


def test_a_cookie_that_a_redirect_sets(tmp_path: Path, server: LoopbackServer) -> None:
    cookie = m.status(302, ("Location", "/g"), ("Set-Cookie", "pass=1; Path=/"))
    server.resources["/f"] = Resource(body=b"", behaviour=cookie)
    server.resources["/g"] = Resource(body=bytes(300_000), behaviour=m.needs_cookie("pass=1"))
    assert content_of(fetch(server.url("/f"), tmp_path)) == bytes(300_000)


@pytest.mark.parametrize("text", ["no cookies here\n", None, "\xff\xfe"])
def test_a_cookie_file_that_is_none(tmp_path: Path, server: LoopbackServer, text: str | None) -> None:
    if text is not None:
        (tmp_path / "jar").write_text(text, encoding="latin-1")
    server.resources["/f"] = Resource(body=b"x")
    result = fetch(server.url("/f"), tmp_path / "a", cookies=str(tmp_path / "jar"))
    failed(result, UsageError, 2, "--cookies")


# The user's own httpx settings.


def test_httpx_auth(tmp_path: Path, server: LoopbackServer, content: bytes) -> None:
    server.resources["/f"] = Resource(body=content, behaviour=m.needs_basic("user", "secret"))
    assert content_of(fetch(server.url("/f"), tmp_path, httpx_settings={"auth": ("user", "secret")})) == content


def test_httpx_auth_does_not_follow_to_another_origin(tmp_path: Path, server: LoopbackServer) -> None:
    with LoopbackServer({"/f": Resource(body=b"x")}) as other:
        server.resources["/f"] = Resource(body=b"", behaviour=m.redirect(other.url("/f")))
        settings = {"auth": ("user", "secret"), "headers": {"X-Token": "t"}, "cookies": {"c": "1"}}
        assert content_of(fetch(server.url("/f"), tmp_path, httpx_settings=settings)) == b"x"
        for name in ("Authorization", "X-Token", "Cookie"):
            assert all_say(other, name, None), name
        assert server.requests[0].header("Authorization") == BASIC
        assert server.requests[0].header("Cookie") == "c=1"


def test_httpx_event_hooks(tmp_path: Path, server: LoopbackServer, content: bytes) -> None:
    seen: list[str] = []

    async def hook(request: httpx.Request) -> None:
        seen.append(str(request.url))
        request.headers["X-Signed"] = "yes"

    server.resources["/f"] = Resource(body=content)
    assert content_of(fetch(server.url("/f"), tmp_path, httpx_settings={"event_hooks": {"request": [hook]}})) == content
    assert seen == [server.url("/f")]
    assert all_say(server, "X-Signed", "yes")


def test_httpx_verify_off(tmp_path: Path, certificates: Certificates, content: bytes) -> None:
    with LoopbackServer({"/f": Resource(body=content)}, tls=certificates.self_signed().server_context()) as server:
        assert content_of(fetch(server.url("/f"), tmp_path, httpx_settings={"verify": False})) == content


def test_httpx_own_context(tmp_path: Path, certificates: Certificates, content: bytes) -> None:
    with LoopbackServer({"/f": Resource(body=content)}, tls=certificates.good().server_context()) as server:
        settings = {"verify": certificates.client_context()}
        assert content_of(fetch(server.url("/f"), tmp_path, httpx_settings=settings)) == content


def test_httpx_proxy(tmp_path: Path, server: LoopbackServer, content: bytes) -> None:
    server.resources["/f"] = Resource(body=content)
    with ProxyServer() as proxy:
        assert content_of(fetch(server.url("/f"), tmp_path, httpx_settings={"proxy": proxy.url})) == content
        assert len(proxy.heads) >= len(server.requests)


def test_httpx_settings_that_are_none(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = Resource(body=b"x")
    failed(fetch(server.url("/f"), tmp_path, httpx_settings={"bogus": 1}), UsageError, 2, "bogus")


def test_the_first_request_of_a_redirect_is_not_repeated_for_each_lane(
    tmp_path: Path, server: LoopbackServer, content: bytes
) -> None:
    server.resources["/f"] = Resource(body=b"", behaviour=m.redirect("/g"))
    server.resources["/g"] = Resource(body=content * 4)
    assert content_of(fetch(server.url("/f"), tmp_path)) == content * 4
    asked: list[Request] = [request for request in server.requests if request.path == "/f"]
    assert len(asked) <= 2
    assert os.listdir(tmp_path) == ["f"]
