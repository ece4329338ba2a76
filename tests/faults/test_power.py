"""Promise 2 with the engine's own ledger: through power losses at random syncs, every byte that it counts is right."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import pytest
import xxhash

from tests.storage.crash import CrashDisk, PowerLoss
from thunderdl.core.trust import Version
from thunderdl.engine.ledger import Identity, Ledger
from thunderdl.engine.session import Session
from thunderdl.model import Validators
from thunderdl.options import Options
from thunderdl.sources.http.transfer import Extent

SIZE = 40_000
LIVES = 8
T = TypeVar("T")


class Stopped(Exception):
    """The power is gone: what is under way ends here."""


class PlainSession:
    """All that a ledger needs of a session: work on the disk, done at once."""

    def __init__(self) -> None:
        self.dark = False

    async def on_disk(self, work: Callable[..., T], *args: object) -> T:
        if self.dark:
            raise asyncio.CancelledError
        try:
            return work(*args)
        except PowerLoss:
            self.dark = True
            # Silent also in a task that nobody waits for.
            raise asyncio.CancelledError from None

    to_its_end = on_disk

    def begin_on_disk(self, work: Callable[[], T]) -> asyncio.Future[T]:
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        try:
            if self.dark:
                raise PowerLoss
            done.set_result(work())
        except PowerLoss:
            self.dark = True
            done.cancel()
        return done


class World:
    """A file of two versions on a server, and a disk whose power goes now and then."""

    def __init__(self, folder: Path, seed: int, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.target = folder, str(folder / "f")
        self.disk = CrashDisk(str(folder), seed, patch)
        self.chance, self.patch = self.disk.chance, patch
        self.truths = {f'"v{n}"': random.Random(seed * 2 + n).randbytes(SIZE) for n in range(2)}
        self.etag = '"v0"'
        self.resumed_bytes = 0

    @property
    def truth(self) -> bytes:
        return self.truths[self.etag]

    @property
    def finished(self) -> bool:
        return os.path.exists(self.target)

    async def run(self) -> None:
        for life in range(LIVES):
            if self.finished:
                break
            self.disk.syncs_left = self.chance.randrange(14) if life < LIVES - 1 else float("inf")
            for module in ("ledger", "reopening"):
                self.patch.setattr(f"thunderdl.engine.{module}.current_boot_id", lambda life=life: f"boot-{life}")
            if life and self.chance.random() < 0.2:
                self.etag = '"v1"'
            await self.live()
        assert (self.folder / "f").read_bytes() == self.truth
        await self.check_finished()
        self.disk.close()

    async def live(self) -> None:
        """From the opening of the ledger to commit or power loss."""
        session, ledger = PlainSession(), None
        try:
            ledger = await session.on_disk(self.opened, session)
            await self.download(session, ledger)
        except (asyncio.CancelledError, Stopped):
            assert session.dark
            if ledger is not None:
                release(ledger)
            self.disk.crash()

    def opened(self, session: PlainSession) -> Ledger:
        return Ledger.open(cast(Session, session), Options(), self.target)

    async def download(self, session: PlainSession, ledger: Ledger) -> None:
        version = Version(size=SIZE, validators=Validators(etag=self.etag))
        if ledger.resumed is not None:
            self.check(ledger)
        if ledger.resumed is not None and ledger.resumed.version == version and ledger.resumed.written.total:
            ledger.go_on(version)
        else:
            identity = Identity(url="http://a.example/f", mirrors=(), name="f", version=version)
            await session.on_disk(ledger.begin, identity)
        while not ledger.all_checked:
            await self.step(session, ledger)
        await ledger.commit()

    async def step(self, session: PlainSession, ledger: Ledger) -> None:
        chance, wrong = self.chance.random(), self.chance.random() < 0.1
        start, end = self.fill(ledger, wrong=wrong)
        if wrong:
            # Found out by a hash, dropped, and to be fetched again.
            await session.on_disk(ledger.drop, start, end)
        if chance < 0.3:
            ledger.keep_durable()
            await asyncio.sleep(0)
        if session.dark:
            raise Stopped

    def fill(self, ledger: Ledger, *, wrong: bool) -> tuple[int, int]:
        gap = ledger.written.first_gap(self.chance.randrange(SIZE), SIZE) or ledger.written.first_gap(0, SIZE)
        assert gap is not None
        start, end = gap[0], min(gap[1], gap[0] + self.chance.choice([100, 1000, 4096, 9000]))
        content = bytes(byte ^ 0xFF for byte in self.truth[start:end]) if wrong else self.truth[start:end]
        os.pwrite(ledger.part.fd, content, start)
        if wrong or self.chance.random() < 0.9:  # else: written, and killed before it was recorded
            ledger.take([Extent(start, end, xxhash.xxh3_64(content).digest())], source=1)
        return start, end

    def check(self, ledger: Ledger) -> None:
        """Every byte that counts is that of the version which the journal names, whatever the server has now.

        Or a lie that was recorded, and dropped when the power was going: its hash would find it out again.
        """
        assert ledger.resumed is not None
        truth = self.truths[ledger.resumed.header.etag or ""]
        for start, end in list(ledger.resumed.written):
            found = os.pread(ledger.part.fd, end - start, start)
            lies = [at for at in range(start, end) if found[at - start] != truth[at]]
            assert all(found[at - start] == truth[at] ^ 0xFF for at in lies), "neither served nor true"
            for at in lies:
                ledger.resumed.written.remove(at, at + 1)
            self.resumed_bytes += end - start - len(lies)

    async def check_finished(self) -> None:
        """A journal beside the finished file is seen through: nothing is left when the next run has ended."""
        session = PlainSession()
        ledger = self.opened(session)
        if ledger.part.published and ledger.resumed is not None:
            ledger.go_on(ledger.resumed.version)
            assert ledger.all_checked
            await ledger.commit()
        elif ledger.resumed is None:
            await ledger.discard()
        else:
            # The crash made two files of the two names: not what a file system does.
            release(ledger)
            return
        assert os.listdir(self.folder) == ["f"]
        assert (self.folder / "f").read_bytes() == self.truth


def release(ledger: Ledger) -> None:
    """As the end of a process does: every descriptor closed, nothing written."""
    ledger.stop_hashing()
    ledger.part.close()
    if ledger._journal is not None:
        ledger._journal.close()


@pytest.mark.parametrize("tens", range(6))
def test_what_a_ledger_counts_after_power_losses_is_right(
    tmp_path: Path, tens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thunderdl.engine.ledger.BARRIER_S", -1.0)
    found = 0
    for seed in range(tens * 10, tens * 10 + 10):
        folder = tmp_path / str(seed)
        folder.mkdir()
        world = World(folder, seed, monkeypatch)
        asyncio.run(world.run())
        found += world.resumed_bytes
    assert found > SIZE, "the restarts went on from something"
