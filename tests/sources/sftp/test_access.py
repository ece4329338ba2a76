"""What is refused before anything runs, and servers that lie, from the URL to the sentence."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import failed, fetch, names
from tests.servers.fake_sftp import Behaviour, behave, in_place_of_ssh, ssh_that_runs
from thunderdl.client import Client
from thunderdl.errors import (
    BadResponse,
    ConnectionLost,
    InvalidUrl,
    LastingFault,
    ServerBusy,
    SourceError,
    ThunderdlError,
)
from thunderdl.model import Result
from thunderdl.options import Options


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    served = tmp_path_factory.mktemp("served")
    (served / "f").write_bytes(bytes(500_000))
    with in_place_of_ssh(served):
        yield served


@pytest.mark.parametrize(("behaviour", "kind", "exit_code", "told"), [
    (Behaviour(size=1 << 63), BadResponse, 6, "2^63"),
    (Behaviour(size=600_000), ConnectionLost, 4, "before its stated size"),
    (Behaviour(mode=0o020644), BadResponse, 6, "no regular file"),
    (Behaviour(mode=0o040755), BadResponse, 6, "a folder"),
    (Behaviour(too_much=1), BadResponse, 6, "another length"),
    (Behaviour(wrong_id=9), BadResponse, 6, "nothing that was asked"),
    (Behaviour(text="Last login: today\n"), BadResponse, 6, "start-up files"),
    (Behaviour(cut_after=0), ConnectionLost, 4, "in the middle"),
    (Behaviour(said="kex_exchange_identification: read: Connection reset by peer\n"), ServerBusy, 6, "turned"),
    (Behaviour(said="\x1b[31mrubbish\a"), ConnectionLost, 4, "rubbish"),
], ids=str)  # fmt: skip
def test_each_lie_is_one_sentence(
    folder: Path, tmp_path: Path, behaviour: Behaviour, kind: type[SourceError], exit_code: int, told: str
) -> None:
    behave(folder, behaviour)
    failed(fetch(f"sftp://h{folder}/f", tmp_path), kind, exit_code, told)
    assert "f" not in names(tmp_path)


@pytest.mark.parametrize("url", [
    "sftp://-oProxyCommand=touch%20pwned/x", "sftp://-oProxyCommand%3Dtouch%20pwned@h/x", "sftp://-F@h/x",
    "sftp://a%3btouch%20pwned@h/x", "sftp://$(touch)@h/x", "sftp://h/a%00b", "sftp://h/a/", "sftp://h",
    "sftp://u:a%0ab@h/x", "sftp://h%0a/x", "sftp:///x",
])  # fmt: skip
def test_what_could_become_an_option_or_a_command_runs_nothing(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh_that_runs(tmp_path, f"touch {tmp_path}/ran; exit 255")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    failed(fetch(url, tmp_path / "to"), InvalidUrl, 2)
    assert not (tmp_path / "ran").exists()


def test_a_proxy_is_not_gone_around(folder: Path, tmp_path: Path) -> None:
    failed(fetch(f"sftp://h{folder}/f", tmp_path, proxy="socks5://127.0.0.1:1"), InvalidUrl, 2, "ProxyJump")


@pytest.mark.parametrize("changes", [
    {"proxy": "socks5://127.0.0.1:1"}, {"proxy_for": (("h", "socks5://127.0.0.1:1"),)},
    {"proxy": "socks5://127.0.0.1:1", "proxy_for": (("g", "direct"),)},
])  # fmt: skip
def test_nor_is_one_of_a_single_download(folder: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    failed(fetch_with_own(f"sftp://h{folder}/f", tmp_path, **changes), InvalidUrl, 2, "ProxyJump")


def test_where_a_proxy_does_not_hold_ssh_connects(folder: Path, tmp_path: Path) -> None:
    elsewhere = (("g", "socks5://127.0.0.1:1"), ("h", "direct"))
    assert fetch_with_own(f"sftp://h{folder}/f", tmp_path, proxy_for=elsewhere).bytes == 500_000


def test_nor_is_one_of_the_session_for_this_host(folder: Path, tmp_path: Path) -> None:
    proxies = (("h", "socks5://127.0.0.1:1"),)
    failed(fetch(f"sftp://h{folder}/f", tmp_path, proxy_for=proxies), InvalidUrl, 2, "ProxyJump")


def fetch_with_own(url: str, to: Path, **changes: Any) -> Result:
    """With options of the download, not of its session."""

    async def run() -> Result:
        async with Client(Options(dir=str(to), retries=0, timeout=20.0, checksum_files=False)) as client:
            return await client.add(url, **changes).outcome()

    return asyncio.run(run())


def test_without_ssh_one_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    failed(fetch("sftp://h/f", tmp_path), LastingFault, 6, "openssh-client")


def test_more_than_a_server_stated_is_not_fetched(folder: Path, tmp_path: Path) -> None:
    behave(folder, Behaviour(size=300_000))
    result = fetch(f"sftp://h{folder}/f", tmp_path)
    assert result.bytes == 300_000
    assert not isinstance(result.error, ThunderdlError)
