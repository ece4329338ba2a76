"""Seeding of what lies on the disk: by its torrent, whose hashes it must match, or by one that is made of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from thunderdl.engine.session import Session
from thunderdl.engine.sharing_back import Shareable, SharingBack
from thunderdl.engine.torrents import privacy_note
from thunderdl.errors import UsageError, printable
from thunderdl.formats.links import names_torrent
from thunderdl.options import Options
from thunderdl.sources.swarm.checking import check_pieces, check_sizes, names_below
from thunderdl.sources.swarm.making import Recipe, make, make_canonical, share_link
from thunderdl.sources.swarm.member import PeerView
from thunderdl.sources.swarm.torrent import Torrent, load, read_metainfo

OnRead = Callable[[int, int], None]
"""Told of bytes read and bytes in all, while they are hashed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedProgress:
    """How a seed stands. ``peers``: those connected; ``sent_bytes``: payload of this run."""

    name: str
    size_bytes: int
    sent_bytes: int
    rate_bytes_per_s: int
    peers: tuple[PeerView, ...]

    @property
    def ratio(self) -> float:
        return self.sent_bytes / max(self.size_bytes, 1)


class Seeding:
    """A seed at work. Await :meth:`outcome`, look at :meth:`progress`, end it with :meth:`stop`."""

    def __init__(self, back: SharingBack, port: int, note: str = "") -> None:
        self._back, self.port = back, port
        torrent = back.shared.torrent
        self.info_hash_v1, self.info_hash_v2 = torrent.info_hash_v1, torrent.info_hash_v2
        self.magnet = share_link(torrent)
        # What was asked for and is not done, as a sentence, or "".
        self.note = note
        self.name = next(iter(back.shared.names.values())).partition("/")[0]

    def progress(self) -> SeedProgress:
        """A snapshot, four times a second a new one."""
        seen = self._back.last
        return SeedProgress(
            name=self.name, size_bytes=self._back.size_bytes, sent_bytes=self._back.sent_bytes,
            rate_bytes_per_s=seen.up_bytes_per_s, peers=seen.peers,
        )  # fmt: skip

    async def outcome(self) -> str:
        """Share until --ratio or --seed-time is reached: which of them (``ratio``, ``time``). Raises SwarmFault."""
        return await self._back.run()

    async def stop(self) -> None:
        """Share no more."""
        await self._back.stop()


async def seed(session: Session, path: str, options: Options, on_read: OnRead) -> Seeding:
    """Begin to share ``path``: a .torrent whose data is in ``options.dir``, or the data itself, of ``options.torrent``
    or of a torrent made here. Raises UsageError, StorageError, BadContent, SwarmFault."""
    # Before anything is read: whether its port can be had.
    host = await session.swarm()
    if options.torrent is None and not names_torrent(path):
        torrent = await session.on_disk(_made, path, options, on_read)
        folder, names = _place(torrent, path)
    else:
        named = options.torrent or path
        torrent = load(await session.on_disk(read_metainfo, _local(named)), named)
        folder, names = _place(torrent, path) if options.torrent else _place_in(torrent, options.dir)
        paths = _paths(torrent, folder, names)
        await session.on_disk(check_sizes, torrent, paths)
        await check_pieces(host, torrent, folder, names, paths, on_read)
    back = SharingBack(session, options, Shareable(torrent=torrent, folder=folder, names=names))
    await back.start()
    return Seeding(back, host.port(), privacy_note(torrent, options))


def _made(path: str, options: Options, on_read: OnRead) -> Torrent:
    if not os.path.isdir(path):
        return make_canonical(path, on_read)
    made = make(path, Recipe(trackers=options.trackers, on_hashed=on_read))
    return made.torrent


def _local(named: str) -> str:
    if "://" in named or named.startswith("magnet:"):
        raise UsageError(f"{printable(named)[:120]}: to seed, the torrent must be a file here; download it first.")
    return named


def _place(torrent: Torrent, path: str) -> tuple[str, dict[int, str]]:
    """Folder and names where the data is at ``path``, however that is called."""
    folder, name = os.path.split(os.path.abspath(path))
    return folder, names_below(torrent, name)


def _place_in(torrent: Torrent, folder: str) -> tuple[str, dict[int, str]]:
    return os.path.abspath(folder), names_below(torrent, _root(torrent))


def _paths(torrent: Torrent, folder: str, names: dict[int, str]) -> dict[str, str]:
    """Where each file of the torrent is."""
    by_own_name = names_below(torrent, _root(torrent))
    return {own: os.path.join(folder, names[index]) for index, own in by_own_name.items()}


def _root(torrent: Torrent) -> str:
    return torrent.files[0].path if torrent.is_single else torrent.files[0].path.partition("/")[0]
