"""A bug of ours in a mover's thread or in a callback of the loop is a download that failed, not one that waits."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import cancelled_at, drive, fetch
from tests.servers.exchange import generated
from tests.servers.loopback import Limits, LoopbackServer
from tests.servers.misbehave import stall_after
from thunderdl.client import Task
from thunderdl.core.protocol import Ended
from thunderdl.core.scheduler import Scheduler
from thunderdl.engine.driver import Driver
from thunderdl.engine.lanes import Lanes
from thunderdl.engine.ledger import Ledger
from thunderdl.errors import DownloadFailed, InternalError
from thunderdl.model import Result, Status
from thunderdl.sources.http.mover import Mover
from thunderdl.sources.http.transfer import Transfer

SIZE = 4 * 1024 * 1024


def broken(*_: object, **__: object) -> Any:
    raise MemoryError("nothing left")


def fetched(folder: Path, caplog: pytest.LogCaptureFixture, mirrors: int = 0) -> Result:
    paths = [f"/{number}" for number in range(mirrors + 1)]
    # Slow enough that the mirrors are let in before it is over.
    pace = Limits(rate_bytes_per_s=24 * 1024 * 1024)
    with LoopbackServer({path: generated(SIZE) for path in paths}, limits=pace) as server:
        urls = [server.url(path) for path in paths]
        with caplog.at_level(logging.WARNING):
            result = fetch(urls[0], folder, mirrors=urls[1:], timeout=60.0, retries=3)
    assert caplog.records == []
    return result


def check_told(result: Result) -> None:
    assert result.status is Status.FAILED
    error = result.error.most_telling if isinstance(result.error, DownloadFailed) else result.error
    assert isinstance(error, InternalError)
    assert isinstance(error.bug, MemoryError)
    assert str(result.error).startswith("MemoryError: nothing left – this is a bug in thunderdl")


@pytest.mark.parametrize("mirrors", [0, 2])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Transfer, "take"), (Mover, "_read_head"), (Mover, "_send"), (Mover, "_proceed"), (Mover, "_turn"),
        (Mover, "_end_waits"),
    ],
)  # fmt: skip
def test_a_bug_in_a_mover_ends_the_download(
    kind: type, name: str, mirrors: int, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(kind, name, broken)
    check_told(fetched(tmp_path, caplog, mirrors))


def test_a_bug_in_the_scheduler_ends_the_download(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = Scheduler.handle

    def fails_at_an_end(self: Scheduler, event: Any, now: float) -> Any:
        return broken() if isinstance(event, Ended) else handle(self, event, now)

    monkeypatch.setattr(Scheduler, "handle", fails_at_an_end)
    check_told(fetched(tmp_path, caplog))


def test_a_bug_in_the_ledger_ends_the_download(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ledger, "take", broken)
    check_told(fetched(tmp_path, caplog))


def test_a_bug_as_it_stops_does_not_keep_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last bytes of a lane are taken when its connection has been closed, for which the stop waits."""
    stop, failed = Lanes.stop, list[bool]()

    def fails(*_: object) -> None:
        failed.append(True)
        broken()

    async def stopped(self: Lanes) -> None:
        monkeypatch.setattr(Ledger, "take", fails)
        await stop(self)

    async def cancelled(task: Task) -> Result:
        return await cancelled_at(task, lambda progress: progress.done_bytes > 0)

    monkeypatch.setattr(Lanes, "stop", stopped)
    resource = generated(1024 * 1024, behaviour=stall_after(300_000))
    with LoopbackServer({"/f": resource}) as server:
        result = drive(cancelled, server.url("/f"), tmp_path, connections=1)
    assert failed
    assert result.status is Status.CANCELLED


def test_a_bug_while_a_mirror_is_let_in_ends_the_download(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Driver, "_why_refused", broken)
    check_told(fetched(tmp_path, caplog, mirrors=1))
