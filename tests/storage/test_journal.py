from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import xxhash

from thunderdl.errors import DiskFull, JournalUnusable, StorageError
from thunderdl.storage import journal as module
from thunderdl.storage import recovery
from thunderdl.storage.files import journal_path
from thunderdl.storage.journal import (
    SECTOR_BYTES,
    Journal,
    Recovered,
    current_boot_id,
    find_journals,
)
from thunderdl.storage.records import (
    Barrier,
    Dropped,
    Extent,
    Filled,
    Header,
    JournalDamaged,
    Record,
    Sources,
    Verified,
    compacted,
    decode,
)
from thunderdl.storage.recovery import BLOCK_BYTES, read_back, resume, trusted_extents

K = 1 << 14
A = b"aaaaaaaa"
HEADER = Header(url="https://a.example/f", size=10 * K, boot_id="this boot")


def digest(content: bytes) -> bytes:
    return xxhash.xxh3_64(content).digest()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return journal_path(str(tmp_path / "f.part"))


@pytest.fixture
def journal(path: str) -> Iterator[Journal]:
    made = Journal.create(path, HEADER)
    yield made
    made.close()


@pytest.fixture
def part_fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "f.part", os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, 10 * K)
    yield fd
    os.close(fd)


def failing(code: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def reopened(path: str) -> Recovered:
    again, found = Journal.open(path)
    again.close()
    return found


def spans(extents: list[Extent]) -> list[tuple[int, int]]:
    return [(extent.start, extent.end) for extent in extents]


def test_what_was_recorded_is_found_again(journal: Journal, path: str) -> None:
    journal.append([Filled(0, K, A), Filled(K, 2 * K, A)])
    journal.append([Dropped(0, K), Sources((("https://a.example/f", 5),))])
    found = reopened(path)
    assert found.header == HEADER
    assert found.extents == (Extent(K, 2 * K, A, False),)
    assert found.served == {"https://a.example/f": 5}


def test_appending_takes_one_write_and_no_sync(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[int] = []
    pwrite = os.pwrite

    def counted(fd: int, data: memoryview, offset: int) -> int:
        writes.append(len(data))
        return pwrite(fd, data, offset)

    monkeypatch.setattr("os.pwrite", counted)
    monkeypatch.setattr(module, "sync_data", failing(errno.EIO))
    journal.append([Filled(0, K, A)] * 50)
    journal.append([])
    assert len(writes) == 1


def test_what_is_posted_is_written_by_whoever_writes_next(journal: Journal, path: str) -> None:
    journal.post([Filled(0, K, A), Filled(K, 2 * K, A)])
    assert reopened(path).extents == ()
    # Its word comes last, or the range would be there again.
    journal.drop(0, K)
    assert spans(list(reopened(path).extents)) == [(K, 2 * K)]
    journal.post([Filled(2 * K, 3 * K, A)])
    journal.flush()
    assert not journal.has_posted
    assert spans(list(reopened(path).extents)) == [(K, 2 * K), (2 * K, 3 * K)]


def test_what_is_posted_is_covered_by_no_barrier_from_before(journal: Journal, path: str) -> None:
    journal.append([Filled(0, K, A)])
    mark = journal.mark()
    journal.post([Filled(K, 2 * K, A)])
    journal.barrier(mark)
    assert [(e.start, e.end, e.durable) for e in reopened(path).extents] == [(0, K, True), (K, 2 * K, False)]


def test_what_is_posted_is_void_where_a_sync_failed(journal: Journal, path: str) -> None:
    journal.post([Filled(0, K, A)])
    journal.lose_unsynced()
    journal.flush()
    assert reopened(path).extents == ()


def test_what_is_posted_to_a_closed_journal_goes_nowhere(journal: Journal, path: str) -> None:
    journal.close()
    journal.post([Filled(0, K, A)])
    journal.flush()
    assert reopened(path).extents == ()


def test_only_the_user_may_read_it(journal: Journal, path: str) -> None:
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    journal.compact([HEADER])
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_a_torn_tail_is_cut_and_written_over(journal: Journal, path: str) -> None:
    journal.append([Filled(0, K, A), Filled(K, 2 * K, A)])
    journal.close()
    os.truncate(path, os.path.getsize(path) - 1)
    again, found = Journal.open(path)
    assert spans(list(found.extents)) == [(0, K)]
    again.append([Filled(2 * K, 3 * K, A)])
    again.close()
    assert spans(list(reopened(path).extents)) == [(0, K), (2 * K, 3 * K)]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_write_that_fails_halfway_does_not_hurt_what_comes_after(
    journal: Journal, path: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append([Filled(0, K, A)])
    pwrite = os.pwrite

    def half(fd: int, data: memoryview, offset: int) -> int:
        if len(data) < 20:
            raise OSError(code, "")
        return pwrite(fd, data[: len(data) // 2], offset)

    with monkeypatch.context() as patch:
        patch.setattr("os.pwrite", half)
        with pytest.raises(StorageError) as caught:
            journal.append([Filled(K, 2 * K, A)])
    assert isinstance(caught.value, DiskFull) == (code != errno.EIO)
    assert spans(list(reopened(path).extents)) == [(0, K)]
    journal.append([Filled(2 * K, 3 * K, A)])
    assert spans(list(reopened(path).extents)) == [(0, K), (2 * K, 3 * K)]
    assert journal.unsynced() == [(0, K), (2 * K, 3 * K)]


def test_a_barrier_covers_what_its_mark_covers(journal: Journal, path: str) -> None:
    journal.append([Filled(0, K, A)])
    mark = journal.mark()
    journal.append([Filled(K, 2 * K, A)])
    journal.barrier(mark)
    assert [e.durable for e in reopened(path).extents] == [True, False]
    assert journal.unsynced() == [(K, 2 * K)]
    journal.barrier()
    assert [e.durable for e in reopened(path).extents] == [True, True]
    assert journal.unsynced() == []


def test_a_mark_from_before_a_compaction_covers_nothing(journal: Journal, path: str) -> None:
    journal.append([Filled(0, K, A)] * 100)
    mark = journal.mark()
    journal.compact([HEADER, Filled(0, K, A)])
    journal.barrier(mark)
    assert [e.durable for e in reopened(path).extents] == [False]


def test_each_sync_fills_the_sector(journal: Journal) -> None:
    assert journal.size_bytes % SECTOR_BYTES == 0
    for count in range(1, 40):
        journal.append([Verified(0, K)] * count)
        journal.sync()
        assert journal.size_bytes % SECTOR_BYTES == 0


def test_what_a_failed_sync_may_have_lost_is_told_and_dropped(journal: Journal, path: str) -> None:
    journal.append([Filled(0, K, A)])
    journal.barrier()
    journal.append([Filled(2 * K, 3 * K, A), Filled(K, 2 * K, A)])
    assert journal.lose_unsynced() == [(K, 3 * K)]
    assert journal.unsynced() == []
    assert spans(list(reopened(path).extents)) == [(0, K)]


def test_what_no_barrier_covered_in_an_earlier_run_may_be_lost_too(journal: Journal, path: str) -> None:
    journal.append([Filled(0, K, A)])
    journal.barrier()
    journal.append([Filled(K, 2 * K, A)])
    journal.close()
    again, _ = Journal.open(path)
    assert again.unsynced() == [(K, 2 * K)]
    again.close()


def test_dropping_is_on_the_disk_before_it_returns(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    monkeypatch.setattr(module, "sync_data", lambda fd: synced.append(os.pread(fd, 1 << 20, 0)))
    journal.append([Filled(0, K, A)])
    journal.drop(0, K)
    assert decode(synced[-1]).extents == ()


def test_after_its_own_failed_sync_only_a_new_journal_helps(
    journal: Journal, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "sync_data", failing(errno.EIO))
        with pytest.raises(StorageError, match="disk reports an error"):
            journal.barrier()
    for attempt in (journal.sync, journal.barrier, lambda: journal.append([Filled(0, K, A)])):
        with pytest.raises(StorageError, match="could not be put on the disk"):
            attempt()
    journal.compact([HEADER, Filled(0, K, A)])
    journal.barrier()
    assert [e.durable for e in reopened(path).extents] == [True]


def test_compaction_keeps_what_counts_and_goes_on(journal: Journal, path: str) -> None:
    for _ in range(100):
        journal.append([Filled(0, K, A), Filled(K, 2 * K, A)])
    journal.barrier()
    journal.append([Filled(2 * K, 3 * K, A)])
    before, size = reopened(path), journal.size_bytes
    journal.compact(compacted(before.header, before.extents))
    assert journal.size_bytes < size / 5
    assert reopened(path).extents == before.extents
    assert journal.unsynced() == [(2 * K, 3 * K)]
    journal.append([Filled(3 * K, 4 * K, A)])
    assert len(reopened(path).extents) == 4


@pytest.mark.parametrize("call", ["os.open", "os.pwrite", "os.fdatasync", "os.replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EMFILE])
def test_a_compaction_that_fails_leaves_the_old_one(
    journal: Journal, path: str, call: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not hasattr(os, call[3:]):
        pytest.skip(f"no {call} here")
    journal.append([Filled(0, K, A)])
    before = len(os.listdir("/dev/fd"))
    with monkeypatch.context() as patch:
        patch.setattr(call, failing(code))
        with pytest.raises(StorageError):
            journal.compact([HEADER])
    assert len(os.listdir("/dev/fd")) == before
    assert os.listdir(os.path.dirname(path)) == ["f.part.journal"]
    journal.append([Filled(K, 2 * K, A)])
    assert spans(list(reopened(path).extents)) == [(0, K), (K, 2 * K)]


def test_what_a_crash_left_of_a_compaction_does_not_matter(journal: Journal, path: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"victim")
    os.symlink(victim, path + "~")
    journal.compact([HEADER])
    assert victim.read_bytes() == b"victim"
    assert sorted(os.listdir(tmp_path)) == ["f.part.journal", "victim"]


def test_a_compaction_begins_with_a_header(journal: Journal) -> None:
    with pytest.raises(ValueError, match="header"):
        journal.compact([Filled(0, K, A)])


def test_what_is_closed_says_so(journal: Journal) -> None:
    journal.close()
    journal.close()
    with pytest.raises(StorageError, match="closed"):
        journal.append([Filled(0, K, A)])
    assert "Journal" in repr(journal)


def test_deleting_twice_does_not_matter(journal: Journal, path: str) -> None:
    journal.delete()
    journal.delete()
    assert not os.path.exists(path)


def test_a_new_journal_takes_the_place_of_an_old_one(journal: Journal, path: str) -> None:
    journal.append([Filled(0, K, A)])
    Journal.create(path, HEADER).close()
    assert reopened(path).extents == ()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/etc/passwd", path)])
def test_only_a_regular_file_is_read(path: str, make: Callable[[str], None]) -> None:
    make(path)
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(StorageError):
        Journal.open(path)
    assert len(os.listdir("/dev/fd")) == before


def test_a_journal_beyond_all_measure_is_not_read(journal: Journal, path: str) -> None:
    os.truncate(path, module.MAX_JOURNAL_BYTES + 1)
    with pytest.raises(JournalUnusable, match="too long"):
        Journal.open(path)


def test_a_foreign_file_is_left_as_it_is(path: str) -> None:
    Path(path).write_bytes(b"the diary of somebody")
    with pytest.raises(JournalUnusable):
        Journal.open(path)
    assert Path(path).read_bytes() == b"the diary of somebody"


def test_an_empty_journal_is_damaged(path: str) -> None:
    Path(path).touch()
    with pytest.raises(JournalDamaged):
        Journal.open(path)


def recovered(path: str, *records: Record) -> Recovered:
    made = Journal.create(path, HEADER)
    made.append(records)
    made.close()
    return reopened(path)


def test_in_the_same_start_of_the_machine_all_count(path: str) -> None:
    found = recovered(path, Filled(0, K, A), Barrier(), Filled(K, 2 * K, A))
    assert trusted_extents(found, "this boot") == (list(found.extents), [])


@pytest.mark.parametrize("boot_id", ["another boot", ""])
def test_after_another_start_those_before_the_barrier_count(path: str, boot_id: str) -> None:
    found = recovered(path, Filled(0, K, A), Barrier(), Filled(K, 2 * K, A))
    trusted, doubtful = trusted_extents(found, boot_id)
    assert (spans(trusted), spans(doubtful)) == ([(0, K)], [(K, 2 * K)])


def test_a_block_shared_with_unsafe_bytes_is_doubtful(path: str) -> None:
    found = recovered(path, Filled(0, K, A), Filled(K, 2 * K + 1, A), Filled(3 * K - 1, 4 * K, A), Barrier())
    trusted, doubtful = trusted_extents(found, "another boot")
    assert spans(trusted) == [(0, K)]
    assert spans(doubtful) == [(K, 2 * K + 1), (3 * K - 1, 4 * K)]


def test_safe_neighbours_share_blocks_in_peace_and_the_end_of_the_file_is_a_border(path: str) -> None:
    header = Header(url="http://a.example/", size=K + 5, boot_id="this boot")
    made = Journal.create(path, header)
    made.append([Filled(0, 100, A), Filled(100, K + 5, A), Barrier()])
    made.close()
    trusted, doubtful = trusted_extents(reopened(path), "another boot")
    assert (spans(trusted), doubtful) == ([(0, 100), (100, K + 5)], [])


def test_the_rest_of_a_cut_extent_counts_by_whole_blocks(path: str) -> None:
    found = recovered(path, Filled(0, K, A), Barrier(), Dropped(K - 10, K))
    trusted, doubtful = trusted_extents(found, "another boot")
    assert (spans(trusted), doubtful) == ([(0, K - BLOCK_BYTES)], [])


def test_what_lies_behind_the_end_of_the_part_file_is_not_there(path: str) -> None:
    found = recovered(path, Filled(0, K, A), Filled(K, 2 * K, A))
    assert spans(trusted_extents(found, "this boot", part_bytes=2 * K - 1)[0]) == [(0, K)]


def test_reading_back_compares_every_byte(part_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "READ_BACK_BYTES", 1000)
    content = bytes(range(256)) * 64
    os.pwrite(part_fd, content, 0)
    right, wrong = Extent(0, K, digest(content), False), Extent(1, K, digest(content), False)
    unknown, beyond = Extent(0, K, None, True), Extent(9 * K, 11 * K, digest(bytes(2 * K)), False)
    assert read_back(part_fd, [right, wrong, unknown, beyond]) == ([right], [wrong, unknown, beyond])


def test_what_the_disk_cannot_read_is_bad(part_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    extent = Extent(0, K, A, False)
    with monkeypatch.context() as patch:
        patch.setattr("os.preadv", failing(errno.EIO))
        assert read_back(part_fd, [extent]) == ([], [extent])
    with pytest.raises(OSError, match="Bad file descriptor"):
        read_back(-1, [extent])


def test_resuming_settles_what_counts(path: str, part_fd: int) -> None:
    os.pwrite(part_fd, b"1" * K, 0)
    records: list[Record] = [
        Filled(0, K, digest(b"1" * K)),
        Filled(K, 2 * K, digest(b"2" * K)),
        Verified(0, K),
        Verified(K, 2 * K),
    ]
    recovered(path, *records)
    journal, found, extents = resume(path, part_fd, "another boot")
    assert len(found.extents) == 2
    assert spans(extents) == [(0, K)]
    # The next barrier must not cover what was found bad.
    journal.barrier()
    journal.close()
    settled = reopened(path)
    assert settled.header.boot_id == "another boot"
    assert spans(list(settled.extents)) == [(0, K)]
    assert settled.verified == ((0, K),)


def test_resuming_in_the_same_start_changes_nothing(path: str, part_fd: int) -> None:
    recovered(path, Filled(0, K, A))
    before = os.stat(path)
    journal, _, extents = resume(path, part_fd, "this boot")
    journal.close()
    assert spans(extents) == [(0, K)]
    assert os.stat(path).st_ino == before.st_ino


def test_resuming_without_the_part_file_finds_nothing(path: str, tmp_path: Path) -> None:
    recovered(path, Filled(0, K, A), Barrier())
    fd = os.open(tmp_path / "new.part", os.O_RDWR | os.O_CREAT)
    journal, _, extents = resume(path, fd, "this boot")
    journal.close()
    os.close(fd)
    assert extents == []
    assert reopened(path).extents == ()


def test_threads_may_append_beside_barriers_and_compactions(journal: Journal, path: str) -> None:
    def fill(lane: int) -> None:
        for at in range(lane * K, (lane + 1) * K, 64):
            journal.append([Filled(at, at + 64, A)])

    lanes = [threading.Thread(target=fill, args=(lane,)) for lane in range(4)]
    for lane in lanes:
        lane.start()
    for _ in range(5):
        journal.barrier(journal.mark())
    for lane in lanes:
        lane.join()
    journal.barrier()
    found = reopened(path)
    assert len(found.extents) == 4 * K / 64
    assert all(extent.durable for extent in found.extents)
    assert found.good_bytes == os.path.getsize(path)


def test_journals_of_a_folder_are_found(tmp_path: Path) -> None:
    for name in ("b.part.journal", "a.part.journal", "a.part", "x.journal", "c.part.journal~"):
        (tmp_path / name).touch()
    (tmp_path / "d.part.journal").mkdir()
    os.symlink(tmp_path / "a.part.journal", tmp_path / "e.part.journal")
    assert find_journals(str(tmp_path)) == [str(tmp_path / "a.part.journal"), str(tmp_path / "b.part.journal")]
    with pytest.raises(StorageError):
        find_journals(str(tmp_path / "absent"))


def test_the_boot_is_named_the_same_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    assert current_boot_id() == current_boot_id() != ""
    monkeypatch.setattr("builtins.open", failing(errno.ENOENT))
    assert current_boot_id() != ""
