"""The trace of real downloads: it replays exactly, it is nobody else's business, and it never ends a download."""

from __future__ import annotations

import asyncio
import json
import os
import random
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import content_of, drive, fetch, piece_hashes, stopped_after
from tests.servers import misbehave as m
from tests.servers.exchange import generated
from tests.servers.loopback import Limits, LoopbackServer
from thunderdl.client import Client
from thunderdl.core.protocol import Complete, Ended, Failed, Tick
from thunderdl.core.ranges import RangeSet
from thunderdl.core.scheduler import Scheduler
from thunderdl.core.tracing import Begun, Step
from thunderdl.engine import tracing
from thunderdl.engine.tracing import Trace, shown_source
from thunderdl.errors import StorageError, ThunderdlError, UsageError
from thunderdl.model import Status
from thunderdl.options import Options
from thunderdl.replay.playing import Player
from thunderdl.replay.reading import downloads, entries

SIZE = 4 * 1024 * 1024
PACE = Limits(rate_bytes_per_s=32 * 1024 * 1024)


@pytest.fixture
def pair() -> Iterator[list[LoopbackServer]]:
    with (
        LoopbackServer({"/f": generated(SIZE, seed=1)}, limits=PACE) as one,
        LoopbackServer({"/f": generated(SIZE, seed=1)}, limits=PACE) as two,
    ):
        yield [one, two]


def replayed(path: Path, number: int = 1) -> tuple[Player, list[Step]]:
    player, steps = None, []
    for line, entry in entries(str(path), number):
        if isinstance(entry, Begun):
            player = Player(entry, random.Random(entry.seed))
        elif player:
            player.play(line, entry)
            steps += [entry] if isinstance(entry, Step) else []
    assert player is not None
    return player, steps


def run(pair: list[LoopbackServer], folder: Path, **changes: Any) -> Path:
    trace = folder / "run.trace"
    result = fetch(pair[0].url("/f"), folder, mirrors=[pair[1].url("/f")], trace=str(trace), **changes)
    assert len(content_of(result)) == SIZE
    return trace


@pytest.mark.parametrize("broken", [None, m.after(2, m.status(503)), m.corrupt_from(0), m.after(1, m.short_body(1000))])
def test_a_download_replays_exactly(tmp_path: Path, pair: list[LoopbackServer], broken: Any) -> None:
    if broken:
        pair[1].resources["/f"] = generated(SIZE, seed=1, behaviour=broken)
    good = generated(SIZE, seed=1)
    trace = run(pair, tmp_path, piece_hashes=piece_hashes(bytes(good.span(0, SIZE)), 262_144), retries=3)
    player, steps = replayed(trace)
    assert player.difference is None
    assert player.events == len(steps) > 5
    assert any(isinstance(command, Complete) for step in steps for command in step.said)


def test_a_lease_ends_once(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    """What was given up brings nothing any more: its range is somebody else's by then."""
    pair[1].resources["/f"] = generated(SIZE, seed=1, behaviour=m.corrupt_from(0))
    content = bytes(generated(SIZE, seed=1).span(0, SIZE))
    trace = run(pair, tmp_path, piece_hashes=piece_hashes(content, 65_536), per_host=2)
    ends = [step.heard.lease for step in replayed(trace)[1] if isinstance(step.heard, Ended | Failed)]
    assert len(ends) == len(set(ends)) > 2


def test_each_download_of_a_session_is_there(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    async def both() -> None:
        async with Client(Options(dir=str(tmp_path), trace=str(tmp_path / "t"))) as client:
            tasks = [client.add(server.url("/f"), out=f"f{n}") for n, server in enumerate(pair)]
            for task in tasks:
                await task

    asyncio.run(both())
    found = downloads(str(tmp_path / "t"))
    assert [(each.number, each.size) for each in found] == [(1, SIZE), (2, SIZE)]
    assert {each.name for each in found} == {server.url("/f") for server in pair}
    assert all(replayed(tmp_path / "t", number)[0].is_exact for number in (1, 2))


def test_a_stopped_download_leaves_its_trace(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    trace = tmp_path / "t"
    result = drive(stopped_after(1_500_000), pair[0].url("/f"), tmp_path, trace=str(trace))
    assert result.status is Status.CANCELLED
    assert replayed(trace)[0].is_exact


def test_no_credentials_and_no_signatures(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    path = "/f?X-Amz-Signature=5ecret&token=5ecret#5ecret"
    pair[0].resources["/f?X-Amz-Signature=5ecret&token=5ecret"] = generated(SIZE, seed=1)
    url = pair[0].url(path).replace("//", "//user:5ecret@")
    fetch(url, tmp_path, headers=(("X-Key", "5ecret"),), trace=str(tmp_path / "t"))
    text = (tmp_path / "t").read_text()
    assert "5ecret" not in text
    assert "user" not in text
    assert f"{pair[0].origin}/f?" in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@h/a/b.iso?sig=1#x", "https://h/a/b.iso?…"),
        ("https://h/a#frag", "https://h/a?…"),
        ("https://h/a", "https://h/a"),
        ("https://h/a\nb?c\nd", "https://h/a\ufffdb?…"),
    ],
)
def test_what_is_shown_of_a_url(url: str, shown: str) -> None:
    assert shown_source(url) == shown


def test_the_file_is_for_its_owner_only(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    path = tmp_path / "run.trace"
    path.write_text('{"thunderdl trace": 1}\nold\n')
    path.chmod(0o644)
    run(pair, tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "old" not in path.read_text()


def refusal(path: Path) -> str:
    with pytest.raises(ThunderdlError) as caught:
        Trace(str(path))
    assert isinstance(caught.value, UsageError | StorageError)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_what_is_not_a_trace_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "thesis.txt"
    path.write_text("ten years of work")
    assert refusal(path) == f"{path} exists and is not a trace; choose another file for --trace."
    assert path.read_text() == "ten years of work"


def test_it_goes_through_no_link_and_into_no_pipe_or_folder(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text('{"thunderdl trace": 1}\n')
    (tmp_path / "soft").symlink_to(target)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    os.link(target, tmp_path / "hard")
    os.mkfifo(tmp_path / "pipe")
    for name in ("soft", "dangling", "hard", "pipe", ".", "absent/t"):
        refusal(tmp_path / name)
    assert target.read_text() == '{"thunderdl trace": 1}\n'
    assert not (tmp_path / "nowhere").exists()


def test_two_do_not_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "t"
    trace = Trace(str(path))
    assert "another process" in refusal(path)
    trace.close()
    Trace(str(path)).close()


def test_a_full_disk_ends_the_trace_and_not_the_download(
    tmp_path: Path, pair: list[LoopbackServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, written = os.write, 0

    def write(fd: int, data: Any) -> int:
        nonlocal written
        if bytes(data[:1]) == b"{" and b'"d":' in bytes(data[:40]):
            written += 1
            raise OSError(28, "No space left on device")
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)
    trace = tmp_path / "t"
    result = fetch(pair[0].url("/f"), tmp_path, trace=str(trace))
    assert len(content_of(result)) == SIZE
    assert written == 1
    assert [note for note in result.notes if "trace" in note] == [
        f"the trace {trace} is not complete: No space left on device"
    ]


def test_a_disk_that_hangs_costs_the_trace_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "MOST_WAITING", 3)
    trace = Trace(str(tmp_path / "t"))
    with trace._lock:
        for _ in range(10):
            trace.note(1, Step(0.0, Tick()))
    trace.close()
    assert trace.fault == "the disk was too slow for it"
    assert len(trace._waiting) == 0


def test_a_torn_last_line_is_left_out(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    trace = run(pair, tmp_path)
    whole = trace.read_bytes()
    for cut in range(len(whole) - 1, len(whole) - 400, -7):
        trace.write_bytes(whole[:cut])
        player, _ = replayed(trace)
        assert player.is_exact


def test_it_is_written_while_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "WRITE_EVERY_S", 0.01)
    path = tmp_path / "t"
    trace = Trace(str(path))
    trace.note(1, Step(1.0, Tick()))
    while path.read_text().count("\n") < 2:
        assert trace._writer.is_alive()
    trace.close()
    assert json.loads(path.read_text().splitlines()[1])["at"] == 1.0


def scheduler_of(trace: Trace) -> Scheduler:
    return trace.scheduler({1: "http://h/f"})(
        size=100, filled=RangeSet(), align=1, host_lanes=1, all_lanes=1, retries=1, stall_s=1.0,
        jitter=random.Random(1),
    )  # fmt: skip


def test_an_exception_of_the_scheduler_is_in_the_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = Trace(str(tmp_path / "t"))
    scheduler = scheduler_of(trace)
    with monkeypatch.context() as broken:
        broken.setattr(Scheduler, "_make_room", lambda self: 1 // 0)
        broken.setattr(scheduler, "_all_lanes", 0)
        with pytest.raises(ZeroDivisionError):
            scheduler.handle(Tick(), 5.0)
    trace.close()
    (found,) = [entry for _, entry in entries(str(tmp_path / "t"), 1) if isinstance(entry, Step)]
    assert found == Step(5.0, Tick(), raised="ZeroDivisionError")
    player, _ = replayed(tmp_path / "t")
    assert player.difference is not None
    assert "ZeroDivisionError" in player.difference.expected


def test_what_cannot_be_written_ends_the_trace_only(tmp_path: Path) -> None:
    trace = Trace(str(tmp_path / "t"))
    trace.note(1, Step(float("nan"), Tick()))
    trace.close()
    assert "cannot be written" in trace.fault


def test_what_the_scheduler_is_given_is_noted_as_it_was(tmp_path: Path) -> None:
    trace = Trace(str(tmp_path / "t"))
    scheduler = scheduler_of(trace)
    scheduler.filled.add(0, 50)
    trace.close()
    (begun,) = [entry for _, entry in entries(str(tmp_path / "t"), 1)]
    assert isinstance(begun, Begun)
    assert begun.settings["filled"] == RangeSet()
    assert begun.settings["size"] == 100
