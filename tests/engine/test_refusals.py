"""Servers that say no: statuses, Retry-After, redirects that must not be followed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.runs import content_of, failed, fetch, names
from tests.servers import misbehave as m
from tests.servers.certificates import Certificates
from tests.servers.exchange import Reply, Request
from tests.servers.loopback import LoopbackServer, Resource
from thunderdl.engine import candidates, opening
from thunderdl.errors import (
    AccessDenied,
    BadResponse,
    NotFound,
    RedirectRefused,
    ServerBusy,
    ThunderdlError,
)


@pytest.mark.parametrize(
    ("status", "kind", "exit_code"),
    [
        (400, BadResponse, 6), (401, AccessDenied, 5), (403, AccessDenied, 5), (404, NotFound, 3), (410, NotFound, 3),
        (407, AccessDenied, 5), (451, AccessDenied, 5), (429, ServerBusy, 6), (500, ServerBusy, 6),
        (502, ServerBusy, 6), (503, ServerBusy, 6), (504, ServerBusy, 6), (408, ServerBusy, 6), (418, BadResponse, 6),
        (204, BadResponse, 6), (304, BadResponse, 6), (300, BadResponse, 6),
    ],
)  # fmt: skip
def test_status(
    tmp_path: Path, server: LoopbackServer, status: int, kind: type[ThunderdlError], exit_code: int
) -> None:
    server.resources["/f"] = Resource(body=b"x", behaviour=m.status(status, body=b"<h1>error page</h1>"))
    result = fetch(server.url("/f").replace("//", "//user:secret@"), tmp_path)
    failed(result, kind, exit_code, str(status))
    assert "secret" not in str(result.error)
    assert names(tmp_path) == []
    assert len(server.requests) <= 3


@pytest.mark.parametrize("text", ["7", "Sun, 06 Nov 1994 08:49:37 GMT", "soon", "-1", "99999999999999999999", "1e9"])
def test_retry_after_is_read_and_never_trusted(tmp_path: Path, server: LoopbackServer, text: str) -> None:
    server.resources["/f"] = Resource(body=b"x", behaviour=m.status(429, retry_after=text))
    result = fetch(server.url("/f"), tmp_path)
    failed(result, ServerBusy, 6, "429")
    assert isinstance(result.error, ServerBusy)
    wish_s = result.error.retry_after_s
    assert wish_s == 7 if text == "7" else wish_s is None or wish_s >= 0


def test_busy_is_waited_for_as_long_as_the_server_asks(
    tmp_path: Path, server: LoopbackServer, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def noted(down_s: float, error: ThunderdlError, jitter: float) -> float:
        waits.append(opening.back_off_s(down_s, error, jitter))
        return 0.0

    monkeypatch.setattr(candidates, "back_off_s", noted)
    busy = m.script(m.status(429, retry_after="7"), m.status(503), m.well)
    server.resources["/f"] = Resource(body=content, behaviour=busy)
    assert content_of(fetch(server.url("/f"), tmp_path, retries=2)) == content
    assert len(waits) == 2
    assert waits[0] == 7
    assert 0.75 <= waits[1] <= 3


def test_an_error_page_never_becomes_the_file_midway(tmp_path: Path, server: LoopbackServer, content: bytes) -> None:
    cut = m.first(1, m.reset_after(len(content)), m.status(404, body=b"<h1>gone</h1>"))
    server.resources["/f"] = Resource(body=content * 4, behaviour=cut)
    result = fetch(server.url("/f"), tmp_path, connections=1, retries=1)
    failed(result, NotFound, 3)
    assert names(tmp_path) == ["f.part", "f.part.journal"]


def test_redirects_are_followed_and_do_not_choose_the_name(
    tmp_path: Path, server: LoopbackServer, content: bytes
) -> None:
    for status, path in enumerate(("/f", "/b", "/c", "/d"), 301):
        code = status if status < 304 else 308
        server.resources[path] = Resource(body=b"", behaviour=m.redirect(f"{'/' + chr(ord('b') + status - 301)}", code))
    server.resources["/e"] = Resource(body=content)
    result = fetch(server.url("/f"), tmp_path)
    assert content_of(result) == content
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("location", ["/.bashrc", "/../../.ssh/authorized_keys", "/%2e%2e%2fx"])
def test_a_redirect_to_a_dot_file_does_not_choose_the_name(
    tmp_path: Path, server: LoopbackServer, content: bytes, location: str
) -> None:
    server.resources["/f"] = Resource(body=b"", behaviour=m.redirect(location))
    server.behaviour = m.when(lambda request: request.path != "/f", m.becomes(Resource(body=content)))
    assert content_of(fetch(server.url("/f"), tmp_path)) == content
    assert names(tmp_path) == ["f"]


def test_a_redirect_loop(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = Resource(body=b"", behaviour=m.redirect_loop())
    failed(fetch(server.url("/f"), tmp_path), RedirectRefused, 6, "redirects")
    assert len(server.requests) <= 23
    assert names(tmp_path) == []


def test_redirects_without_end(tmp_path: Path, server: LoopbackServer) -> None:
    def further(request: Request, _reply: Reply) -> Reply:
        return m.redirect(f"/{int(request.path[1:]) + 1}")(request, _reply)

    server.behaviour = further
    failed(fetch(server.url("/1"), tmp_path), RedirectRefused, 6, "more than 20 redirects")
    assert len(server.requests) <= 23


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd", "ftp://127.0.0.1/f", "data:text/plain,x", "magnet:?xt=urn:btih:0", "javascript:x",
        "gopher://127.0.0.1/", "unix:/run/x", "http:", "http://", "http://[::1", "http://h:99999/", "",
        "http://127.0.0.1:1\\@evil/",
    ],
)  # fmt: skip
def test_a_redirect_to_what_is_no_web_address(tmp_path: Path, server: LoopbackServer, location: str) -> None:
    server.resources["/f"] = Resource(body=b"", behaviour=m.redirect(location))
    failed(fetch(server.url("/f"), tmp_path), RedirectRefused, 6, "redirect")
    assert names(tmp_path) == []
    assert {request.path for request in server.requests} == {"/f"}


@pytest.mark.parametrize(
    "location",
    ["/g\x1b[31m", "/g\x00", "/g\tx", "/g\x7f", "http://127.0.0.1\x01.evil/", "/g\r\tX-Evil: 1", "/g%0d%0aX: 1\x0b"],
)
def test_a_redirect_with_control_bytes(tmp_path: Path, server: LoopbackServer, location: str) -> None:
    server.resources["/f"] = Resource(body=b"", behaviour=m.redirect(location))
    result = fetch(server.url("/f"), tmp_path)
    assert isinstance(result.error, RedirectRefused | BadResponse)
    assert result.error.exit_code == 6
    assert {request.path for request in server.requests} == {"/f"}


def test_a_redirect_without_location(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = Resource(body=b"", behaviour=m.status(302))
    failed(fetch(server.url("/f"), tmp_path), BadResponse, 6, "302")
    assert names(tmp_path) == []


def test_https_never_becomes_http(tmp_path: Path, certificates: Certificates, server: LoopbackServer) -> None:
    server.resources["/f"] = Resource(body=b"stolen")
    down = Resource(body=b"", behaviour=m.redirect(server.url("/f")))
    with LoopbackServer({"/f": down}, tls=certificates.good().server_context()) as secure:
        result = fetch(secure.url("/f"), tmp_path, ca=str(certificates.ca_file))
    failed(result, RedirectRefused, 6, "from https to http")
    assert server.requests == []
    assert names(tmp_path) == []


def test_http_may_become_https(tmp_path: Path, certificates: Certificates, server: LoopbackServer) -> None:
    with LoopbackServer({"/f": Resource(body=b"safe")}, tls=certificates.good().server_context()) as secure:
        server.resources["/f"] = Resource(body=b"", behaviour=m.redirect(secure.url("/f")))
        assert content_of(fetch(server.url("/f"), tmp_path, ca=str(certificates.ca_file))) == b"safe"
