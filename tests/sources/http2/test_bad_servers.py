"""Servers that speak HTTP/2 wrongly, or want no more of it: a clear error, or the whole file all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import GoAwayFrame

from tests.engine.runs import LIMIT_S, SHORT_S, content_of, fetch, names
from tests.servers.certificates import Certificates
from tests.servers.exchange import generated
from tests.servers.fake_http2 import Behaviour, FakeHttp2, Fields, Talk, well
from thunderdl.errors import AccessDenied, ConnectionLost, InternalError, ServerBusy, ThunderdlError, TimedOut
from thunderdl.model import Result, Status
from thunderdl.sources.http2.line import STREAM_WINDOW_BYTES

CONTENT = bytes(generated(3_000_000, seed=13).span(0, 3_000_000))


def run(certificates: Certificates, folder: Path, behaviour: Behaviour, **changes: Any) -> tuple[Result, FakeHttp2]:
    """One download from a server that behaves like this."""
    with FakeHttp2(certificates.good(), CONTENT, behaviour) as server:
        return fetch(server.url, folder, ca=str(certificates.ca_file), http2=True, **changes), server


def silent(talk: Talk, stream: int, asked: Fields) -> None:
    return


def stalls(talk: Talk, stream: int, asked: Fields) -> None:
    head, content = talk.part(asked)
    talk.head(stream, head)
    talk.body(stream, content[:1000], ends=False)


def too_short(talk: Talk, stream: int, asked: Fields) -> None:
    head, content = talk.part(asked)
    talk.head(stream, head)
    talk.body(stream, content[:-1])


def too_long(talk: Talk, stream: int, asked: Fields) -> None:
    head, content = talk.part(asked)
    talk.head(stream, head)
    talk.body(stream, content + b"x")


def no_status(talk: Talk, stream: int, asked: Fields) -> None:
    talk.h2.config.validate_outbound_headers = False
    talk.head(stream, {"etag": '"1"'}, ends=True)


def odd_status(talk: Talk, stream: int, asked: Fields) -> None:
    talk.h2.config.validate_outbound_headers = False
    talk.head(stream, {":status": "2x6"}, ends=True)


def broken_frame(talk: Talk, stream: int, asked: Fields) -> None:
    # A PING of one byte.
    talk.sock.sendall(b"\x00\x00\x01\x06\x00\x00\x00\x00\x00x")


def hangs_up(talk: Talk, stream: int, asked: Fields) -> None:
    talk.sock.close()


def gives_up(talk: Talk, stream: int, asked: Fields) -> None:
    talk.h2.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)
    talk.flush()


@pytest.mark.parametrize(
    "behaviour",
    [too_short, too_long, no_status, odd_status, broken_frame, hangs_up, gives_up],
    ids=lambda one: one.__name__,
)
def test_an_answer_that_is_none(certificates: Certificates, tmp_path: Path, behaviour: Behaviour) -> None:
    result, _ = run(certificates, tmp_path, behaviour)
    assert result.status is Status.FAILED
    assert isinstance(result.error, ThunderdlError)
    assert not isinstance(result.error, InternalError)
    assert "f" not in names(tmp_path)


@pytest.mark.parametrize("behaviour", [silent, stalls], ids=lambda one: one.__name__)
def test_silence(certificates: Certificates, tmp_path: Path, behaviour: Behaviour) -> None:
    result, _ = run(certificates, tmp_path, behaviour, timeout=SHORT_S)
    assert isinstance(result.error, TimedOut | ConnectionLost)


def test_a_status_that_asks_for_a_pause(certificates: Certificates, tmp_path: Path) -> None:
    def busy(talk: Talk, stream: int, asked: Fields) -> None:
        talk.head(stream, {":status": "503", "retry-after": "7"}, ends=True)

    result, _ = run(certificates, tmp_path, busy)
    assert isinstance(result.error, ServerBusy)
    assert result.error.retry_after_s == 7


def test_a_connection_that_breaks_in_the_middle_costs_what_was_under_way_alone(
    certificates: Certificates, tmp_path: Path
) -> None:
    def breaks_once(talk: Talk, stream: int, asked: Fields) -> None:
        if talk.number:
            well(talk, stream, asked)
            return
        stalls(talk, stream, asked)
        talk.h2.close_connection()
        talk.flush()
        talk.sock.close()

    result, server = run(certificates, tmp_path, breaks_once, retries=3)
    assert content_of(result) == CONTENT
    assert server.connections > 1


def test_a_mirror_whose_first_request_is_not_taken_is_asked_on_another_connection(
    certificates: Certificates, tmp_path: Path
) -> None:
    """GOAWAY between two requests of one connection; nothing is tried twice here, and that is no failure."""
    held: list[tuple[int, Fields]] = []

    def leaves(talk: Talk, stream: int, asked: Fields) -> None:
        if talk.number:
            well(talk, stream, asked)
            return
        held.append((stream, asked))
        if len(held) == 2:
            first, fields = held[0]
            talk.sock.sendall(GoAwayFrame(0, last_stream_id=first).serialize())
            well(talk, first, fields)

    with FakeHttp2(certificates.good(), CONTENT, leaves) as server:
        result = fetch(
            server.url, tmp_path, mirrors=[server.url + "2"], ca=str(certificates.ca_file), http2=True, timeout=LIMIT_S
        )  # fmt: skip
    assert content_of(result) == CONTENT
    assert len(held) == 2
    assert result.notes == ()


def test_the_windows_are_wide(certificates: Certificates, tmp_path: Path) -> None:
    windows: list[int] = []

    def looks(talk: Talk, stream: int, asked: Fields) -> None:
        windows.append(talk.h2.local_flow_control_window(stream))
        well(talk, stream, asked)

    result, _ = run(certificates, tmp_path, looks)
    assert content_of(result) == CONTENT
    assert set(windows) == {STREAM_WINDOW_BYTES}


def test_padding_is_no_content(certificates: Certificates, tmp_path: Path) -> None:
    def padded(talk: Talk, stream: int, asked: Fields) -> None:
        head, content = talk.part(asked)
        talk.head(stream, head)
        talk.body(stream, content, padding=200)

    result, _ = run(certificates, tmp_path, padded)
    assert content_of(result) == CONTENT


def test_a_server_that_wants_http_1_after_all(certificates: Certificates, tmp_path: Path) -> None:
    def refuses(talk: Talk, stream: int, asked: Fields) -> None:
        talk.h2.reset_stream(stream, ErrorCodes.HTTP_1_1_REQUIRED)
        talk.flush()

    result, server = run(certificates, tmp_path, refuses, retries=2)
    assert content_of(result) == CONTENT
    assert len(server.asked) == 1


def test_a_login_is_asked_for_and_given(certificates: Certificates, tmp_path: Path) -> None:
    def locked(talk: Talk, stream: int, asked: Fields) -> None:
        if asked.get("authorization") == "Basic bWU6c2VjcmV0":
            well(talk, stream, asked)
        else:
            talk.head(
                stream, {":status": "401", "www-authenticate": 'Basic realm="x"', "content-length": "0"}, ends=True
            )

    result, _ = run(certificates, tmp_path, locked, user="me", password="secret")
    assert content_of(result) == CONTENT
    result, _ = run(certificates, tmp_path, locked, user="me", password="wrong", out="g")
    assert isinstance(result.error, AccessDenied)


def test_what_is_asked(certificates: Certificates, tmp_path: Path) -> None:
    result, server = run(certificates, tmp_path, well, headers=(("X-Mine", "a b"), ("Connection", "close")))
    assert content_of(result) == CONTENT
    asked = server.asked[0]
    assert asked[":authority"] == server.url.split("/")[2]
    assert (asked[":method"], asked[":scheme"], asked[":path"]) == ("GET", "https", "/f")
    assert asked["x-mine"] == "a b"
    assert asked["range"].startswith("bytes=0-")
    assert not {"host", "connection"} & asked.keys()
    assert server.connections == 1
