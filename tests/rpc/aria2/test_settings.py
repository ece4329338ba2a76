"""What ``getGlobalOption`` tells of the machine: files that are used, whether somebody named them or not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.rpc.aria2.service import serving

FILES = ("ca-certificate", "netrc-path", "dht-file-path", "dht-file-path6", "log", "conf-path")


def told(folder: Path, **changes: object) -> dict[str, str]:
    async def run() -> dict[str, str]:
        async with serving(folder, **changes) as service:
            every = await service.call("aria2.getGlobalOption")
            return {name: every[name] for name in FILES if name in every}

    return asyncio.run(run())


def test_files_that_are_used_are_told_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert told(tmp_path, netrc=False) == {}
    assert told(tmp_path, netrc=True) == {"netrc-path": str(tmp_path / ".netrc")}
    monkeypatch.setenv("NETRC", str(tmp_path / "other"))
    authorities = tmp_path / "ca"
    authorities.mkdir()
    assert told(tmp_path, netrc=True, ca=str(authorities)) == {
        "netrc-path": str(tmp_path / "other"), "ca-certificate": str(authorities)
    }  # fmt: skip
