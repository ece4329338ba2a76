"""Before the first byte of an answer: names, ports, TLS, URLs that are none."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import thunderdl
import thunderdl.errors
from tests.engine.runs import SHORT_S, cancelled_at, content_of, drive, failed, fetch, names
from tests.servers import misbehave as m
from tests.servers.certificates import Certificates, Identity
from tests.servers.exchange import Behaviour
from tests.servers.loopback import LoopbackServer, Resource
from thunderdl.errors import ConnectFailed, ConnectionLost, InvalidUrl, NoSuchHost, TimedOut, TlsFailure
from thunderdl.model import Progress, SourceState


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of which it is certain that nobody listens: bound, never listening."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def test_no_such_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def nowhere(host: str, *_: object, **__: object) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    failed(fetch("http://nowhere.invalid/f", tmp_path), NoSuchHost, 4, "nowhere.invalid", "no such host")
    assert asked == ["nowhere.invalid"]
    assert names(tmp_path) == []


def test_no_such_host_by_the_real_resolver(tmp_path: Path) -> None:
    # Without a network the resolver says "try again" in place of "no such name": then it is a passing fault.
    result = fetch("http://nowhere.invalid/f", tmp_path)
    failed(result, NoSuchHost if isinstance(result.error, NoSuchHost) else ConnectFailed, 4, "nowhere.invalid")


def test_the_resolver_that_cannot_just_now_is_a_passing_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def later(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", later)
    failed(fetch("http://somewhere.invalid/f", tmp_path), ConnectFailed, 4, "check the network")


def test_refused(tmp_path: Path, closed_port: int) -> None:
    result = fetch(f"http://user:secret@127.0.0.1:{closed_port}/f", tmp_path)
    failed(result, ConnectFailed, 4, "connection refused", f"127.0.0.1:{closed_port}")
    assert "secret" not in str(result.error)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Certificates.wrong_host, "IP address mismatch"),
        (Certificates.expired, "expired"),
        (Certificates.unknown_authority, "unable to get local issuer"),
        (Certificates.self_signed, "signed certificate"),
        (Certificates.client_only, "certificate purpose"),
    ],
)
def test_a_wrong_certificate_is_refused_with_its_reason(
    tmp_path: Path, certificates: Certificates, kind: Callable[[Certificates], Identity], reason: str
) -> None:
    with LoopbackServer({"/f": Resource(body=b"hello")}, tls=kind(certificates).server_context()) as server:
        result = fetch(server.url("/f"), tmp_path, ca=str(certificates.ca_file))
        assert server.requests == []
    failed(result, TlsFailure, 12, reason)
    assert names(tmp_path) == []


def test_an_unknown_root_names_the_way_out(tmp_path: Path, certificates: Certificates) -> None:
    with LoopbackServer({"/f": Resource(body=b"hello")}, tls=certificates.good().server_context()) as server:
        failed(fetch(server.url("/f"), tmp_path), TlsFailure, 12, "--ca")


def test_tls_with_the_right_root(tmp_path: Path, certificates: Certificates, content: bytes) -> None:
    with LoopbackServer({"/f": Resource(body=content)}, tls=certificates.good().server_context()) as server:
        assert content_of(fetch(server.url("/f"), tmp_path, ca=str(certificates.ca_file))) == content


def test_insecure_takes_any_certificate(tmp_path: Path, certificates: Certificates, content: bytes) -> None:
    with LoopbackServer({"/f": Resource(body=content)}, tls=certificates.expired().server_context()) as server:
        assert content_of(fetch(server.url("/f"), tmp_path, insecure=True)) == content


def test_a_ca_that_is_none(tmp_path: Path, certificates: Certificates) -> None:
    rubbish = tmp_path / "ca.pem"
    rubbish.write_text("no certificate")
    with LoopbackServer({"/f": Resource(body=b"hello")}, tls=certificates.good().server_context()) as server:
        result = fetch(server.url("/f"), tmp_path / "out", ca=str(rubbish))
        failed(result, thunderdl.errors.UsageError, 2, "--ca")


def test_a_peer_that_never_shakes_hands(tmp_path: Path) -> None:
    # It waits for the end of a head of HTTP; what it gets is a ClientHello.
    with LoopbackServer() as server:
        result = fetch(f"https://127.0.0.1:{server.port}/f", tmp_path, timeout=SHORT_S)
    failed(result, TimedOut, 4)


@pytest.mark.parametrize("behaviour", [m.silence, m.unfinished_header])
def test_a_server_that_never_answers(tmp_path: Path, server: LoopbackServer, behaviour: Behaviour) -> None:
    server.resources["/f"] = Resource(body=b"hello", behaviour=behaviour)
    failed(fetch(server.url("/f"), tmp_path, timeout=SHORT_S), TimedOut, 4)
    assert names(tmp_path) == []


def test_a_server_that_hangs_up(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = Resource(body=b"hello", behaviour=m.hang_up)
    failed(fetch(server.url("/f"), tmp_path), ConnectionLost, 4, "closed before it answered")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/a\nb", "http://127.0.0.1:1/a\r\nX-Evil: 1", "http://127.0.0.1\n.evil/", "http://h/\x00",
        "http://h/\x7f", "\nhttp://h/", "http://h/ HTTP/1.1\r\nHost: evil\r\n\r\n", "ftp://127.0.0.1/",
        "file://evil.example/etc/passwd", "file:etc/passwd", "data:text/plain", "gopher://h/f", "http://", "http:///f", "http://:80/",
        "http://user@/f", "http://h:99999/", "http://h:port/", "http://[::1/", "//host/f", "f.iso", "", " ", "-o/etc/x",
        "http://a b/", "http://h\\@evil/", "http://a:1@b:2@/", "javascript:alert(1)", "http://\x1b[31m/",
    ],
)  # fmt: skip
def test_what_is_no_url_is_refused_before_anything_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    def untouched(*_: object, **__: object) -> None:
        raise AssertionError("something was tried")

    monkeypatch.setattr(socket, "getaddrinfo", untouched)
    failed(fetch(url, tmp_path), InvalidUrl, 2)
    assert names(tmp_path) == []


def test_a_mirror_that_is_no_url(tmp_path: Path, server: LoopbackServer, content: bytes) -> None:
    server.resources["/f"] = Resource(body=content)
    result = fetch(server.url("/f"), tmp_path, mirrors=("http://127.0.0.1:1/a\nb",))
    assert content_of(result) == content
    assert any("is not a URL" in source.note for source in result.sources)


def test_get_and_download_raise(tmp_path: Path, closed_port: int) -> None:
    url = f"http://127.0.0.1:{closed_port}/f"
    with pytest.raises(ConnectFailed):
        thunderdl.get(url, str(tmp_path), retries=0)
    with pytest.raises(ConnectFailed):
        asyncio.run(thunderdl.download(url, str(tmp_path), retries=0))


@pytest.mark.parametrize("asked", [{"connections": 0}, {"timeout": 0.0}, {"timeout": -1.0}, {"bogus": 1}])
def test_options_that_are_none(tmp_path: Path, asked: dict[str, Any]) -> None:
    with pytest.raises(thunderdl.errors.UsageError):
        thunderdl.get("http://127.0.0.1:1/f", str(tmp_path), **asked)


@pytest.mark.parametrize("pair", [("X", "a\r\nHost: evil"), ("X\r\nY", "a"), ("X: a", "b"), ("", "a"), ("X", "a\0b")])
def test_a_header_with_a_line_of_its_own_is_refused(tmp_path: Path, pair: tuple[str, str]) -> None:
    with pytest.raises(thunderdl.errors.UsageError):
        thunderdl.get("http://127.0.0.1:1/f", str(tmp_path), headers=(pair,))


@pytest.mark.parametrize("agent", ["a\r\nHost: evil", "a\nb", "a\0"])
def test_a_user_agent_with_a_line_of_its_own_is_refused(tmp_path: Path, agent: str) -> None:
    with pytest.raises(thunderdl.errors.UsageError):
        thunderdl.get("http://127.0.0.1:1/f", str(tmp_path), user_agent=agent)


def test_who_is_asked_again_soon_is_not_called_gone(tmp_path: Path, closed_port: int) -> None:
    seen: list[SourceState] = []

    def has_failed(progress: Progress) -> bool:
        seen.extend(source.state for source in progress.sources if source.note and not seen)
        return bool(seen)

    result = drive(
        lambda task: cancelled_at(task, has_failed), f"http://127.0.0.1:{closed_port}/f", tmp_path, retries=3
    )
    assert seen == [SourceState.BACKING_OFF]
    assert result.sources[0].state is SourceState.GONE
