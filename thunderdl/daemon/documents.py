"""Torrents and metalinks that come from outside as bytes: judged, kept, and made wishes of."""

from __future__ import annotations

from dataclasses import replace

from thunderdl.daemon.jobs import Wish
from thunderdl.daemon.queue import Queue
from thunderdl.errors import UsageError

MOST_BYTES = 16 * 1024 * 1024
# What it is called in a sentence about it.
_SENT = "the document that was sent"


async def wishes_of(queue: Queue, document: bytes, like: Wish | None = None) -> list[Wish]:
    """A wish for a torrent, or for each file of a metalink, which of the two the bytes tell. ``like``: what else is
    wished of each; its URLs are mirrors.

    Raises UsageError for what is neither, a ThunderdlError for what is wrong with it, StorageError.
    """
    if len(document) > MOST_BYTES:
        raise UsageError("the document is larger than 16 MiB.")
    is_torrent = document[:1] == b"d"
    names = await _names_in(queue, document, is_torrent=is_torrent)
    path = await queue.store.keep(document, ".torrent" if is_torrent else ".meta4")
    mirrors = like.urls if like is not None else ()
    wish = replace(like, urls=(path, *mirrors)) if like is not None else Wish(urls=(path,))
    if len(names) == 1:
        return [replace(wish, name=names[0])]
    return [
        replace(wish, options={**wish.options, "files": str(number)}, name=name) for number, name in enumerate(names, 1)
    ]


async def _names_in(queue: Queue, document: bytes, *, is_torrent: bool) -> list[str]:
    """Of a torrent its name, of a metalink each file's. Judged as it came: where it will be kept is nobody's business
    who sent it."""
    if is_torrent:
        # libtorrent takes long to load, and many a daemon never needs it.
        from thunderdl.sources.swarm.torrent import load

        return [load(document, _SENT).name]
    from thunderdl.engine.metalinks import parsed

    return [file.name for file in (await queue.client.session.on_disk(parsed, document, _SENT)).files]
