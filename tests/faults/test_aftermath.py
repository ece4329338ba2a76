"""What is left when a commit or a sync went wrong, and what the next run makes of it."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
import xxhash

from tests.faults.test_power import PlainSession, release
from thunderdl.core.trust import Version
from thunderdl.engine.ledger import Identity, Ledger
from thunderdl.engine.session import Session
from thunderdl.errors import DiskFull, StorageError
from thunderdl.model import Validators
from thunderdl.options import Exists, Options
from thunderdl.sources.http.transfer import Extent
from thunderdl.storage.files import PartFile, remove_leftover, write_small
from thunderdl.storage.journal import Journal
from thunderdl.storage.records import Barrier, Filled, Header, JournalDamaged
from thunderdl.storage.recovery import is_whole

TRUTH = bytes(range(256)) * 400
HALF = len(TRUTH) // 2


def failing(code: int) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def opened(folder: Path) -> Ledger:
    return Ledger.open(cast(Session, PlainSession()), Options(), str(folder / "f"))


def begun(folder: Path) -> Ledger:
    ledger = opened(folder)
    version = Version(size=len(TRUTH), validators=Validators(etag='"v1"'))
    ledger.begin(Identity(url="http://a.example/f", mirrors=(), name="f", version=version))
    return ledger


def fill(ledger: Ledger, start: int, end: int) -> None:
    os.pwrite(ledger.part.fd, TRUTH[start:end], start)
    ledger.take([Extent(start, end, xxhash.xxh3_64(TRUTH[start:end]).digest())], source=1)


def test_after_a_failed_sync_in_the_commit_the_next_run_counts_what_a_barrier_covers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thunderdl.engine.ledger.BARRIER_S", -1.0)

    async def run() -> None:
        ledger = begun(tmp_path)
        fill(ledger, 0, HALF)
        ledger.keep_durable()
        await asyncio.sleep(0)
        fill(ledger, HALF, len(TRUTH))
        with monkeypatch.context() as patch:
            patch.setattr("thunderdl.storage.files.sync_data", failing(errno.EIO))
            with pytest.raises(StorageError, match="the disk reports an error"):
                await ledger.commit()
            await ledger.close()

    asyncio.run(run())
    again = opened(tmp_path)
    assert again.resumed is not None
    assert list(again.resumed.written) == [(0, HALF)]
    release(again)


def test_where_the_loss_cannot_be_recorded_the_journal_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "f.part.journal")
    journal = Journal.create(path, Header(url="http://a.example/f", size=300))
    journal.append([Filled(0, 100, bytes(8))])
    journal.barrier()
    journal.append([Filled(100, 200, bytes(8)), Filled(200, 300, bytes(8))])
    with monkeypatch.context() as patch:
        patch.setattr("thunderdl.storage.journal.os.pwrite", failing(errno.ENOSPC))
        with pytest.raises(DiskFull):
            journal.lose_unsynced()
    with pytest.raises(StorageError):
        journal.append([Barrier()])
    journal.close()
    journal, found = Journal.open(path)
    assert [(extent.start, extent.end) for extent in found.extents] == [(0, 100)]
    journal.close()


def test_cut_off_before_any_barrier_it_counts_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "f.part.journal")
    journal = Journal.create(path, Header(url="http://a.example/f", size=300))
    journal.append([Filled(0, 100, bytes(8))])
    with monkeypatch.context() as patch:
        patch.setattr("thunderdl.storage.journal.os.pwrite", failing(errno.ENOSPC))
        with pytest.raises(DiskFull):
            journal.lose_unsynced()
    journal.close()
    with pytest.raises(JournalDamaged):
        Journal.open(path)


def finished_with_journal(folder: Path) -> Path:
    """The final file, right, and the journal of it: killed between the two."""

    async def run() -> None:
        ledger = begun(folder)
        fill(ledger, 0, len(TRUTH))
        ledger.part.commit(Exists.REFUSE)
        release(ledger)

    asyncio.run(run())
    assert sorted(os.listdir(folder)) == ["f", "f.part.journal"]
    return folder / "f"


def test_a_journal_beside_its_finished_file_is_seen_through(tmp_path: Path) -> None:
    final = finished_with_journal(tmp_path)
    inode = final.stat().st_ino
    ledger = opened(tmp_path)
    assert ledger.part.published
    assert ledger.resumed is not None
    ledger.go_on(ledger.resumed.version)
    assert ledger.all_checked
    assert asyncio.run(ledger.commit()) == str(final)
    assert os.listdir(tmp_path) == ["f"]
    assert final.stat().st_ino == inode


def test_a_file_of_somebody_else_is_not_taken_for_the_finished_one(tmp_path: Path) -> None:
    final = finished_with_journal(tmp_path)
    final.write_bytes(TRUTH[:-1] + b"?")
    ledger = opened(tmp_path)
    assert not ledger.part.published
    assert ledger.resumed is None
    asyncio.run(ledger.discard())
    assert os.listdir(tmp_path) == ["f"]
    assert final.read_bytes() == TRUTH[:-1] + b"?"


def test_a_finished_file_is_never_written_to(tmp_path: Path) -> None:
    """Its hash is wrong, say, and the user wants it overwritten: in a part file of its own."""
    final = finished_with_journal(tmp_path)
    ledger = opened(tmp_path)
    version = Version(size=10, validators=Validators(etag='"v2"'))
    ledger.begin(Identity(url="http://a.example/f", mirrors=(), name="f", version=version))
    assert not ledger.part.published
    os.pwrite(ledger.part.fd, b"0123456789", 0)
    assert final.read_bytes() == TRUTH
    release(ledger)


def test_is_whole_reads_every_byte(tmp_path: Path) -> None:
    final = finished_with_journal(tmp_path)
    journal = str(tmp_path / "f.part.journal")
    fd = os.open(final, os.O_RDWR)
    assert is_whole(journal, fd)
    os.pwrite(fd, b"?", HALF)
    assert not is_whole(journal, fd)
    os.pwrite(fd, TRUTH[HALF : HALF + 1], HALF)
    os.truncate(fd, len(TRUTH) + 1)
    assert not is_whole(journal, fd)
    assert not is_whole(str(tmp_path / "absent"), fd)
    os.close(fd)


def test_the_second_name_of_a_finished_file_is_removed(tmp_path: Path) -> None:
    final = tmp_path / "f"
    write_small(str(final), TRUTH, Exists.REFUSE)
    os.link(final, tmp_path / "f.part")
    remove_leftover(str(final))
    assert os.listdir(tmp_path) == ["f"]


def test_but_not_what_another_process_is_at_work_on(tmp_path: Path) -> None:
    part = PartFile.open(str(tmp_path / "f"))
    os.link(part.path, tmp_path / "f")
    remove_leftover(str(tmp_path / "f"))
    assert sorted(os.listdir(tmp_path)) == ["f", "f.part"]
    part.close()


def test_nor_another_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"one")
    (tmp_path / "f.part").write_bytes(b"two")
    remove_leftover(str(tmp_path / "f"))
    assert sorted(os.listdir(tmp_path)) == ["f", "f.part"]
