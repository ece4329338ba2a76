"""Promise 2: after a power loss at any moment a restart resumes, and the result is the same byte for byte."""

from __future__ import annotations

import os
import random
from contextlib import suppress
from pathlib import Path

import pytest
import xxhash

from tests.storage.crash import SECTOR_BYTES, CrashDisk, CrashFile, PowerLoss
from thunderdl.core.ranges import RangeSet
from thunderdl.errors import JournalUnusable
from thunderdl.options import Exists
from thunderdl.storage.files import PartFile, journal_path
from thunderdl.storage.journal import Journal
from thunderdl.storage.records import Filled, Header, JournalDamaged, compacted
from thunderdl.storage.recovery import resume

SIZE = 40_000
LIVES = 6


class Download:
    """One life of a small engine: it fills what is missing from ``truth``, in an order that the seed gives.

    ``lies``: now and then a source serves other bytes; they are recorded, found bad later, dropped and replaced.
    """

    def __init__(self, disk: CrashDisk, target: str, truth: bytes, boot: str, *, lies: bool) -> None:
        self.disk, self.truth, self.lies, self.chance = disk, truth, lies, disk.chance
        self.bad: set[tuple[int, int]] = set()
        self.part = PartFile.open(target)
        self.there = RangeSet()
        self.header = Header(url="http://a.example/", size=len(truth), boot_id=boot)
        self.journal: Journal | None = None

    def open(self) -> None:
        path = journal_path(self.part.path)
        self.resumed_bytes = 0
        if os.path.exists(path):
            try:
                self.journal, _, extents = resume(path, self.part.fd, self.header.boot_id)
            except JournalDamaged:
                self.journal = None
            else:
                self.there = RangeSet((e.start, e.end) for e in extents)
                self.check_against_the_file()
                self.resumed_bytes = self.there.total
        if self.journal is None:
            self.journal = Journal.create(path, self.header)
        self.part.resize(len(self.truth))

    def check_against_the_file(self) -> None:
        """What is said to be there really is; a lie that was never found out is found by its piece's hash."""
        for start, end in list(self.there):
            found = os.pread(self.part.fd, end - start, start)
            if self.lies:
                wrong = [at for at in range(start, end) if found[at - start] != self.truth[at]]
                assert all(found[at - start] == self.truth[at] ^ 0xFF for at in wrong), "neither served nor true"
                for at in wrong:
                    self.bad.add((at, at + 1))
            else:
                assert found == self.truth[start:end]

    def run(self) -> str:
        """Until it is whole, or the power goes."""
        assert self.journal is not None
        while self.there.total < len(self.truth) or self.bad:
            self.chance.choices([self.fill, self.secure, self.judge, self.shorten], [12, 2, 1, 0.5])[0]()
        final = self.part.commit(Exists.REFUSE)
        self.journal.delete()
        return final

    def fill(self) -> None:
        assert self.journal is not None
        size = len(self.truth)
        gap = self.there.first_gap(self.chance.randrange(size), size) or self.there.first_gap(0, size)
        if gap is None:
            return
        start, end = gap[0], min(gap[1], gap[0] + self.chance.choice([100, 1000, 4096, 9000]))
        content = self.truth[start:end]
        if self.lies and self.chance.random() < 0.1:
            content = bytes(byte ^ 0xFF for byte in content)
            self.bad.add((start, end))
        os.pwrite(self.part.fd, content, start)
        if self.chance.random() < 0.9:  # killed between the two: the bytes are there and not recorded
            self.journal.append([Filled(start, end, xxhash.xxh3_64(content).digest())])
        self.there.add(start, end)

    def secure(self) -> None:
        assert self.journal is not None
        mark = self.journal.mark()
        self.fill()
        self.part.sync()
        if self.chance.random() < 0.5:
            self.fill()
        self.journal.barrier(mark)

    def judge(self) -> None:
        """A piece hash finds lies out."""
        assert self.journal is not None
        lies = RangeSet(self.bad)
        self.bad.clear()
        for start, end in lies:
            self.journal.drop(start, end)
            self.there.remove(start, end)

    def shorten(self) -> None:
        assert self.journal is not None
        self.journal.close()
        self.journal, found, extents = resume(self.journal.path, self.part.fd, self.header.boot_id)
        self.there = RangeSet((e.start, e.end) for e in extents)
        self.bad = {pair for pair in self.bad if not list(self.there.gaps(*pair))}
        self.journal.compact(compacted(found.header, extents))

    def close(self) -> None:
        self.part.close()
        if self.journal is not None:
            self.journal.close()


def lives_until_done(tmp_path: Path, seed: int, patch: pytest.MonkeyPatch, *, lies: bool) -> int:
    """Download through power losses; how many bytes the restarts found. The file is checked."""
    truth = random.Random(seed).randbytes(SIZE)
    target = str(tmp_path / "f")
    disk = CrashDisk(str(tmp_path), seed, patch)
    resumed_bytes = 0
    for life in range(LIVES):
        if life < LIVES - 1:
            disk.syncs_left = disk.chance.randrange(12)
        if os.path.exists(target):
            break
        download = Download(disk, target, truth, f"boot-{life}", lies=lies)
        try:
            download.open()
            resumed_bytes += download.resumed_bytes
            download.run()
        except PowerLoss:
            download.close()
            disk.crash()
        else:
            break
        finally:
            download.close()
    disk.close()
    assert (tmp_path / "f").read_bytes() == truth
    return resumed_bytes


@pytest.mark.parametrize("tens", range(8))
def test_after_power_losses_the_result_is_the_same(tmp_path: Path, tens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = 0
    for seed in range(tens * 10, tens * 10 + 10):
        folder = tmp_path / str(seed)
        folder.mkdir()
        found += lives_until_done(folder, seed, monkeypatch, lies=False)
    assert found > SIZE, "the restarts went on from something"


@pytest.mark.parametrize("tens", range(4))
def test_nor_do_dropped_bytes_come_back(tmp_path: Path, tens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(1000 + tens * 10, 1000 + tens * 10 + 10):
        folder = tmp_path / str(seed)
        folder.mkdir()
        lives_until_done(folder, seed, monkeypatch, lies=True)


def test_a_power_loss_while_the_journal_is_made_leaves_none_or_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = set()
    for seed in range(30):
        folder = tmp_path / str(seed)
        folder.mkdir()
        disk = CrashDisk(str(folder), seed, monkeypatch)
        disk.syncs_left = seed % 2
        path = str(folder / "f.part.journal")
        with suppress(PowerLoss):
            Journal.create(path, Header(url="http://a.example/")).close()
        disk.crash()
        try:
            journal, found = Journal.open(path) if os.path.exists(path) else (None, None)
        except JournalUnusable as error:
            pytest.fail(f"half a journal: {error}")
        if journal is not None and found is not None:
            assert found.header.url == "http://a.example/"
            journal.close()
        outcomes.add(journal is not None)
        disk.close()
    assert outcomes == {True, False}


def test_the_fake_keeps_drops_and_garbles() -> None:
    outcomes = set()
    for seed in range(40):
        file = CrashFile(random.Random(seed))
        file.image = b"s" * SECTOR_BYTES + b"o" * SECTOR_BYTES
        found = file.after_crash(b"s" * SECTOR_BYTES + b"n" * SECTOR_BYTES)
        assert found[:SECTOR_BYTES] == b"s" * SECTOR_BYTES
        tail = found[SECTOR_BYTES:]
        outcomes.add({b"o" * SECTOR_BYTES: "old", b"n" * SECTOR_BYTES: "new"}.get(tail, "garbage"))
    assert outcomes == {"old", "new", "garbage"}
