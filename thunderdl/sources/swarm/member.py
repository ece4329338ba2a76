"""One torrent in the swarm, its file on the disk shared with the movers: pieces in from peers, pieces in from us.

libtorrent and the movers write to the same part file, each to other bytes: the swarm to the pieces that were assigned
to it, the movers to all else. A piece that the movers brought is handed over by :meth:`Member.feed`, so that peers can
have it from us; libtorrent writes it once more, the same bytes to the same place.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable
from dataclasses import dataclass, field
from functools import partial

import libtorrent as lt

from thunderdl.core.division import SwarmView
from thunderdl.errors import DiskFull, StorageError, ThunderdlError, printable
from thunderdl.sources.swarm.crowd import Announcing, Crowd
from thunderdl.sources.swarm.host import Host, SwarmFault
from thunderdl.sources.swarm.limited import Limited
from thunderdl.sources.swarm.torrent import Torrent, read

_ASSIGNED, _LEFT_ALONE = 4, 0
_RATE_S = 2.0
# More than this handed over and not yet written: the rest waits (add_piece has no back-pressure).
MAX_FED_BYTES = 64 * 1024 * 1024
MET_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerView:
    """One peer at one moment; rates in bytes/s."""

    address: str
    client: str
    down_bytes_per_s: int
    up_bytes_per_s: int
    progress: float


@dataclass(slots=True, kw_only=True)
class Look:
    """What was last seen of a torrent. Bytes are payload; ``sending``: peers that have been asked for something."""

    down_bytes: int = 0
    up_bytes: int = 0
    redundant_bytes: int = 0
    failed_bytes: int = 0
    peers: tuple[PeerView, ...] = ()
    seeds: int = 0
    leechers: int = 0
    up_bytes_per_s: int = 0
    sending: int = 0
    view: SwarmView = field(default_factory=lambda: SwarmView(rate_bytes_per_s=0.0, available=b""))
    crowd: Crowd = field(default_factory=Crowd)


class Member(Limited):
    """``on_piece``: a piece is here and right; ``on_bad``: pieces that did not match, with who sent them;
    ``on_fault``: what ends it."""

    def __init__(self, host: Host, torrent: Torrent, holder: Hashable | None = None) -> None:
        super().__init__(host, holder)
        self.torrent = torrent
        self.on_piece: Callable[[int], None] = lambda piece: None
        self.on_bad: Callable[[int], None] = lambda piece: None
        self.on_fault: Callable[[ThunderdlError], None] = lambda fault: None
        self.on_note: Callable[[str], None] = lambda note: None
        self.last = Look()
        self._seen: list[tuple[float, int]] = []
        self._moved_at = 0.0
        self._announcing = Announcing()
        self._fed: dict[int, int] = {}
        # libtorrent answers each in its turn; an answer to one asked earlier says nothing of what came since.
        self._flushes: deque[asyncio.Future[None]] = deque()
        self._again: Callable[..., Awaitable[None]] | None = None
        self._saved: asyncio.Future[tuple[tuple[str, int], ...]] | None = None
        # Those known at the end, by the ports that they listen at.
        self.met: tuple[tuple[str, int], ...] = ()

    async def start(
        self, folder: str, names: dict[int, str], *, have: list[bool], assigned: Iterable[int] | None,
        files: frozenset[int] | None = None, peers: Iterable[tuple[str, int]] = (), trackers: Iterable[str] = (),
        flags: int = 0,
    ) -> None:  # fmt: skip
        """Join the swarm. ``names``: of the files below ``folder``, by index; ``have``: for each piece whether it is
        there; ``assigned``: the pieces to fetch at first, None for all; ``files``: the only ones that may be made or
        read, None for all. Raises SwarmFault."""
        self._again = partial(
            self.start, folder, names, files=files, peers=tuple(peers), trackers=tuple(trackers), flags=flags
        )
        params = read(self.torrent.metainfo)
        params.save_path, params.have_pieces = folder, have
        params.renamed_files = {**params.renamed_files, **names}
        params.url_seeds, params.http_seeds = [], []
        params.trackers = self.torrent.announced_to(trackers)
        if files is not None and params.ti is not None:
            # Even an empty file would be made by libtorrent.
            params.file_priorities = [_ASSIGNED if at in files else 0 for at in range(params.ti.num_files())]
        params.peers, params.download_limit = list(peers), self._limit or -1
        params.upload_limit = self._upload_limit or -1
        if assigned is not None:
            wanted = set(assigned)
            params.piece_priorities = [
                _ASSIGNED if piece in wanted else _LEFT_ALONE for piece in range(self.torrent.piece_count)
            ]
        params.flags |= lt.torrent_flags.no_verify_files | flags
        if self.torrent.private:
            # libtorrent keeps to it by itself (BEP 27); that it is said here makes it last whatever comes.
            params.flags |= lt.torrent_flags.disable_dht | lt.torrent_flags.disable_lsd | lt.torrent_flags.disable_pex
        params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
        self._moved_at = asyncio.get_running_loop().time()
        self._handle = await self._host.add(params, self._hear, self._holder)

    async def rejoin(self, *, have: list[bool], assigned: Iterable[int]) -> None:
        """After :meth:`stop`: join as before, with other pieces. Raises SwarmFault."""
        assert self._again is not None
        self._seen.clear()
        self._fed.clear()
        await self._again(have=have, assigned=assigned)

    def assign(self, pieces: Iterable[int]) -> None:
        """Fetch these, too."""
        self._prioritize(pieces, _ASSIGNED)

    def leave_alone(self, pieces: Iterable[int]) -> None:
        """Ask for no more of these; what was asked for still comes."""
        self._prioritize(pieces, _LEFT_ALONE)

    def _prioritize(self, pieces: Iterable[int], priority: int) -> None:
        pairs = [(piece, priority) for piece in pieces]
        if self._handle is not None and pairs:
            self._handle.prioritize_pieces(pairs)

    @property
    def may_feed(self) -> bool:
        """Whether more may be handed over now."""
        return self._handle is not None and sum(self._fed.values()) < MAX_FED_BYTES

    def feed(self, piece: int, data: bytes) -> None:
        """Hand over a piece that was brought by others and is proven."""
        if self._handle is not None:
            self._fed[piece] = len(data)
            self._handle.add_piece(piece, data, 0)

    async def look(self) -> Look:
        """See how things are; a few times a second."""
        if self._handle is None:
            return self.last
        try:
            self.last = await self._host.call(self._look, asyncio.get_running_loop().time())
        except RuntimeError as error:
            raise SwarmFault(f"the torrent has stopped: {error}.") from None
        return self.last

    def _look(self, now: float) -> Look:
        """In a thread."""
        handle = self._handle
        assert handle is not None
        status, queue = handle.status(0), handle.get_download_queue()
        peers = [peer for peer in handle.get_peer_info() if not peer.flags & lt.peer_info.connecting]
        down = status.total_payload_download - status.total_redundant_bytes - status.total_failed_bytes
        self._seen = [(at, seen) for at, seen in self._seen if at > now - _RATE_S] + [(now, down)]
        if len(self._seen) > 1 and down > self._seen[-2][1]:
            self._moved_at = now
        seeds = sum(1 for peer in peers if peer.flags & lt.peer_info.seed)
        view = SwarmView(
            rate_bytes_per_s=self._rate(), available=_counts(handle.piece_availability()),
            begun={row["piece_index"]: _share_here(row["blocks"]) for row in queue},
            silent_s=now - self._moved_at, leechers=len(peers) - seeds,
        )  # fmt: skip
        return Look(
            down_bytes=status.total_payload_download, up_bytes=status.total_payload_upload,
            redundant_bytes=status.total_redundant_bytes, failed_bytes=status.total_failed_bytes,
            peers=tuple(map(_peer, peers)), seeds=seeds, leechers=len(peers) - seeds,
            up_bytes_per_s=status.upload_payload_rate,
            sending=sum(1 for peer in peers if peer.download_queue_length), view=view,
            crowd=Crowd(
                raw=peers, trackers=self._announcing.look(handle), up_bytes=status.total_payload_upload,
                up_bytes_per_s=status.upload_payload_rate,
            ),
        )  # fmt: skip

    def _rate(self) -> float:
        (since, before), (now, after) = self._seen[0], self._seen[-1]
        return (after - before) / (now - since) if now - since > 0.2 else 0.0

    async def flush(self) -> None:
        """Wait until all that is here has been written to the file."""
        if self._handle is None:
            return
        flushed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._flushes.append(flushed)
        self._handle.flush_cache()
        await flushed

    async def stop(self) -> None:
        """Leave the swarm, with all written."""
        if self._handle is None:
            return
        await self.flush()
        with contextlib.suppress(SwarmFault):
            await self.look()
        if self.last.leechers:
            self.met = await self._who_is_met()
        handle, self._handle = self._handle, None
        await self._host.remove(handle)

    async def _who_is_met(self) -> tuple[tuple[str, int], ...]:
        """The peers that can be connected to; of one that came to us libtorrent alone knows the port for that."""
        assert self._handle is not None
        saved = self._saved = asyncio.get_running_loop().create_future()
        self._handle.save_resume_data()
        return saved.result() if (await asyncio.wait({saved}, timeout=MET_S))[0] else ()

    def _hear(self, alert: object) -> None:
        if isinstance(alert, lt.piece_finished_alert):
            piece = alert.piece_index
            if self._fed.pop(piece, None) is None:
                self.on_piece(piece)
        elif isinstance(alert, lt.hash_failed_alert):
            self._failed(alert.piece_index)
        elif isinstance(alert, lt.cache_flushed_alert):
            if self._flushes and not (flushed := self._flushes.popleft()).done():
                flushed.set_result(None)
        elif isinstance(alert, lt.save_resume_data_alert):
            if self._saved is not None and not self._saved.done():
                self._saved.set_result(tuple(alert.params.peers))
        else:
            self._hear_trouble(alert)

    def _hear_trouble(self, alert: object) -> None:
        if isinstance(alert, lt.peer_ban_alert):
            self.on_note(f"peer {printable(str(alert.ip[0]))} served wrong bytes and is banned")
        elif isinstance(alert, lt.file_error_alert):
            self.on_fault(disk_fault(alert.filename(), alert.error))
        elif isinstance(alert, lt.torrent_error_alert):
            self.on_fault(SwarmFault(f"{printable(alert.message())}."))
        else:
            self._announcing.hear(alert)

    def _failed(self, piece: int) -> None:
        self._fed.pop(piece, None)
        self.on_bad(piece)


def disk_fault(path: str, error: lt.error_code) -> StorageError:
    """What libtorrent could not do with a file, as an error of our tree."""
    if error.value() in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(path, "no space is left", "make room; the same command goes on from here")
    return StorageError(path, error.message().lower())


def _counts(peers: list[int]) -> bytes:
    """A byte for each piece, 255 for that many peers or more. (By ``min`` alone 100,000 pieces took 10 ms.)"""
    try:
        return bytes(peers)
    except ValueError:
        return bytes(min(255, count) for count in peers)


def _share_here(blocks: list[lt.BlockInfodict]) -> float:
    """The share of a piece that is here; blocks are equal but for the last."""
    # States: 0 none, 1 requested, 2 writing, 3 finished.
    done = sum(1.0 if each["state"] >= 2 else each["bytes_progress"] / max(each["block_size"], 1) for each in blocks)
    return done / max(len(blocks), 1)


def _peer(peer: lt.peer_info) -> PeerView:
    host, port = peer.ip
    return PeerView(
        address=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        client=printable(peer.client.decode("utf-8", "replace")),
        down_bytes_per_s=peer.payload_down_speed, up_bytes_per_s=peer.payload_up_speed, progress=peer.progress,
    )  # fmt: skip
