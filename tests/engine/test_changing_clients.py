"""What all downloads of a client share, changed while they run; and what a running torrent says of its swarm."""

from __future__ import annotations

import asyncio
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import LIMIT_S, drive
from tests.engine.swarm import ALONE, made_torrent, seeds
from tests.engine.test_facts import looked
from tests.servers import misbehave as m
from tests.servers.exchange import Resource, generated
from tests.servers.loopback import Limits, LoopbackServer
from thunderdl.changes import changed
from thunderdl.client import Client, Request, Task
from thunderdl.errors import UsageError
from thunderdl.model import Result
from thunderdl.options import Encryption, Exists, Options, Priority
from thunderdl.reach import IpVersion


def lanes(task: Task) -> int:
    return task.progress().sources[0].lanes


@pytest.mark.parametrize("name", ["per_host", "connections"])
def test_connections_of_what_runs_grow_fewer_and_more(tmp_path: Path, name: str) -> None:
    async def run(url: str) -> None:
        options = Options(dir=str(tmp_path), checksum_files=False)
        async with asyncio.timeout(LIMIT_S), Client(options) as client:
            task = client.add(url)
            await looked(task, lambda task: lanes(task) > 2)
            client.change_options(**{name: 2})
            await looked(task, lambda task: lanes(task) <= 2)
            client.change_options(**{name: 8})
            await looked(task, lambda task: lanes(task) > 2)
            task.cancel()

    big = 400 * 1024 * 1024
    with LoopbackServer({"/f": generated(big, seed=1)}, limits=Limits(rate_bytes_per_s=20_000_000)) as server:
        asyncio.run(run(server.url("/f")))


def test_more_files_at_once(tmp_path: Path) -> None:
    async def run(urls: list[str]) -> None:
        async with asyncio.timeout(LIMIT_S), Client(Options(dir=str(tmp_path), jobs=1)) as client:

            async def all_of_it() -> None:
                async for _ in client.run(Request(url) for url in urls):
                    pass

            running = asyncio.create_task(all_of_it())
            await asyncio.to_thread(server.wait_for, lambda server: len(server.requests) == 1)
            assert len(client.tasks()) == 1
            client.change_options(jobs=3)
            await asyncio.to_thread(server.wait_for, lambda server: len(server.requests) == 3)
            client.stop()
            await running

    silent = {f"/{name}": Resource(body=b"", behaviour=m.silence) for name in "abc"}
    with LoopbackServer(silent) as server:
        asyncio.run(run([server.url(path) for path in silent]))


def test_what_a_client_has_from_its_beginning_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    async def run() -> None:
        async with Client(Options(dir=str(tmp_path))) as client:
            with pytest.raises(UsageError, match="http2, port: a client has it from its beginning"):
                client.change_options(limit=5, port=1, http2=True)
            with pytest.raises(UsageError, match="per_host must be at least 1"):
                client.change_options(limit=5, per_host=0)
            assert client.options.limit is None
            assert client.session.options.limit is None
            client.change_options(limit="1K", user_agent="new")
            assert client.session.pacing.limited
            assert client.options == Options(dir=str(tmp_path), limit=1024, user_agent="new")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("priority", Priority.HIGH), ("exists", Exists.SKIP), ("encryption", Encryption.OFF),
        ("ip_version", IpVersion.V6),
    ],
)  # fmt: skip
def test_a_choice_may_be_text_and_what_is_none_is_a_usage_error(name: str, last: Enum) -> None:
    assert getattr(changed(Options(), {name: last.value}), name) is last
    assert getattr(changed(Options(), {name: last}), name) is last
    for bad in ("bogus", 7, None, ()):
        with pytest.raises(UsageError, match=f"^{name} must be one of .*, not"):
            changed(Options(), {name: bad})


# -- what is said of a swarm


def told_of_peers(task: Task) -> str:
    return next((each.why for each in task.explanations() if each.url == "peers"), "")


def is_told(words: str, task: Task) -> bool:
    return words in told_of_peers(task)


def said(torrent: Path, folder: Path, *words: str, **changes: Any) -> None:
    """Wait until each of these is said, in this order."""

    async def watch(task: Task) -> Result:
        for each in words:
            await looked(task, partial(is_told, each))
        assert f"peers: {words[-1]}" in task.explain()
        task.cancel()
        return await task.outcome()

    drive(watch, str(torrent), folder, **{**ALONE, **changes})


def test_why_nobody_is_there_and_then_that_they_bring_it(tmp_path: Path) -> None:
    torrent = tmp_path / "t.torrent"
    torrent.write_bytes(made_torrent(tmp_path / "seed"))
    said(torrent, tmp_path / "a", "no peer yet: they are looked for")
    refused = "http://127.0.0.1:1/announce"
    said(torrent, tmp_path / "b", "no peer yet: its tracker failed: connection refused", trackers=(refused,))
    with seeds(torrent.read_bytes(), tmp_path / "seed", 1, rate_bytes_per_s=1_000_000) as (seed,):
        said(torrent, tmp_path / "c", "peers bring what they can", peers=(seed.address,))
