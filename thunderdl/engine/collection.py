"""A torrent of several files: libtorrent fetches and writes them; here is how that begins, lasts and ends.

While it runs, all of it lies in ``NAME.part/files/`` under the names that the torrent has (a web seed is asked for
``NAME/path``, BEP 19, so nothing is renamed there), with the state for the next run beside it. At the end the whole
gets its final name at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from thunderdl.core.explaining_swarms import why_no_tracker
from thunderdl.core.piecing import done_bytes
from thunderdl.core.ranges import RangeSet
from thunderdl.core.trust import Version
from thunderdl.engine.candidates import Candidates
from thunderdl.engine.marking import marker
from thunderdl.engine.naming import Target, named_target
from thunderdl.engine.pacing import Uploads
from thunderdl.engine.ranged import Ranged, Saved
from thunderdl.engine.sharing_back import Shareable
from thunderdl.engine.sharing_names import opened_at_a_name
from thunderdl.engine.snapshot import cells_of
from thunderdl.engine.strangers import may_be_asked
from thunderdl.errors import BadContent, StorageError, UsageError, printable, shown_url
from thunderdl.formats.file_selection import selected
from thunderdl.formats.links import web_seed
from thunderdl.model import SourceKind, SourceProgress, SourceState, Status
from thunderdl.options import Exists
from thunderdl.quantities import peers as peers_told
from thunderdl.sources.swarm.checking import names_below
from thunderdl.sources.swarm.collector import Collector, Plan, Seen
from thunderdl.sources.swarm.host import SwarmFault
from thunderdl.sources.swarm.torrent import Torrent, TorrentFile
from thunderdl.storage.files import part_path, storage_fault
from thunderdl.storage.folders import PartFolder, check_parents
from thunderdl.storage.marks import mark_all
from thunderdl.storage.wishes import Wish, is_wish_for, write_wish
from thunderdl.verify import hash_file

if TYPE_CHECKING:
    from thunderdl.engine.download import Download
    from thunderdl.sources.swarm.crowd import Crowd

LOOK_S = 0.25
SAVE_EVERY_S = 5.0
# Without a peer for so long, others are tried than those that speak TCP.
REACH_FURTHER_S = 4.0


class Collection(Ranged):
    """The part of ``download`` that has a torrent which libtorrent handles alone."""

    def __init__(self, download: Download, torrent: Torrent) -> None:
        super().__init__(download)
        self._torrent = torrent
        given = self._given = tuple(candidate.url for candidate in self._candidates.all)
        self._web_seeds, bad = web_seeds_of(torrent, given)
        self._by_user = frozenset(web_seeds_of(replace(torrent, web_seeds=()), given)[0])
        for url in bad:
            self._note(f"{shown_url(url)[:200]} is not used: no URL of a web seed")
        # What was given as mirrors is libtorrent's from here on: none of them is opened by us.
        self._candidates.close()
        self._candidates = download.candidates = Candidates(self._session, (), self._options)
        self._files = chosen_files(torrent, self._options.files)
        self._wanted = frozenset(file.index for file in self._files)
        self._wanted_pieces = tuple(_pieces_of(self._files, torrent.piece_length))
        self._folder: PartFolder | None = None
        self._disk_failed = self._has_new_wish = False
        self._collector: Collector | None = None
        self._resumed_bytes = 0
        self._saved_at = self._alive_at = time.monotonic()
        self._moved_bytes = self._alive_bytes = 0

    @property
    def size_bytes(self) -> int:
        """Of the files that are wanted."""
        return sum(file.size_bytes for file in self._files)

    @property
    def resumed_bytes(self) -> int:
        return self._resumed_bytes

    @property
    def fetched_bytes(self) -> int:
        return max(0, self._download.single_bytes - self.resumed_bytes)

    async def fetch_all(self) -> Saved:
        """Download it: path and what was verified. Raises ThunderdlError."""
        self._check_options()
        self._download.version = Version(size=self.size_bytes)
        target = self._download.target = named_target(self._torrent.name, self._options)
        on_disk = self._session.on_disk
        await on_disk(target.make_folder)
        if self._options.exists is Exists.OVERWRITE and not self._torrent.is_single:
            await on_disk(check_parents, target.path, [_below(file.path) for file in self._files])
        folder = self._folder = await self._session.opened(PartFolder.close, self._opened, target.path)
        self._download.target = Target(folder.target)
        self._download.on_settled()
        await self._begin(folder)
        await self._until_here()
        return await self._finish(folder)

    def _opened(self, path: str) -> PartFolder:
        link = self._options.torrent or ""
        return opened_at_a_name(
            PartFolder.open, path, self._options.exists, lambda name: is_wish_for(part_path(name), link)
        )

    async def leave(self) -> None:
        """Stop; what is there stays, with what tells of it."""
        self._end_uploads()
        folder, collector = self._folder, self._collector
        if collector is not None:
            if self._disk_failed:
                # It may have failed before the first look at what came.
                with contextlib.suppress(SwarmFault):
                    self._count(await collector.look())
            else:
                await self._save_what_came(collector, folder)
            await collector.stop()
            if self._disk_failed and folder is not None:
                # Of a full disk libtorrent had called pieces finished that never were written.
                await self._session.on_disk(folder.forget_state)
        if folder is not None:
            nothing_came = folder.is_fresh and not self._download.single_bytes and not self._moved_bytes
            await self._session.on_disk(folder.discard if nothing_came else folder.close)

    @property
    def uploaded_bytes(self) -> int:
        """What peers had from us while it was downloaded."""
        return self._collector.seen.up_bytes if self._collector else 0

    @property
    def torrent(self) -> Torrent:
        return self._torrent

    @property
    def crowd(self) -> Crowd | None:
        return self._collector.seen.crowd if self._collector else None

    @property
    def here(self) -> Sequence[int] | None:
        return (self._collector.seen.pieces or None) if self._collector else None

    @property
    def chosen(self) -> frozenset[int] | None:
        return None if len(self._files) == len(self._torrent.files) else self._wanted

    @property
    def web_seeds(self) -> tuple[str, ...]:
        return self._web_seeds

    def choose(self, choice: str | None) -> None:
        """Have those files from now on. Raises UsageError."""
        self._files = chosen_files(self._torrent, choice)
        self._wanted = frozenset(file.index for file in self._files)
        self._wanted_pieces = tuple(_pieces_of(self._files, self._torrent.piece_length))
        self._download.version = Version(size=self.size_bytes)
        self._options = replace(self._options, files=choice)
        self._has_new_wish = True
        if self._collector is not None:
            self._collector.choose(self._wanted)

    def change_web_seeds(self, gone: Iterable[str], new: Iterable[str]) -> bool:
        """As the user names them: of a folder the folder that holds it."""
        bare = replace(self._torrent, web_seeds=())
        dropped, added = web_seeds_of(bare, tuple(gone))[0], web_seeds_of(bare, tuple(new))[0]
        self._by_user |= frozenset(added)
        self._web_seeds = tuple(dict.fromkeys((*(url for url in self._web_seeds if url not in dropped), *added)))
        self._given = tuple(dict.fromkeys((*(url for url in self._given if url not in set(gone)), *new)))
        self._has_new_wish = True
        if self._collector is not None:
            self._collector.change_web_seeds(dropped, added)
        return True

    def shareable(self, path: str) -> Shareable | None:
        """The files that were wanted, under the name that they have now."""
        if self._collector is None:
            return None
        folder, name = os.path.split(os.path.abspath(path))
        is_whole = len(self._files) == len(self._torrent.files)
        return Shareable(
            torrent=self._collector.torrent, folder=folder, names=names_below(self._torrent, name),
            files=None if is_whole else self._wanted, sent_bytes=self.uploaded_bytes,
            peers=(*self._torrent.peers, *self._collector.met),
        )  # fmt: skip

    def others(self) -> tuple[SourceProgress, ...]:
        """Peers, and web seeds where there are any; their bytes are those that were of use."""
        seen = self._collector.seen if self._collector else Seen()
        brought = max(0, seen.down_bytes - seen.web_bytes)
        told = peers_told(seen.peers, seen.seeds) if seen.peers else "" if brought else "no peer yet"
        peers = SourceProgress(
            url="peers", kind=SourceKind.PEERS,
            state=SourceState.ACTIVE if seen.peers or brought else SourceState.OPENING,
            bytes=brought, wasted_bytes=seen.wasted_bytes, rate_bytes_per_s=seen.peer_rate, lanes=seen.peers, note=told,
        )  # fmt: skip
        if not self._web_seeds:
            return (peers,)
        alone = len(self._web_seeds) == 1
        web = SourceProgress(
            url=self._web_seeds[0] if alone else f"{len(self._web_seeds)} web seeds", bytes=seen.web_bytes,
            state=SourceState.ACTIVE if seen.web_seeds or seen.web_bytes else SourceState.OPENING,
            rate_bytes_per_s=seen.web_rate, lanes=seen.web_seeds,
        )  # fmt: skip
        return (peers, web)

    def piece_map(self, cells: int) -> bytes:
        """Over the pieces that are wanted."""
        here = self._collector.seen.pieces if self._collector else ()
        if not here or not self._wanted_pieces:
            return b""
        there = RangeSet((at, at + 1) for at, piece in enumerate(self._wanted_pieces) if here[piece])
        return cells_of(there, len(self._wanted_pieces), cells)

    def losses(self) -> Iterator[str]:
        """Each is noted when it happens."""
        return iter(())

    # -- beginning

    def _check_options(self) -> None:
        """Refuse what cannot be done for a folder; what was asked for is never left out silently."""
        options = self._options
        asked = {
            "--piece-hashes": options.piece_hashes is not None, "--key": options.key,
            "--signed-by": options.signed_by is not None,
        }  # fmt: skip
        if not self._torrent.is_single:
            asked["--checksum"] = options.checksum is not None
        if named := [flag for flag, is_given in asked.items() if is_given]:
            flags = f"{' and '.join(named)} {'belongs' if len(named) == 1 else 'belong'} to one file"
            raise UsageError(f"{printable(self._torrent.name)}: {flags}, not to a torrent's folder.")

    async def _begin(self, folder: PartFolder) -> None:
        options, session = self._options, self._session
        await self._note_wish(folder)
        state = None if options.verify_resumed else await session.on_disk(folder.read_state)
        web_seeds = [url for url in self._web_seeds if await self._may_be_asked(url)]
        self._web_seeds = tuple(web_seeds)
        self._collector = collector = Collector(await session.swarm(), self._torrent, self._download)
        collector.on_finished, collector.on_disk_fault = self._finished, self._disk_fault
        collector.on_note = self._note
        self._candidates.pace.include(collector)
        self.uploads = Uploads(collector, self._download.options.task_upload_limit)
        await collector.start(
            Plan(
                folder=folder.files, wanted=self._wanted, resume=state, web_seeds=self._web_seeds, peers=options.peers,
                trackers=options.trackers, sequential=options.sequential, pex=options.pex,
            )
        )  # fmt: skip

    async def _note_wish(self, folder: PartFolder) -> None:
        """What is wanted, for who goes on from the folder alone."""
        self._has_new_wish, options = False, self._options
        wish = Wish(torrent=options.torrent or "", mirrors=self._given, files=options.files)
        await self._session.on_disk(write_wish, folder.path, wish)

    async def _may_be_asked(self, url: str) -> bool:
        """libtorrent's own mitigation lets no redirect of the internet lead inward; who names an inward address at once
        it does not ask."""
        if url in self._by_user or await may_be_asked(self._session, url, self._torrent.told_by):
            return True
        self._note(f"{shown_url(url)[:200]} is not used: it leads into this machine or its network")
        return False

    # -- under way

    async def _until_here(self) -> None:
        """Look now and then until all is there. Raises what ends it before."""
        while not (await asyncio.wait({self._settled}, timeout=LOOK_S))[0]:
            await self._look_around()
        self._settled.result()

    async def _look_around(self) -> None:
        collector, folder = self._collector, self._folder
        assert collector is not None
        assert folder is not None
        if self._has_new_wish:
            await self._note_wish(folder)
        seen = await collector.look()
        self._count(seen)
        self._download.status = Status.VERIFYING if seen.checking else Status.ACTIVE
        if seen.checking:
            self._alive_at = time.monotonic()
            return
        if seen.finished:
            self._finished()
        elif time.monotonic() - self._saved_at > SAVE_EVERY_S and seen.down_bytes:
            self._saved_at = time.monotonic()
            if (state := await collector.save()) is not None:
                await self._session.on_disk(self._write_state, folder, state)
        self._check_alive(collector, seen)

    def _write_state(self, folder: PartFolder, state: bytes) -> None:
        try:
            folder.write_state(state, on_disk=False)
        except StorageError:
            self._disk_failed = True
            raise

    def _count(self, seen: Seen) -> None:
        self._moved_bytes = max(self._moved_bytes, seen.down_bytes)
        # Whole pieces count, of which a part may belong to files that are not wanted.
        self._download.single_bytes = min(self.size_bytes, seen.done_bytes)
        if not seen.checking:
            # What has come and is not written yet counts on one side only: the most of all looks is right.
            self._resumed_bytes = max(self._resumed_bytes, self._download.single_bytes - seen.down_bytes)

    def _check_alive(self, collector: Collector, seen: Seen) -> None:
        now = time.monotonic()
        if not seen.peers and now - self._alive_at > REACH_FURTHER_S:
            collector.reach_further()
        if seen.down_bytes > self._alive_bytes or seen.reachable:
            self._alive_bytes, self._alive_at = seen.down_bytes, now
        if now - self._alive_at > self._options.timeout:
            failed = why_no_tracker(seen.crowd.trackers)
            raise SwarmFault(
                f"{self._download.name}: no peer has it, and no web seed works (waited {self._options.timeout:g} "
                f"seconds{failed and f'; {failed}'}); give web seeds with -m, trackers with --tracker, or wait longer "
                "with --timeout."
            )

    def _finished(self) -> None:
        if not self._settled.done():
            self._settled.set_result(None)

    def _disk_fault(self, path: str, code: int, words: str) -> None:
        self._disk_failed = True
        name = path or self._download.name
        self._fault(storage_fault(name, OSError(code, words)) if code else StorageError(name, words.lower()))

    def _note(self, note: str) -> None:
        if note not in self._notes:
            self._notes.append(note)

    # -- ending

    async def _save_what_came(self, collector: Collector, folder: PartFolder | None) -> None:
        try:
            await self._save_for_good(collector, folder)
        except SwarmFault:
            return
        except StorageError:
            self._disk_failed = True

    async def _save_for_good(self, collector: Collector, folder: PartFolder | None) -> None:
        """The state, of what is then on the disk."""
        collector.pause()
        self._count(await collector.look())
        state = await collector.save()
        if state is not None and folder is not None and self._download.single_bytes:
            await self._session.on_disk(folder.sync)
            await self._session.on_disk(lambda: folder.write_state(state, on_disk=True))

    async def _finish(self, folder: PartFolder) -> Saved:
        collector, self._download.status = self._collector, Status.VERIFYING
        assert collector is not None
        self._count(await collector.look())
        # In the files, before anybody moves them; and for another run, where the final name is taken meanwhile.
        await self._save_for_good(collector, folder)
        # However long it takes: before, files are not there that have come.
        await collector.flush()
        self._end_uploads()
        await collector.stop()
        await self._session.on_disk(self._remove_parts, folder, collector.seen.pieces)
        if self._late_fault is not None:
            raise self._late_fault
        verified = await self._verified(folder)
        exists, root = self._options.exists, self._root
        if (mark := marker(self._options, "", Version(), self._notes)) is not None:
            await self._session.on_disk(mark_all, folder.files, mark)
        if (told := self._download.on_commit) is not None:
            await self._session.on_disk(folder.show, root, told)

        def publish() -> str:
            path = folder.publish(root, exists)
            self._folder = None
            self._download.got_name(path, verified)
            return path

        path = await self._session.to_its_end(publish)
        self._download.single_bytes = self.size_bytes
        return path, verified

    def _remove_parts(self, folder: PartFolder, pieces: Sequence[int]) -> None:
        """Of files that are wanted no more what is not whole has no place beside those that are."""
        spans = ((file.start, file.size_bytes) for file in self._torrent.files)
        here = done_bytes(spans, pieces, self._torrent.size_bytes, self._torrent.piece_length)
        for file, done in zip(self._torrent.files, here, strict=True):
            if file.index not in self._wanted and done < file.size_bytes:
                folder.remove_file(file.path)

    async def _verified(self, folder: PartFolder) -> tuple[str, ...]:
        pieces = f"pieces:{'sha1' if self._torrent.info_hash_v1 else 'sha256'}"
        expected = self._options.checksum
        if expected is None:
            return (pieces,)
        path = f"{folder.files}/{self._torrent.files[0].path}"
        found = await asyncio.to_thread(hash_file, path, expected.algorithm)
        if not expected.covers(found):
            raise BadContent(path, str(expected), str(found))
        return (str(expected), pieces)

    @property
    def _root(self) -> str:
        """The one name in the part folder that holds all files."""
        return self._files[0].path.partition("/")[0] if self._files else self._torrent.name


def chosen_files(torrent: Torrent, choice: str | None) -> tuple[TorrentFile, ...]:
    """Those files of the torrent that ``choice`` names, all for None. Raises UsageError."""
    if choice is None:
        return torrent.files
    try:
        positions = selected(choice, [file.path for file in torrent.files])
    except ValueError as error:
        raise UsageError(
            f"--files {printable(choice)[:80]}: {printable(str(error))}; thunderdl info lists the files."
        ) from None
    return tuple(torrent.files[at] for at in sorted(positions))


def web_seeds_of(torrent: Torrent, given: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The URLs to ask as web seeds, and those of the torrent that are none. A folder's is a folder's URL."""
    usable, bad = dict[str, None](), list[str]()
    for text in (*given, *torrent.web_seeds):
        url = web_seed(text)
        if url is None:
            bad.append(text)
        else:
            usable[url if torrent.is_single or url.endswith("/") else f"{url}/"] = None
    return tuple(usable), tuple(bad)


def _below(path: str) -> str:
    return path.partition("/")[2] or path


def _pieces_of(files: tuple[TorrentFile, ...], piece_length: int) -> list[int]:
    found = dict[int, None]()
    for file in files:
        if file.size_bytes:
            found.update(
                dict.fromkeys(range(file.start // piece_length, -(-(file.start + file.size_bytes) // piece_length)))
            )
    return list(found)
