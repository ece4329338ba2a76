"""Whether files are what a torrent says, by libtorrent's own check: nobody hears of it, nothing is fetched."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Hashable, Mapping

import libtorrent as lt

from thunderdl.errors import BadContent, StorageError, printable
from thunderdl.sources.swarm.host import Host, SwarmFault
from thunderdl.sources.swarm.torrent import Torrent, TorrentFile, read

LOOK_S = 0.1
OnChecked = Callable[[int, int], None]
"""Told of bytes checked and bytes in all."""


def names_below(torrent: Torrent, root: str) -> dict[int, str]:
    """The torrent's files by number, as they are called where its own root is called ``root``."""
    params = read(torrent.metainfo)
    assert params.ti is not None
    files = params.ti.layout()
    told = {index: params.renamed_files.get(index) or files.file_path(index) for index in range(files.num_files())}
    if torrent.is_single:
        return {index: root for index, path in told.items() if path == torrent.files[0].path}
    return {index: os.path.join(root, path.partition("/")[2]) for index, path in told.items()}


def check_sizes(torrent: Torrent, paths: Mapping[str, str]) -> None:
    """Whether each file is there and as long as it should be, before any is read. ``paths``: where each of the
    torrent's is. Blocking. Raises StorageError, BadContent."""
    for file in torrent.files:
        path = paths[file.path]
        try:
            found = os.stat(path).st_size
        except OSError as error:
            reason = f"a file of the torrent cannot be found here ({(error.strerror or '').lower()})"
            raise StorageError(path, reason, "give the folder that holds it with --dir") from None
        if found != file.size_bytes:
            raise BadContent(path, f"{file.size_bytes} bytes as the torrent says", f"{found} bytes")
        if not os.access(path, os.R_OK):
            raise StorageError(path, "cannot be read: permission denied", "check its permissions")


async def check_pieces(
    host: Host, torrent: Torrent, folder: str, names: Mapping[int, str], paths: Mapping[str, str],
    on_checked: OnChecked, holder: Hashable | None = None,
) -> None:  # fmt: skip
    """Compare every piece with its hash. ``names``: of the files below ``folder``; ``paths``: as for
    :func:`check_sizes`; ``holder``: whose the torrent is from now on, as :meth:`Host.add` has it. Raises BadContent for
    the first piece that is wrong, SwarmFault."""
    wrong = await _wrong_pieces(host, torrent, folder, names, on_checked, holder)
    if wrong:
        first = wrong[0]
        start = first * torrent.piece_length
        end = min(start + torrent.piece_length, torrent.size_bytes)
        more = f" (and {len(wrong) - 1} more pieces are wrong)" if len(wrong) > 1 else ""
        where = f"{paths[_file_at(torrent, start, end).path]}, piece {first} of {torrent.piece_count}"
        raise BadContent(where, "what the torrent names", f"other bytes{more}")


def _file_at(torrent: Torrent, start: int, end: int) -> TorrentFile:
    return next(file for file in torrent.files if file.start < end and start < file.start + file.size_bytes)


async def _wrong_pieces(
    host: Host, torrent: Torrent, folder: str, names: Mapping[int, str], on_checked: OnChecked,
    holder: Hashable | None,
) -> list[int]:  # fmt: skip
    params = read(torrent.metainfo)
    params.save_path, params.renamed_files = folder, {**params.renamed_files, **names}
    params.trackers, params.url_seeds, params.http_seeds = [], [], []
    flags = lt.torrent_flags
    # In upload mode nothing is fetched for what is wrong.
    params.flags |= flags.upload_mode | flags.disable_dht | flags.disable_lsd | flags.disable_pex
    params.flags &= ~(flags.auto_managed | flags.paused)
    checked: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def hear(alert: object) -> None:
        if checked.done():
            return
        if isinstance(alert, lt.torrent_checked_alert):
            checked.set_result(None)
        elif isinstance(alert, lt.file_error_alert | lt.torrent_error_alert):
            checked.set_exception(SwarmFault(f"{printable(alert.message())}."))

    handle = await host.add(params, hear, holder)
    try:
        while not (await asyncio.wait({checked}, timeout=LOOK_S))[0]:
            status = await host.call(handle.status, 0)
            on_checked(int(status.progress * torrent.size_bytes), torrent.size_bytes)
        await checked
        here = (await host.call(handle.status, lt.torrent_handle.query_pieces)).pieces
        return [piece for piece in range(torrent.piece_count) if not here[piece]]
    finally:
        await host.remove(handle)
