"""HTTP/2 as nginx speaks it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import content_of, drive, fetch, sha256, stopped_after
from tests.servers.certificates import Certificates
from tests.servers.exchange import generated
from tests.servers.real import RealServer, nginx
from thunderdl.engine.lanes import LaneRun, Lanes
from thunderdl.errors import AccessDenied, Cancelled, NotFound, ThunderdlError
from thunderdl.model import Result, Status

CONTENT = bytes(generated(20_000_000, seed=12).span(0, 20_000_000))
_LOCATIONS = "location = /moved { return 302 /f.bin; } location = /locked { return 401; }"


class Served:
    """``server`` and what its log says of each request: protocol, status, connection, range."""

    def __init__(self, server: RealServer, certificates: Certificates) -> None:
        self.server, self._ca = server, str(certificates.ca_file)

    def options(self, **changes: Any) -> dict[str, Any]:
        return {"ca": self._ca, "http2": True, **changes}

    def fetch(self, path: str, folder: Path, **changes: Any) -> Result:
        return fetch(self.server.url(path), folder, **self.options(**changes))

    def seen(self) -> list[list[str]]:
        return [line.split() for line in (self.server.folder.parent / "access.log").read_text().splitlines()]


@pytest.fixture
def served(certificates: Certificates, tmp_path: Path) -> Iterator[Served]:
    with nginx(tls=certificates.good(), http2=True, directives=_LOCATIONS, logged=True) as server:
        server.put("f.bin", CONTENT)
        server.put("small.bin", CONTENT[:70_000])
        server.put("empty.bin", b"")
        yield Served(server, certificates)


def test_ranges_are_streams_of_one_connection(served: Served, tmp_path: Path) -> None:
    result = served.fetch("/f.bin", tmp_path, checksum=sha256(CONTENT))
    assert content_of(result) == CONTENT
    seen = served.seen()
    assert {line[0] for line in seen} == {"HTTP/2.0"}
    assert {line[1] for line in seen} == {"206"}
    assert len({line[2] for line in seen}) == 1
    assert len(seen) > 1


@pytest.mark.parametrize(("path", "size"), [("/small.bin", 70_000), ("/empty.bin", 0)])
def test_a_small_file(served: Served, tmp_path: Path, path: str, size: int) -> None:
    assert content_of(served.fetch(path, tmp_path)) == CONTENT[:size]


def test_without_the_option_it_is_http_1(served: Served, tmp_path: Path) -> None:
    assert content_of(served.fetch("/f.bin", tmp_path, http2=False)) == CONTENT
    assert {line[0] for line in served.seen()} == {"HTTP/1.1"}


def test_a_server_that_does_not_know_it(tmp_path: Path, nginx_tls: RealServer, certificates: Certificates) -> None:
    url = nginx_tls.put("f.bin", CONTENT)
    assert content_of(fetch(url, tmp_path, ca=str(certificates.ca_file), http2=True)) == CONTENT


def test_plain_http_stays_as_it_is(tmp_path: Path, nginx: RealServer) -> None:
    assert content_of(fetch(nginx.put("f.bin", CONTENT), tmp_path, http2=True)) == CONTENT


def test_a_resume(served: Served, tmp_path: Path) -> None:
    url = served.server.url("/f.bin")
    drive(stopped_after(4_000_000), url, tmp_path, **served.options(limit=20_000_000))
    result = served.fetch("/f.bin", tmp_path)
    assert content_of(result) == CONTENT
    assert result.resumed_bytes > 2_000_000


def test_a_file_that_changed_between_two_runs(served: Served, tmp_path: Path) -> None:
    url = served.server.url("/f.bin")
    drive(stopped_after(4_000_000), url, tmp_path, **served.options(limit=20_000_000))
    served.server.put("f.bin", CONTENT[::-1])
    assert content_of(served.fetch("/f.bin", tmp_path)) == CONTENT[::-1]


def test_a_redirect(served: Served, tmp_path: Path) -> None:
    assert content_of(served.fetch("/moved", tmp_path)) == CONTENT
    assert len({line[2] for line in served.seen()}) == 1


def test_a_file_that_is_not_there(served: Served, tmp_path: Path) -> None:
    result = served.fetch("/gone", tmp_path)
    assert result.status is Status.FAILED
    assert isinstance(result.error, NotFound)


def test_a_login_that_is_missing(served: Served, tmp_path: Path) -> None:
    assert isinstance(served.fetch("/locked", tmp_path).error, AccessDenied)


def test_a_server_that_ends_connections_early(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """GOAWAY after a few requests: those go on, the rest comes over another connection, and no lane is lost."""
    lost = list[str]()
    end = Lanes._end

    def ends(self: Lanes, lane: LaneRun, error: ThunderdlError) -> None:
        if not isinstance(error, Cancelled):
            lost.append(str(error))
        end(self, lane, error)

    monkeypatch.setattr(Lanes, "_end", ends)
    few = "keepalive_requests 3; limit_rate 5m;"
    with nginx(tls=certificates.good(), http2=True, directives=few, logged=True) as server:
        url = server.put("f.bin", CONTENT)
        result = fetch(url, tmp_path, ca=str(certificates.ca_file), http2=True, connections=8, per_host=8)
        seen = Served(server, certificates).seen()
    assert content_of(result) == CONTENT
    assert len({line[2] for line in seen}) > 1
    assert lost == []
    assert result.wasted_bytes == 0


def test_few_streams_on_one_connection(certificates: Certificates, tmp_path: Path) -> None:
    with nginx(tls=certificates.good(), http2=True, directives="http2_max_concurrent_streams 2;") as server:
        url = server.put("f.bin", CONTENT)
        assert content_of(fetch(url, tmp_path, ca=str(certificates.ca_file), http2=True)) == CONTENT


def test_a_stream_that_is_longer_than_its_window(certificates: Certificates, tmp_path: Path) -> None:
    with nginx(tls=certificates.good(), http2=True, directives="max_ranges 0;") as server:
        url = server.put("f.bin", CONTENT)
        assert content_of(fetch(url, tmp_path, ca=str(certificates.ca_file), http2=True)) == CONTENT


def test_an_unknown_authority(served: Served, tmp_path: Path) -> None:
    result = fetch(served.server.url("/f.bin"), tmp_path, http2=True)
    assert "certificate" in str(result.error)


_PROGRAM = """
import asyncio, sys
from thunderdl.client import Client
from thunderdl.options import Options

async def run():
    async with Client(Options(dir=sys.argv[2], ca=sys.argv[3])) as client:
        await client.add(sys.argv[1])

asyncio.run(run())
print([name for name in sys.modules if name.split(".")[0] in ("h2", "hpack") or "http2" in name])
"""


def test_nothing_of_it_is_loaded_without_the_option(served: Served, tmp_path: Path, certificates: Certificates) -> None:
    words = [served.server.url("/f.bin"), str(tmp_path), str(certificates.ca_file)]
    told = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *words], capture_output=True, text=True, check=True, timeout=30
    )
    assert told.stdout.strip() == "[]"
    assert (tmp_path / "f.bin").stat().st_size == len(CONTENT)
