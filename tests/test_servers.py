"""The test servers do what they claim, so that a failure elsewhere is ours."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import re
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable

import pytest

from tests.servers import misbehave as m
from tests.servers.certificates import Certificates, Identity
from tests.servers.exchange import Behaviour
from tests.servers.fake_ftp import FakeFtp
from tests.servers.loopback import Limits, LoopbackServer, Resource, generated
from tests.servers.real import RealServer


def get(server: LoopbackServer | RealServer, path: str = "/f", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """One GET on a new connection; header names with _ for -."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def converse(server: LoopbackServer, text: str) -> bytes:
    """Everything that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as sock:
        sock.sendall(text.encode())
        return b"".join(iter(lambda: sock.recv(65536), b""))


def serve(server: LoopbackServer, content: bytes, behaviour: Behaviour | None = None) -> None:
    server.resources["/f"] = Resource(body=content, behaviour=behaviour)


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=10-19", 206, 10, 20),
        ("bytes=10-", 206, 10, 100),
        ("bytes=-10", 206, 90, 100),
        ("bytes=-1000", 206, 0, 100),
        ("bytes=90-1000", 206, 90, 100),
        ("bytes=0-0", 206, 0, 1),
        ("bytes=20-10", 200, 0, 100),
        ("bytes=1-2,5-6", 200, 0, 100),
        ("bytes=-", 200, 0, 100),
        ("lines=1-2", 200, 0, 100),
        ("bytes=100-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
    ],
)  # fmt: skip
def test_ranges(server: LoopbackServer, content: bytes, asked: str, status: int, start: int, end: int) -> None:
    serve(server, content[:100])
    found, headers, body = get(server, Range=asked)
    assert (found, body) == (status, content[start:end])
    where = {206: f"bytes {start}-{end - 1}/100", 416: "bytes */100"}
    assert headers.get("Content-Range") == where.get(status)


@pytest.mark.parametrize(
    ("condition", "status"),
    [('"v1"', 206), ('"v2"', 200), ('W/"v1"', 200), ("Mon, 01 Jan 2024 00:00:00 GMT", 206)],
)
def test_if_range(server: LoopbackServer, content: bytes, condition: str, status: int) -> None:
    serve(server, content)
    assert get(server, Range="bytes=5-", If_Range=condition)[0] == status


def test_pipelined_requests_are_answered_in_order_and_logged(server: LoopbackServer, content: bytes) -> None:
    serve(server, content[:7])
    ask = "GET /f HTTP/1.1\r\nHost: x\r\n"
    said = converse(server, f"{ask}\r\nHEAD /f HTTP/1.1\r\n\r\n{ask}Range: bytes=1-2\r\nConnection: close\r\n\r\n")
    assert re.findall(rb"HTTP/1.1 (\d+)", said) == [b"200", b"200", b"206"]
    assert said.endswith(b"\r\n\r\n" + content[1:3])
    assert [(r.method, r.connection, r.order, r.number) for r in server.requests] == [
        ("GET", 1, 1, 1), ("HEAD", 1, 2, 2), ("GET", 1, 3, 3),
    ]  # fmt: skip
    assert server.requests[0].headers == [("Host", "x")]
    assert server.sent["/f"] == 9


def test_unknown_paths_and_generated_files(server: LoopbackServer) -> None:
    server.resources["/big"] = big = generated(1 << 40)
    assert get(server)[0] == 404
    start = (1 << 39) - 3
    body = get(server, "/big", Range=f"bytes={start}-{start + 299_999}")[2]
    assert body == b"".join(map(bytes, [big.span(start, start + 100_000), big.span(start + 100_000, start + 300_000)]))


@pytest.mark.parametrize("secure", [False, True])
def test_fault_scripts(certificates: Certificates, content: bytes, *, secure: bool) -> None:
    behaviour = m.script(m.status(503, retry_after="7"), m.redirect("/g"), m.short_body(10), m.well)
    tls = certificates.good().server_context() if secure else None
    with LoopbackServer({"/f": Resource(body=content, behaviour=behaviour)}, tls=tls) as server:
        asked = "GET /f HTTP/1.1\r\nConnection: close\r\n\r\n"
        said = []
        for _ in range(4):
            with socket.create_connection(("127.0.0.1", server.port), timeout=30) as plain:
                trust = certificates.client_context()
                with trust.wrap_socket(plain, server_hostname="127.0.0.1") if secure else plain as sock:
                    sock.sendall(asked.encode())
                    said.append(b"".join(iter(lambda: sock.recv(65536), b"")))
    assert b"503 Service Unavailable" in said[0]
    assert b"Retry-After: 7\r\n" in said[0]
    assert b"Location: /g\r\n" in said[1]
    assert said[2].endswith(b"\r\n\r\n" + content[:10])
    assert said[3].endswith(b"\r\n\r\n" + content)


@pytest.mark.parametrize(
    ("behaviour", "status", "headers", "body"),
    [
        (m.no_ranges, 200, {"Content-Range": None, "Accept-Ranges": None}, b"0123456789"),
        (m.content_range("bytes x-y/z"), 206, {"Content-Range": "bytes x-y/z"}, b"456"),
        (m.content_range(None), 206, {"Content-Range": None}, b"456"),
        (m.other_total(99), 206, {"Content-Range": "bytes 4-6/99"}, b"456"),
        (m.other_range(1), 206, {"Content-Range": "bytes 5-7/10"}, b"567"),
        (m.other_range(1, owns_up=False), 206, {"Content-Range": "bytes 4-6/10"}, b"567"),
        (m.always_416(), 416, {"Content-Range": "bytes */10"}, b""),
        (m.always_416(tells_size=False), 416, {"Content-Range": None}, b""),
        (m.chunked, 206, {"Content-Length": None, "Transfer-Encoding": "chunked"}, b"456"),
        (m.close_delimited, 206, {"Content-Length": None, "Connection": "close"}, b"456"),
        (m.corrupt_from(5), 206, {"ETag": '"v1"'}, b"4" + bytes([0x35 ^ 0x55, 0x36 ^ 0x55])),
        (m.after(0, m.becomes(Resource(body=b"abcdefg", etag='"v2"'))), 206, {"ETag": '"v2"'}, b"efg"),
        (m.etag_by_request('"node-a"', '"node-b"'), 206, {"ETag": '"node-a"'}, b"456"),
        (m.gzip_coded, 206, {"Content-Encoding": "gzip"}, gzip.compress(b"456", mtime=0)),
        (m.headers(("X", b"\x1b[31m\xff"), reason="\x1b[1mSo"), 206, {"X": "\x1b[31m\xff"}, b"456"),
        (m.together(m.chunked, m.headers(("A", "b"))), 206, {"A": "b", "Content-Length": None}, b"456"),
        (m.first(3, m.status(429)), 429, {"Content-Range": None}, b""),
        (m.on_ranges(m.redirect_loop()), 302, {"Location": "/f"}, b""),
        (m.needs_basic("u", "p"), 401, {"WWW-Authenticate": 'Basic realm="test"'}, b""),
        (m.needs_cookie("a=b"), 403, {}, b""),
    ],
)  # fmt: skip
def test_misbehaviours_that_a_mild_client_can_read(
    server: LoopbackServer, behaviour: Behaviour, status: int, headers: dict[str, str | None], body: bytes
) -> None:
    serve(server, b"0123456789", behaviour)
    found, sent, content = get(server, Range="bytes=4-6")
    assert (found, content) == (status, body)
    assert {name: sent.get(name) for name in headers} == headers


def test_credentials_and_cookies_open_the_door(server: LoopbackServer) -> None:
    serve(server, b"x", m.together(m.needs_basic("u", "p"), m.needs_cookie("a=b")))
    assert get(server, Authorization="Basic dTpw", Cookie="z=1; a=b")[0] == 200


@pytest.mark.parametrize(
    ("behaviour", "ending"),
    [
        (m.content_length("-1"), b"Content-Length: -1\r\n\r\nhello"),
        (m.content_length("5", "7"), b"Content-Length: 5\r\nContent-Length: 7\r\n\r\nhello"),
        (m.broken_chunks(b"zz\r\n"), b"5\r\nhello\r\nzz\r\n"),
        (m.long_body(3), b"Content-Length: 5\r\n\r\nhello+++"),
        (m.rubbish, b"this is not HTTP\r\n\r\n"),
        (m.hang_up, b""),
    ],
)
def test_broken_framing_ends_with_a_close(server: LoopbackServer, behaviour: Behaviour, ending: bytes) -> None:
    serve(server, b"hello", behaviour)
    assert converse(server, "GET /f HTTP/1.1\r\n\r\n").endswith(ending)


@pytest.mark.parametrize("behaviour", [m.endless_body, m.endless_headers])
def test_endless_answers_end_with_the_client(server: LoopbackServer, behaviour: Behaviour) -> None:
    serve(server, b"hello", behaviour)
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(b"GET /f HTTP/1.1\r\n\r\n")
        assert len(sock.recv(100_000, socket.MSG_WAITALL)) == 100_000
    server.wait_for(lambda s: s.open_connections == 0)


def test_stall_waits_for_the_release(server: LoopbackServer, content: bytes) -> None:
    serve(server, content, m.stall_after(1000))
    got: list[bytes] = []
    client = threading.Thread(target=lambda: got.append(get(server)[2]))
    client.start()
    server.wait_for(lambda s: s.sent["/f"] == 1000)
    server.release.set()
    client.join()
    assert got == [content]


def test_a_stall_ends_when_the_client_hangs_up(server: LoopbackServer) -> None:
    serve(server, b"hello", m.unfinished_header)
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(b"GET /f HTTP/1.1\r\n\r\n")
        assert sock.recv(17, socket.MSG_WAITALL) == b"HTTP/1.1 200 OK\r\n"
    server.wait_for(lambda s: s.open_connections == 0)


def test_reset_after_bytes_that_arrive(server: LoopbackServer, content: bytes) -> None:
    serve(server, content, m.reset_after(300_000))
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as sock:
        sock.sendall(b"GET /f HTTP/1.1\r\n\r\n")
        with sock.makefile("rb") as stream:
            while stream.readline() != b"\r\n":
                pass
            assert stream.read(300_000) == content[:300_000]
            with pytest.raises(ConnectionResetError):
                stream.read(1)


def test_connection_limit(content: bytes) -> None:
    with LoopbackServer({"/f": Resource(body=b"hello")}, limits=Limits(connections=1)) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as seated:
            seated.sendall(b"GET /f HTTP/1.1\r\n\r\n")
            assert seated.recv(4) == b"HTTP"
            assert get(server)[0] == 429
        server.wait_for(lambda s: s.open_connections == 0)
        assert get(server)[0] == 200
        assert server.peak_connections == 2


def test_requests_for_each_connection() -> None:
    with LoopbackServer({"/f": Resource(body=b"hello")}, limits=Limits(requests_per_connection=2)) as server:
        said = converse(server, "GET /f HTTP/1.1\r\n\r\n" * 5)
    assert said.count(b"hello") == 2
    assert said.count(b"Connection: close") == 1


def test_dies_at_an_exact_byte_and_comes_back(content: bytes) -> None:
    with LoopbackServer({"/f": Resource(body=content)}, limits=Limits(dies_at_bytes=100_000)) as server:
        with pytest.raises(ConnectionResetError):
            get(server)
        server.wait_for(lambda s: not s.alive)
        with pytest.raises(ConnectionRefusedError):
            get(server)
        assert server.total_sent == 100_000
        server.limits = Limits()
        server.come_back()
        assert get(server)[2] == content


def test_refuse_keeps_open_connections(server: LoopbackServer) -> None:
    serve(server, b"hello")
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        for _ in range(2):
            connection.request("GET", "/f")
            assert connection.getresponse().read() == b"hello"
            server.refuse()
        with pytest.raises(ConnectionRefusedError):
            get(server)
        server.come_back()
        assert get(server)[0] == 200


@pytest.mark.parametrize("shared", [False, True])
def test_rate(content: bytes, *, shared: bool) -> None:
    rate = 20 * len(content)
    limits = Limits(rate_bytes_per_s=rate) if shared else Limits(connection_rate_bytes_per_s=rate)
    with LoopbackServer({"/f": Resource(body=content)}, limits=limits) as server:
        begun = time.monotonic()
        assert get(server)[2] == content
    assert time.monotonic() - begun > 0.03


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        (Certificates.good, None),
        (Certificates.wrong_host, "IP address mismatch"),
        (Certificates.expired, "expired"),
        (Certificates.unknown_authority, "unable to get local issuer"),
        (Certificates.self_signed, "self.signed certificate"),
        (Certificates.client_only, "(unsupported|unsuitable) certificate purpose"),
    ],
)
def test_certificates(
    certificates: Certificates, kind: Callable[[Certificates], Identity], complaint: str | None
) -> None:
    trust = certificates.client_context()
    with LoopbackServer({"/f": Resource(body=b"hello")}, tls=kind(certificates).server_context()) as server:
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=30, context=trust)
        with contextlib.closing(connection):
            if complaint is None:
                connection.request("GET", "/f")
                assert connection.getresponse().read() == b"hello"
            else:
                with pytest.raises(ssl.SSLCertVerificationError, match=complaint):
                    connection.request("GET", "/f")
        server.wait_for(lambda s: s.open_connections == 0)
    assert bool(server.tls_failures) == bool(complaint)
    assert bool(server.requests) == (complaint is None)


@pytest.mark.parametrize("name", ["nginx", "apache"])
def test_real_servers_serve_ranges(request: pytest.FixtureRequest, name: str, content: bytes) -> None:
    running: RealServer = request.getfixturevalue(name)
    running.put("f", content)
    status, headers, body = get(running, Range="bytes=5-9")
    assert (status, body) == (206, content[5:10])
    assert headers["ETag"]


def test_real_nginx_speaks_tls(nginx_tls: RealServer, certificates: Certificates, content: bytes) -> None:
    with urllib.request.urlopen(nginx_tls.put("f", content), context=certificates.client_context()) as response:
        assert response.read() == content


def test_real_python_server(python_http_server: RealServer, content: bytes) -> None:
    python_http_server.put("f", content)
    assert get(python_http_server, Range="bytes=5-9")[2] == content


class Leaving(dict[bytes, bytes]):
    """The files of an FTP server that hangs up when one of them is asked for."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave = leave

    def get(self, name: bytes, default: object = None) -> bytes:
        if name == b"f":
            self._leave()
        return b"x"


def test_a_file_that_nobody_waits_for_any_more_leaves_no_socket() -> None:
    """The data connection is there, the other one is gone: that was a warning in some later test."""
    with FakeFtp({}) as ftp:
        ftp.files = Leaving(ftp.hang_up_all)
        with socket.create_connection(("127.0.0.1", ftp.port)) as control, control.makefile("rb") as heard:
            heard.readline()
            control.sendall(b"EPSV\r\n")
            port = int(heard.readline().split(b"|")[3])
            with socket.create_connection(("127.0.0.1", port)) as data:
                control.sendall(b"RETR f\r\n")
                assert data.recv(1) == b""


def test_a_socket_that_is_dropped_open_tells_who_made_it() -> None:
    with pytest.warns(ResourceWarning) as told:
        socket.socket()
    assert "was never closed; made in tests/test_servers.py::test_a_socket_that_is" in str(told[0].message)
    assert "by test_servers.py:" in str(told[0].message)
