"""vsftpd, anonymous and over TLS, and ProFTPD with a login; Debian installs one of the two."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.engine.runs import LIMIT_S, content_of, drive, failed, fetch, names, sha256, stopped_after
from tests.servers import ftp
from tests.servers.certificates import Certificates
from tests.servers.exchange import Resource
from tests.servers.loopback import Limits, LoopbackServer
from tests.servers.real import RealServer
from thunderdl.errors import AccessDenied, BadResponse, NotFound, TlsFailure

SIZE = 6 * 1024 * 1024 + 17
CONTENT = random.Random(7).randbytes(SIZE)
PROGRAM = "import sys, thunderdl; thunderdl.get(sys.argv[1], sys.argv[2], options=thunderdl.Options(limit=1 << 20))"


@pytest.fixture(scope="module", params=["vsftpd", "proftpd"])
def server(request: pytest.FixtureRequest) -> Iterator[RealServer]:
    """Those tests that need no more than a server run with either."""
    with ftp.vsftpd() if request.param == "vsftpd" else ftp.proftpd() as running:
        yield running


def put(server: RealServer, name: str, content: bytes) -> str:
    """Store a file; its URL, with a login where the server wants one."""
    (server.folder / name).write_bytes(content)
    return url_of(server, name)


def url_of(server: RealServer, name: str) -> str:
    # Only ProFTPD's folder has a file of users beside it.
    login = f"{ftp.USER}:{ftp.PASSWORD}@" if (server.folder.parent / "passwd").exists() else ""
    return f"{server.scheme}://{login}127.0.0.1:{server.port}/{quote(name)}"


@pytest.mark.parametrize("per_host", [1, 6])
def test_a_file_comes_whole(server: RealServer, tmp_path: Path, per_host: int) -> None:
    url = put(server, "f", CONTENT)
    assert content_of(fetch(url, tmp_path, per_host=per_host, checksum=sha256(CONTENT))) == CONTENT


@pytest.mark.parametrize("name", ["two words", "größe.txt", "100%.bin", "a;b?c#d", "*", "-l"])
def test_any_name_is_found(server: RealServer, tmp_path: Path, name: str) -> None:
    assert content_of(fetch(put(server, name, b"content"), tmp_path, out="out")) == b"content"


def test_an_empty_file(server: RealServer, tmp_path: Path) -> None:
    assert content_of(fetch(put(server, "empty", b""), tmp_path)) == b""


def test_a_stopped_download_goes_on(server: RealServer, tmp_path: Path) -> None:
    url = put(server, "f", CONTENT)
    drive(stopped_after(500_000), url, tmp_path, limit=2 << 20)
    result = fetch(url, tmp_path, checksum=sha256(CONTENT))
    assert content_of(result) == CONTENT
    assert result.resumed_bytes >= 500_000


def test_a_killed_download_goes_on(server: RealServer, tmp_path: Path) -> None:
    url, part = put(server, "f", CONTENT), tmp_path / "f.part.journal"
    with subprocess.Popen([sys.executable, "-c", PROGRAM, url, str(tmp_path)]) as killed:
        ends = time.monotonic() + LIMIT_S
        # So long that records of pieces are in it, not just its head.
        while time.monotonic() < ends and not (part.exists() and part.stat().st_size > 600):
            time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
    assert "f" not in names(tmp_path)
    result = fetch(url, tmp_path, checksum=sha256(CONTENT))
    assert content_of(result) == CONTENT
    assert result.resumed_bytes


def test_what_changed_meanwhile_is_fetched_anew(server: RealServer, tmp_path: Path) -> None:
    url = put(server, "f", CONTENT)
    drive(stopped_after(500_000), url, tmp_path, limit=2 << 20)
    (server.folder / "f").write_bytes(CONTENT[::-1][:-1])
    assert content_of(fetch(url, tmp_path)) == CONTENT[::-1][:-1]


def test_beside_a_web_server(server: RealServer, tmp_path: Path) -> None:
    with LoopbackServer({"/f": Resource(body=CONTENT)}, limits=Limits(rate_bytes_per_s=1e6)) as web:
        result = fetch(web.url("/f"), tmp_path, mirrors=[put(server, "f", CONTENT)], checksum=sha256(CONTENT))
    assert content_of(result) == CONTENT
    assert all(source.bytes for source in result.sources)


def test_what_is_missing_or_a_folder_is_told(server: RealServer, tmp_path: Path) -> None:
    (server.folder / "folder").mkdir(exist_ok=True)
    failed(fetch(url_of(server, "missing"), tmp_path), NotFound, 3, "not found")
    failed(fetch(url_of(server, "folder"), tmp_path), BadResponse, 6, "it is a folder")


def test_a_wrong_password_is_told(tmp_path: Path) -> None:
    with ftp.proftpd() as server:
        url = f"ftp://{ftp.USER}:wr0ng@127.0.0.1:{server.port}/f"
        failed(fetch(url, tmp_path), AccessDenied, 5, "password is wrong")


@pytest.mark.parametrize("directives", ["max_clients=2", "max_per_ip=2"])
def test_a_server_that_takes_few_is_not_pressed(tmp_path: Path, directives: str) -> None:
    with ftp.vsftpd(directives=f"{directives}\nanon_max_rate=3000000") as server:
        url = put(server, "f", CONTENT[: 3 << 20])
        assert content_of(fetch(url, tmp_path, per_host=8, retries=2)) == CONTENT[: 3 << 20]


@pytest.mark.parametrize("implicit", [False, True])
def test_over_tls_in_one_session(certificates: Certificates, tmp_path: Path, implicit: bool) -> None:
    """vsftpd takes no data connection in a TLS session of its own."""
    with ftp.vsftpd(tls=certificates.good(), implicit=implicit) as server:
        url = put(server, "f", CONTENT)
        result = fetch(url, tmp_path, ca=str(certificates.ca_file), per_host=4, checksum=sha256(CONTENT))
        assert content_of(result) == CONTENT


def test_an_unknown_authority_is_refused(certificates: Certificates, tmp_path: Path) -> None:
    with ftp.vsftpd(tls=certificates.unknown_authority()) as server:
        url = put(server, "f", CONTENT)
        failed(fetch(url, tmp_path, ca=str(certificates.ca_file)), TlsFailure, 12, "certificate")
