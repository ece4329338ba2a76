"""Torrents and metalinks that come from outside as bytes: judged, kept, and made wishes of."""

from __future__ import annotations

from dataclasses import replace

from thunderdl.daemon.jobs import Wish
from thunderdl.daemon.queue import Queue
from thunderdl.errors import UsageError

MOST_BYTES = 16 * 1024 * 1024


async def wishes_of(queue: Queue, document: bytes, like: Wish | None = None) -> list[Wish]:
    """A wish for a torrent, or for each file of a metalink, which of the two the bytes tell. ``like``: what else is
    wished of each; its URLs are mirrors.

    Raises UsageError for what is neither, a ThunderdlError for what is wrong with it, StorageError.
    """
    if len(document) > MOST_BYTES:
        raise UsageError("the document is larger than 16 MiB.")
    is_torrent = document[:1] == b"d"
    path = await queue.store.keep(document, ".torrent" if is_torrent else ".meta4")
    mirrors = like.urls if like is not None else ()
    wish = replace(like, urls=(path, *mirrors)) if like is not None else Wish(urls=(path,))
    if is_torrent:
        return [replace(wish, name=(await queue.client.torrent(path)).name)]
    files = (await queue.client.metalink(path)).files
    if len(files) == 1:
        return [replace(wish, name=files[0].name)]
    return [
        replace(wish, options={**wish.options, "files": str(number)}, name=file.name)
        for number, file in enumerate(files, 1)
    ]
