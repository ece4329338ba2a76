"""Real servers, as users meet them: nginx (plain and TLS), Apache, Python's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.runs import content_of, drive, fetch, sha256, stopped_after
from tests.servers.certificates import Certificates
from tests.servers.exchange import generated
from tests.servers.real import RealServer

CONTENT = bytes(generated(20_000_000, seed=11).span(0, 20_000_000))


@pytest.mark.parametrize("name", ["nginx", "apache", "python_http_server"])
def test_a_large_file(tmp_path: Path, request: pytest.FixtureRequest, name: str) -> None:
    server: RealServer = request.getfixturevalue(name)
    result = fetch(server.put("big file é.bin", CONTENT), tmp_path, checksum=sha256(CONTENT))
    assert content_of(result) == CONTENT
    assert result.path == str(tmp_path / "big file é.bin")


@pytest.mark.parametrize("name", ["nginx", "apache", "python_http_server"])
@pytest.mark.parametrize("size", [0, 1, 70_000])
def test_a_small_file(tmp_path: Path, request: pytest.FixtureRequest, name: str, size: int) -> None:
    server: RealServer = request.getfixturevalue(name)
    assert content_of(fetch(server.put("small.bin", CONTENT[:size]), tmp_path)) == CONTENT[:size]


def test_tls(tmp_path: Path, nginx_tls: RealServer, certificates: Certificates) -> None:
    url = nginx_tls.put("f.bin", CONTENT)
    assert content_of(fetch(url, tmp_path, ca=str(certificates.ca_file))) == CONTENT


@pytest.mark.parametrize("name", ["nginx", "apache"])
def test_a_resume(tmp_path: Path, request: pytest.FixtureRequest, name: str) -> None:
    server: RealServer = request.getfixturevalue(name)
    url = server.put("f.bin", CONTENT)
    drive(stopped_after(4_000_000), url, tmp_path, limit=20_000_000)
    result = fetch(url, tmp_path)
    assert content_of(result) == CONTENT
    assert result.resumed_bytes > 2_000_000


@pytest.mark.parametrize("name", ["nginx", "apache"])
def test_a_file_that_changed_between_two_runs(tmp_path: Path, request: pytest.FixtureRequest, name: str) -> None:
    server: RealServer = request.getfixturevalue(name)
    url = server.put("f.bin", CONTENT)
    drive(stopped_after(4_000_000), url, tmp_path, limit=20_000_000)
    other = CONTENT[::-1]
    server.put("f.bin", other)
    result = fetch(url, tmp_path)
    assert content_of(result) == other
    assert any("thrown away" in note for note in result.notes)
