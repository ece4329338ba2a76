"""One torrent of several files, fetched and written by libtorrent alone, from peers and from web seeds (BEP 19).

What an earlier run left is taken from its resume data: which pieces are there, parts of pieces, hashes of v2. All else
that such data could say (paths, peers, flags, limits) is set anew, since the file may have been anybody's
(bad-inputs L5). Nothing is written for padding and links: they have priority 0, and libtorrent makes no file then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace

import libtorrent as lt

from thunderdl.errors import printable, shown_url
from thunderdl.sources.swarm.counting import PeerBytes
from thunderdl.sources.swarm.crowd import Announcing, Crowd
from thunderdl.sources.swarm.host import Host, SwarmFault
from thunderdl.sources.swarm.limited import Limited
from thunderdl.sources.swarm.torrent import Torrent, metainfo_of, read

_WANTED, _NOT_WANTED = 4, 0
# All is written first, which takes a slow disk its time; whoever stops does not wait for ever.
_SAVE_S = 60.0
_CHECKING = (
    lt.torrent_status.states.checking_files,
    lt.torrent_status.states.checking_resume_data,
    lt.torrent_status.states.allocating,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``folder``: where the files go; ``wanted``: indexes of files; ``resume``: what :meth:`Collector.save` gave an
    earlier run, None to look at every byte that is there."""

    folder: str
    wanted: frozenset[int]
    resume: bytes | None = None
    web_seeds: tuple[str, ...] = ()
    peers: tuple[tuple[str, int], ...] = ()
    trackers: tuple[str, ...] = ()
    sequential: bool = False
    pex: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A torrent at one moment. ``done_bytes``: of the wanted pieces, written or not; ``pieces``: which are there;
    ``web_bytes``: of what came, from web seeds; ``reachable``: whether a peer has something."""

    checking: bool = True
    finished: bool = False
    done_bytes: int = 0
    pieces: tuple[bool, ...] = ()
    down_bytes: int = 0
    web_bytes: int = 0
    wasted_bytes: int = 0
    up_bytes: int = 0
    peer_rate: int = 0
    web_rate: int = 0
    peers: int = 0
    seeds: int = 0
    web_seeds: int = 0
    reachable: bool = False
    crowd: Crowd = field(default_factory=Crowd)


class Collector(Limited):
    """``on_finished``: all that is wanted is there; ``on_disk_fault``: path, errno, words; ``on_note``: a remark."""

    def __init__(self, host: Host, torrent: Torrent, holder: Hashable | None = None) -> None:
        super().__init__(host, holder)
        self.torrent = torrent
        self.on_finished: Callable[[], None] = lambda: None
        self.on_disk_fault: Callable[[str, int, str], None] = lambda path, code, words: None
        self.on_note: Callable[[str], None] = lambda note: None
        self.seen = Seen()
        # Those known when it was last saved, by the ports that they listen at.
        self.met: tuple[tuple[str, int], ...] = ()
        self.rechecked = False
        self._wanted = frozenset[int]()
        # Until libtorrent goes by another choice of files, what it calls finished is the one before.
        self._is_choosing = False
        self._saved: asyncio.Future[bytes | None] | None = None
        self._flushes: deque[asyncio.Future[None]] = deque()
        self._has_web_seeds = self._is_paused = False
        self._by_peers = PeerBytes()
        self._announcing = Announcing()

    async def start(self, plan: Plan) -> None:
        """Begin, or go on. Raises SwarmFault."""
        self._has_web_seeds = bool(plan.web_seeds)
        params = _params(self.torrent, plan)
        params.download_limit, params.upload_limit = self._limit or -1, self._upload_limit or -1
        self._wanted = plan.wanted
        self._handle = await self._host.add(params, self._hear, self._holder)

    def choose(self, wanted: frozenset[int]) -> None:
        """Fetch these files from now on, by their indexes; what is there of others stays."""
        self._wanted = wanted
        if self._handle is not None and self.torrent.files:
            self._is_choosing = True
            count = 1 + max(file.index for file in self.torrent.files)
            self._handle.prioritize_files([_WANTED if index in wanted else _NOT_WANTED for index in range(count)])

    def change_web_seeds(self, gone: Iterable[str], new: Iterable[str]) -> None:
        """Fetch nothing more from the web seeds that are ``gone``, and from the ``new`` ones, too."""
        if self._handle is not None:
            for url in gone:
                self._handle.remove_url_seed(url)
            for url in new:
                self._handle.add_url_seed(url)
        self._has_web_seeds = self._has_web_seeds or bool(tuple(new))

    async def look(self) -> Seen:
        """See how things are; a few times a second. Raises SwarmFault."""
        if self._handle is not None:
            try:
                self.seen = await self._host.call(self._look, self._handle)
            except RuntimeError as error:
                raise SwarmFault(f"the torrent has stopped: {printable(str(error))}.") from None
        return self.seen

    async def save(self) -> bytes | None:
        """What the next run can go on from, of what is written by now; None while nothing is known."""
        if self._handle is None or self.seen.checking:
            return None
        saved: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._saved = saved
        # With hashes of pieces that peers have sent; the list of files is in the torrent, and needed at the end alone.
        more = lt.save_resume_flags_t.save_info_dict if self._is_paused else 0
        self._handle.save_resume_data(more)
        # It tells of pieces that are not written yet, and with flush_disk_cache is not late for them (2.1.1).
        try:
            async with asyncio.timeout(_SAVE_S):
                await self.flush()
                return await saved
        except TimeoutError:
            return None

    async def flush(self) -> None:
        """Wait until all that has come is written: libtorrent calls pieces finished before they are."""
        if self._handle is None:
            return
        flushed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._flushes.append(flushed)
        self._handle.flush_cache()
        await flushed

    def pause(self) -> None:
        """Let nothing more come."""
        if self._handle is not None:
            self._is_paused = True
            self._handle.unset_flags(lt.torrent_flags.auto_managed)
            self._handle.pause()

    async def stop(self) -> None:
        """Leave the swarm; what was not saved before may be fetched again."""
        handle, self._handle = self._handle, None
        if handle is not None:
            await self._host.remove(handle)

    def reach_further(self) -> None:
        """Nobody is there: try those, too, who do not speak TCP."""
        self._host.reach_further()

    def _look(self, handle: lt.torrent_handle) -> Seen:
        """In a thread."""
        status = handle.status(lt.torrent_handle.query_pieces)
        there = [peer for peer in handle.get_peer_info() if not peer.flags & lt.peer_info.connecting]
        peers = [peer for peer in there if peer.connection_type == lt.peer_info.standard_bittorrent]
        web = [peer for peer in there if peer.connection_type != lt.peer_info.standard_bittorrent]
        wasted = status.total_redundant_bytes + status.total_failed_bytes
        down = status.total_payload_download - wasted
        checking = status.state in _CHECKING
        from_peers = self._by_peers.see(peers)
        return Seen(
            checking=checking, finished=not checking and status.is_finished and not self._is_choosing,
            done_bytes=status.total_wanted_done,
            pieces=tuple(status.pieces), down_bytes=down, wasted_bytes=wasted, up_bytes=status.total_payload_upload,
            # A web seed is hung up on once all is here, its count with it; peers stay to the end.
            web_bytes=max(0, down - from_peers) if self._has_web_seeds else 0,
            peer_rate=sum(peer.payload_down_speed for peer in peers),
            web_rate=sum(peer.payload_down_speed for peer in web),
            peers=len(peers), seeds=sum(1 for peer in peers if peer.flags & lt.peer_info.seed), web_seeds=len(web),
            reachable=bool(peers) and any(handle.piece_availability()),
            crowd=Crowd(
                raw=peers, web=web, trackers=self._announcing.look(handle), up_bytes=status.total_payload_upload,
                up_bytes_per_s=status.upload_payload_rate,
            ),
        )  # fmt: skip

    def _hear(self, alert: object) -> None:
        if isinstance(alert, lt.torrent_finished_alert):
            if not self._is_choosing:
                self.on_finished()
        elif isinstance(alert, lt.file_prio_alert):
            self._is_choosing = False
        elif isinstance(alert, lt.save_resume_data_alert):
            # At once: what an alert refers to is gone with the next ones.
            self.met = tuple(alert.params.peers)
            self._keep(lt.write_resume_data_buf(alert.params))
            if self._is_paused and self.torrent.info_hash_v2:
                # Of a magnet link of v2 the piece layers came with the pieces; whoever has it from us asks for them.
                self.torrent = replace(self.torrent, metainfo=metainfo_of(alert.params))
        elif isinstance(alert, lt.save_resume_data_failed_alert):
            self._keep(None)
        elif isinstance(alert, lt.file_error_alert):
            self.on_disk_fault(alert.filename(), alert.error.value(), alert.error.message())
        elif isinstance(alert, lt.torrent_error_alert):
            self.on_disk_fault("", 0, alert.message())
        else:
            self._hear_others(alert)

    def _hear_others(self, alert: object) -> None:
        """Of what is written by now, web seeds, peers and trackers."""
        if isinstance(alert, lt.url_seed_alert):
            said = printable(alert.error_message() or alert.error.message())
            self.on_note(f"{shown_url(alert.server_url())} is not used: {said}")
        elif isinstance(alert, lt.peer_ban_alert):
            self.on_note(f"peer {printable(str(alert.ip[0]))} served wrong bytes and is banned")
        elif isinstance(alert, lt.state_changed_alert):
            self.rechecked |= alert.state == lt.torrent_status.states.checking_files
        elif isinstance(alert, lt.cache_flushed_alert):
            if self._flushes and not (flushed := self._flushes.popleft()).done():
                flushed.set_result(None)
        else:
            self._announcing.hear(alert)

    def _keep(self, state: bytes | None) -> None:
        if self._saved is not None and not self._saved.done():
            self._saved.set_result(state)


def _params(torrent: Torrent, plan: Plan) -> lt.add_torrent_params:
    fresh = read(torrent.metainfo)
    assert fresh.ti is not None
    count = fresh.ti.num_files()
    priorities = [_WANTED if index in plan.wanted else _NOT_WANTED for index in range(count)]
    params = _resumed(plan.resume, fresh, priorities) or fresh
    params.ti, params.save_path, params.part_file_dir = fresh.ti, plan.folder, ""
    params.renamed_files, params.file_priorities, params.piece_priorities = fresh.renamed_files, priorities, []
    params.url_seeds, params.http_seeds, params.dht_nodes = list(plan.web_seeds), [], []
    params.trackers, params.tracker_tiers = torrent.announced_to(plan.trackers), []
    params.peers, params.banned_peers = list(dict.fromkeys((*plan.peers, *torrent.peers))), []
    params.storage_mode = lt.storage_mode_t.storage_mode_sparse
    params.max_connections, params.max_uploads = -1, -1
    # The trackers and seeds named above, and none that the torrent itself names beside them.
    params.flags = lt.torrent_flags.override_trackers | lt.torrent_flags.override_web_seeds
    params.flags |= lt.torrent_flags.update_subscribe | lt.torrent_flags.apply_ip_filter
    if plan.sequential:
        params.flags |= lt.torrent_flags.sequential_download
    if torrent.private:
        # libtorrent keeps to it by itself (BEP 27); that it is said here makes it last whatever comes.
        params.flags |= lt.torrent_flags.disable_dht | lt.torrent_flags.disable_lsd | lt.torrent_flags.disable_pex
    if not plan.pex:
        params.flags |= lt.torrent_flags.disable_pex
    return params


def _resumed(
    state: bytes | None, fresh: lt.add_torrent_params, priorities: list[int]
) -> lt.add_torrent_params | None:  # fmt: skip
    """The data of an earlier run, None where it is of another torrent or another choice of files: pieces on the border
    of unwanted files lie elsewhere then, and every byte has to be looked at."""
    if state is None or fresh.ti is None:
        return None
    try:
        params = lt.read_resume_data(state)
    except (RuntimeError, ValueError):
        return None
    chosen = [*params.file_priorities, *[_WANTED] * (len(priorities) - len(params.file_priorities))]
    same = params.info_hashes == fresh.ti.info_hashes() and chosen == priorities
    count, here = fresh.ti.num_pieces(), params.have_pieces
    # They are read by the byte, eight pieces each.
    if not same or len(here) not in (count, -(-count // 8) * 8):
        return None
    params.have_pieces = here[:count]
    return params
