"""Disks that are full, read-only or fail: one sentence, nothing lost, nothing half-finished under the final name."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.runs import LIMIT_S, content_of, drive, failed, fetch, names, sha256
from tests.servers import misbehave as m
from tests.servers.exchange import Behaviour, Reply, Request, generated
from tests.servers.loopback import LoopbackServer, Resource
from thunderdl.client import Task
from thunderdl.errors import DiskFull, StorageError
from thunderdl.model import Result
from thunderdl.storage import files, journal

SIZE = 4 * 1024 * 1024
CONTENT = bytes(generated(SIZE, seed=1).span(0, SIZE))


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A tmpfs at ``folder``; skips where one may not be mounted."""
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
    if made.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "size=3m") as folder:
        yield folder


@pytest.fixture
def read_only_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "size=1m,ro") as folder:
        yield folder


@pytest.mark.parametrize("behaviour", [m.well, m.no_ranges, m.together(m.no_ranges, m.chunked)])
def test_a_full_disk(small_disk: Path, server: LoopbackServer, behaviour: Behaviour) -> None:
    server.resources["/f"] = generated(SIZE, seed=1, behaviour=behaviour)
    failed(fetch(server.url("/f"), small_disk), DiskFull, 9, "the disk is full", "free some space")
    assert "f" not in names(small_disk)


def test_a_full_disk_and_then_more_room(small_disk: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = generated(SIZE, seed=1)
    failed(fetch(server.url("/f"), small_disk), DiskFull, 9)
    assert names(small_disk) == ["f.part", "f.part.journal"]
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    result = fetch(server.url("/f"), small_disk, checksum=sha256(CONTENT))
    assert content_of(result) == CONTENT
    assert names(small_disk) == ["f"]


def test_a_full_disk_and_a_small_file(small_disk: Path, server: LoopbackServer) -> None:
    (small_disk / "filler").write_bytes(bytes(3 * 1024 * 1024 - 8192))
    server.resources["/f"] = generated(100_000, seed=1)
    failed(fetch(server.url("/f"), small_disk), DiskFull, 9)
    assert names(small_disk) == ["filler"]


def test_no_room_for_the_journal(small_disk: Path, server: LoopbackServer) -> None:
    (small_disk / "filler").write_bytes(bytes(3 * 1024 * 1024))
    server.resources["/f"] = generated(SIZE, seed=1)
    failed(fetch(server.url("/f"), small_disk), DiskFull, 9)
    assert names(small_disk) == ["filler"]


@pytest.mark.parametrize("size", [1000, SIZE])
def test_a_read_only_folder(read_only_disk: Path, server: LoopbackServer, size: int) -> None:
    server.resources["/f"] = generated(size, seed=1)
    failed(fetch(server.url("/f"), read_only_disk), StorageError, 9, "read-only", "--dir")
    failed(fetch(server.url("/f"), read_only_disk / "new"), StorageError, 9, "read-only", "--dir")


@pytest.mark.skipif(os.getuid() == 0, reason="the superuser may write anywhere")
@pytest.mark.parametrize("size", [1000, SIZE])
def test_a_folder_that_is_not_ours(tmp_path: Path, server: LoopbackServer, size: int) -> None:
    (tmp_path / "in").mkdir(mode=0o555)
    server.resources["/f"] = generated(size, seed=1)
    failed(fetch(server.url("/f"), tmp_path / "in"), StorageError, 9, "permission denied", "--dir")


PROGRAM = """
import resource, signal, sys, thunderdl
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    thunderdl.get(sys.argv[1], sys.argv[2], retries=0)
except thunderdl.ThunderdlError as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.mark.parametrize("behaviour", [m.well, m.no_ranges])
def test_a_file_larger_than_the_users_limit(tmp_path: Path, server: LoopbackServer, behaviour: Behaviour) -> None:
    server.resources["/f"] = generated(SIZE, seed=1, behaviour=behaviour)
    command = [sys.executable, "-c", PROGRAM, server.url("/f"), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    assert ended.returncode == 9, ended.stderr
    assert "too large" in ended.stdout
    assert ended.stderr == ""
    assert "f" not in names(tmp_path)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("size", [100_000, SIZE])
def test_a_sync_that_fails(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch, code: int, size: int
) -> None:
    def broken(_fd: int) -> None:
        raise OSError(code, os.strerror(code))

    server.resources["/f"] = generated(size, seed=1)
    with monkeypatch.context() as patch:
        patch.setattr(files, "sync_data", broken)
        failed(fetch(server.url("/f"), tmp_path), StorageError, 9)
    assert "f" not in names(tmp_path)
    assert content_of(fetch(server.url("/f"), tmp_path)) == generated(size, seed=1).span(0, size)


def test_the_loop_never_waits_for_the_journal(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    write_at, by_loop, may_write = files.write_at, [], threading.Event()

    def slow(fd: int, data: bytes, offset: int) -> None:
        by_loop.append(threading.current_thread() is threading.main_thread())
        # Not its header: without one nothing begins.
        if offset:
            may_write.wait(LIMIT_S)
        write_at(fd, data, offset)

    async def script(task: Task) -> Result:
        async for progress in task:
            if progress.done_bytes == SIZE:
                may_write.set()
        return await task.outcome()

    monkeypatch.setattr(journal, "write_at", slow)
    server.resources["/f"] = generated(SIZE, seed=1)
    assert content_of(drive(script, server.url("/f"), tmp_path)) == CONTENT
    assert by_loop
    assert not any(by_loop)


def test_a_coded_body_that_is_written_in_parts_is_whole(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    pwrite = os.pwrite
    monkeypatch.setattr(
        "os.pwrite", lambda fd, data, offset: pwrite(fd, memoryview(data)[: 1 + len(data) // 2], offset)
    )
    server.resources["/f"] = Resource(body=CONTENT, behaviour=m.gzip_coded)
    assert content_of(fetch(server.url("/f"), tmp_path)) == CONTENT


def test_a_part_file_taken_away_midway(tmp_path: Path, server: LoopbackServer) -> None:
    def take_away(_request: Request, reply: Reply) -> Reply:
        (tmp_path / "f.part").unlink(missing_ok=True)
        return reply

    server.resources["/f"] = generated(SIZE, seed=1, behaviour=m.after(1, take_away))
    result = fetch(server.url("/f"), tmp_path)
    if result.error is None:
        assert content_of(result) == CONTENT
    else:
        failed(result, StorageError, 9, "f.part")
        assert "f" not in names(tmp_path)


def test_something_takes_the_name_meanwhile(tmp_path: Path, server: LoopbackServer) -> None:
    def take(_request: Request, reply: Reply) -> Reply:
        (tmp_path / "f").write_text("mine")
        return reply

    server.resources["/f"] = generated(SIZE, seed=1, behaviour=m.after(1, take))
    result = fetch(server.url("/f"), tmp_path)
    assert result.error is not None
    assert getattr(result.error, "exit_code", 0) == 10
    assert (tmp_path / "f").read_text() == "mine"
    # What was fetched is kept for a run with another policy.
    assert names(tmp_path) == ["f", "f.part", "f.part.journal"]
