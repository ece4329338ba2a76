"""Giving back: what is here is shared with peers until the ratio or the time that was asked for is reached.

A finished download is shared under its final name, wherever its pieces came from; they were compared with their hashes
when they came, so nothing is read again. ``thunderdl seed`` shares in the same way what it has checked.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thunderdl.engine.pacing import Uploads
from thunderdl.engine.session import Session, seen_through
from thunderdl.errors import ThunderdlError
from thunderdl.model import Status
from thunderdl.options import Options
from thunderdl.sources.swarm.member import Look, Member
from thunderdl.sources.swarm.torrent import Torrent

if TYPE_CHECKING:
    from thunderdl.engine.download import Download

LOOK_S = 0.25
# A peer that has not heard yet that we left the download refuses us, and libtorrent calls it again after a minute.
AGAIN_S = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Shareable:
    """What is shared. ``names``: of the files below ``folder``, by number in the torrent; ``files``: the numbers of
    those that are there, None for all; ``peers``: who may want it; ``sent_bytes``: what peers had of it already;
    ``shared_s``: how long it was shared already."""

    torrent: Torrent
    folder: str
    names: Mapping[int, str]
    files: frozenset[int] | None = None
    peers: tuple[tuple[str, int], ...] = ()
    sent_bytes: int = 0
    shared_s: float = 0.0

    @property
    def size_bytes(self) -> int:
        """Of the files that are there."""
        return sum(file.size_bytes for file in self.torrent.files if self.files is None or file.index in self.files)

    @property
    def pieces(self) -> list[bool]:
        """For each piece whether all of it is there: what a file that is absent has a part in is not."""
        here = [True] * self.torrent.piece_count
        length = self.torrent.piece_length
        for file in self.torrent.files:
            if self.files is not None and file.index not in self.files and file.size_bytes:
                first, last = file.start // length, (file.start + file.size_bytes - 1) // length
                here[first : last + 1] = [False] * (last + 1 - first)
        return here


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """When it is enough; None for never. ``seconds``: of sharing alone."""

    ratio: float | None = None
    seconds: float | None = None

    @property
    def wants_any(self) -> bool:
        """Whether anything is to be shared by it after a download."""
        return self.seconds is not None or bool(self.ratio)

    def reached(self, sent_bytes: int, size_bytes: int, shared_s: float) -> str:
        """What of it is reached: ratio, time, or nothing as ""."""
        if self.ratio is not None and sent_bytes >= self.ratio * size_bytes:
            return "ratio"
        return "time" if self.seconds is not None and shared_s >= self.seconds else ""


def goal_of(options: Options) -> Goal:
    return Goal(ratio=options.ratio, seconds=options.seed_time)


async def share_back(download: Download, shared: Shareable | None) -> None:
    """Share what was downloaded until its options' goal is reached. Whatever happens, the download has succeeded."""
    if shared is None or not goal_of(download.options).wants_any:
        return
    download.sharing = SharingBack(download.session, download.options, shared, download)
    try:
        if download.on_sharing is not None:
            await download.on_sharing()
        download.status = Status.SHARING
        await download.sharing.start()
        await download.sharing.run()
    except asyncio.CancelledError:
        # Who cancels now has seen enough of the sharing; the file is there and stays.
        pass
    except ThunderdlError as error:
        download.notes.append(f"not shared any more: {str(error).rstrip('.')}")
    # Who cancels only now wants what is happening; cut short it stayed in the swarm, and ended as one that is shared.
    with contextlib.suppress(asyncio.CancelledError):
        await seen_through(asyncio.ensure_future(download.sharing.stop()))
    download.status = Status.COMPLETE


class SharingBack:
    """A torrent that is here, or a part of its files. :meth:`start`, then :meth:`run`; always :meth:`stop`.

    ``holder``: whose the torrent was until now, and is until that one leaves the swarm; None for nobody's.
    """

    def __init__(
        self, session: Session, options: Options, shared: Shareable, holder: Hashable | None = None
    ) -> None:  # fmt: skip
        self._session, self._options, self.shared, self._holder = session, options, shared, holder
        self._member: Member | None = None
        self.uploads: Uploads | None = None
        self.goal = goal_of(options)
        self._fault: ThunderdlError | None = None
        self._began: float | None = None
        # What was whole then has not been changed before.
        self.since = time.time()

    @property
    def last(self) -> Look:
        """What was last seen of it."""
        return self._member.last if self._member else Look()

    @property
    def sent_bytes(self) -> int:
        return self.shared.sent_bytes + self.last.up_bytes

    @property
    def size_bytes(self) -> int:
        return self.shared.size_bytes

    @property
    def shared_s(self) -> float:
        """How long it was shared, earlier runs included."""
        return self.shared.shared_s + (time.monotonic() - self._began if self._began is not None else 0.0)

    async def start(self) -> None:
        """Join the swarm as one who has it. Raises SwarmFault, UsageError."""
        shared, options = self.shared, self._options
        self._member = Member(await self._session.swarm(), shared.torrent, self._holder)
        self._member.on_fault = self._failed
        self.uploads = Uploads(self._member, options.task_upload_limit)
        if shared.peers:
            await asyncio.sleep(AGAIN_S)
        await self._member.start(
            shared.folder, dict(shared.names), have=shared.pieces, assigned=None if shared.files is None else (),
            files=shared.files, peers=(*options.peers, *shared.peers), trackers=options.trackers,
        )  # fmt: skip
        self._began = time.monotonic()

    async def run(self) -> str:
        """Share until the goal, which may change meanwhile, is reached: what of it. Raises SwarmFault."""
        assert self._member is not None
        while True:
            await self._member.look()
            if self._fault is not None:
                raise self._fault
            goal, shared_s = self.goal, self.shared_s
            if reached := goal.reached(self.sent_bytes, self.size_bytes, shared_s):
                return reached
            left_s = LOOK_S if goal.seconds is None else min(LOOK_S, goal.seconds - shared_s)
            await asyncio.sleep(left_s)

    async def stop(self) -> None:
        """Leave the swarm. Whoever is being served is cut off."""
        if self.uploads is not None:
            self.uploads.close()
        if self._member is not None:
            await self._member.stop()

    def _failed(self, fault: ThunderdlError) -> None:
        self._fault = fault
