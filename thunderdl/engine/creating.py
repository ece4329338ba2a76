"""A .torrent file, from a file or a folder to its own place on the disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from thunderdl.engine.naming import Skipped, Target, settled_target
from thunderdl.errors import StorageError, UsageError, printable
from thunderdl.options import Exists, Options
from thunderdl.storage.files import part_path, sync_folder, write_small
from thunderdl.storage.paths import free_name

if TYPE_CHECKING:
    from thunderdl.sources.swarm.torrent import Torrent


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """A torrent that was made. ``info_hash_v1``, ``info_hash_v2``: hexadecimal, "" where it has none; ``pieces``: how
    many; ``left_out``: paths in the folder that are links or devices and did not go in; ``skipped``: it was there."""

    path: str
    name: str
    size_bytes: int
    files: int
    piece_length: int
    pieces: int
    private: bool
    info_hash_v1: str
    info_hash_v2: str
    magnet: str
    left_out: tuple[str, ...] = ()
    skipped: bool = False


def create_torrent(
    path: str, out: str | None = None, *, version: str = "hybrid", piece_length: int = 0,
    trackers: Sequence[str] = (), web_seeds: Sequence[str] = (), private: bool = False, comment: str = "",
    exists: Exists = Exists.REFUSE, on_hashed: Callable[[int, int], None] | None = None,
) -> Created:  # fmt: skip
    """Make the torrent of a file or folder; blocks while it hashes. Raises UsageError, TargetExists, StorageError.

    ``out``: where to write it, None for NAME.torrent in this folder; ``version``: v1, v2 or hybrid; ``piece_length``:
    bytes, a power of two from 16 KiB, 0 for one that fits; ``on_hashed``: called with the bytes done and in all.
    Under ``Exists.SKIP`` a torrent that is there is looked at, and nothing is made.
    """
    from thunderdl.sources.swarm.making import Format, Recipe, check_piece_length, make
    from thunderdl.sources.swarm.torrent import load, read_metainfo

    _check_web_seeds(web_seeds)
    check_piece_length(piece_length)
    if version not in (each.value for each in Format):
        raise UsageError(f"{printable(version)!r} is no version of torrents; choose v1, v2 or hybrid.")
    name = os.path.basename(os.path.abspath(path))
    try:
        target = settled_path(out if out is not None else f"{name}.torrent", exists)
    except Skipped as skipped:
        return replace(_created(skipped.path, load(read_metainfo(skipped.path), skipped.path)), skipped=True)
    check_folder(target)
    made = make(path, Recipe(
        format=Format(version), piece_length=piece_length, trackers=trackers, web_seeds=web_seeds, private=private,
        comment=comment, leave_out=frozenset((os.path.abspath(target), f"{os.path.abspath(target)}.part")),
        on_hashed=on_hashed or (lambda done, whole: None),
    ))  # fmt: skip
    written = write_beside(target, made.torrent.metainfo, exists)
    return replace(_created(written, made.torrent), left_out=made.left_out)


def _created(path: str, torrent: Torrent) -> Created:
    from thunderdl.sources.swarm.making import share_link

    return Created(
        path=path, name=torrent.name, size_bytes=sum(file.size_bytes for file in torrent.files),
        files=len(torrent.files), piece_length=torrent.piece_length, pieces=torrent.piece_count,
        private=torrent.private, info_hash_v1=torrent.info_hash_v1, info_hash_v2=torrent.info_hash_v2,
        magnet=share_link(torrent),
    )  # fmt: skip


def settled_path(out: str, exists: Exists) -> str:
    """Where to write, by the policy for names that exist. Raises TargetExists, Skipped, StorageError where a download
    that is unfinished has the name."""
    path = settled_target(Target(out), Options(exists=exists)).path
    if exists is Exists.RENAME:
        return free_name(path, lambda name: os.path.lexists(name) or _is_begun(name))
    if _is_begun(path):
        advice = "finish it with thunderdl resume, or choose another place with -o"
        raise StorageError(path, "a download that is unfinished has this name", advice)
    return path


def _is_begun(path: str) -> bool:
    return Target(path).has_journal and os.path.lexists(part_path(path))


def _check_web_seeds(urls: Sequence[str]) -> None:
    for url in urls:
        if not url.lower().startswith(("http://", "https://")) or not url.isprintable() or " " in url:
            raise UsageError(f"{printable(url)[:200]!r} is no web seed; write its URL, http:// or https://.")


def check_folder(target: str) -> None:
    """Raise StorageError where nothing can be written: before hours of hashing, not after them."""
    folder = os.path.dirname(target) or "."
    if not os.path.isdir(folder):
        raise StorageError(target, "its folder does not exist", "make the folder, or choose another place with -o")
    if not os.access(folder, os.W_OK | os.X_OK):
        reason = "the file system is read-only" if _is_read_only(folder) else "permission denied"
        raise StorageError(target, reason, "choose another place with -o")


def _is_read_only(folder: str) -> bool:
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def write_beside(target: str, document: bytes, exists: Exists) -> str:
    """A finished document at the place that was chosen; where it got to. Raises StorageError."""
    try:
        written = write_small(target, document, exists)
        sync_folder(os.path.dirname(written))
    except StorageError as error:
        # Advice is written for downloads, which have --dir.
        raise StorageError(error.path, error.reason, "choose another place with -o") from None
    return written
