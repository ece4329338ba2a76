"""What is in a torrent, as text: facts first, then each file with the number that ``--files`` takes. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from thunderdl.errors import printable, shown_url
from thunderdl.quantities import size

if TYPE_CHECKING:
    from thunderdl.sources.swarm.torrent import Torrent


def rows_of(torrent: Torrent) -> Iterator[str]:
    """``name  value`` lines, a blank one, and the table of files. What is not there is a dash."""
    pieces = f"{torrent.piece_count} of {size(torrent.piece_length)}"
    facts: dict[str, list[str]] = {
        "name": [torrent.name],
        "size": [f"{size(content_bytes(torrent))} ({content_bytes(torrent)} bytes)"],
        "pieces": [pieces],
        "hash v1": [torrent.info_hash_v1],
        "hash v2": [torrent.info_hash_v2],
        "trackers": [shown_url(url) for url in torrent.trackers],
        "web seeds": [shown_url(url) for url in torrent.web_seeds],
        "private": ["yes: peers from its trackers only" if torrent.private else "no"],
        "comment": [torrent.comment],
        "magnet": [torrent.magnet],
    }
    for name, values in facts.items():
        for value in values or [""]:
            yield f"{name:<10} {printable(value) or '–'}"
    yield ""
    yield from _files(torrent)


def content_bytes(torrent: Torrent) -> int:
    """Of the files: padding is no content."""
    return sum(file.size_bytes for file in torrent.files)


def json_of(torrent: Torrent) -> str:
    """The same as one object, pure ASCII."""
    import json

    return json.dumps(
        {
            "name": torrent.name,
            "size_bytes": content_bytes(torrent),
            "piece_length": torrent.piece_length,
            "piece_count": torrent.piece_count,
            "info_hash_v1": torrent.info_hash_v1 or None,
            "info_hash_v2": torrent.info_hash_v2 or None,
            "trackers": [shown_url(url) for url in torrent.trackers],
            "web_seeds": [shown_url(url) for url in torrent.web_seeds],
            "private": torrent.private,
            "comment": torrent.comment,
            "magnet": torrent.magnet,
            "files": [
                {"number": number, "size_bytes": file.size_bytes, "path": file.path}
                for number, file in enumerate(torrent.files, start=1)
            ],
        }
    )


def _files(torrent: Torrent) -> Iterator[str]:
    sizes = [size(file.size_bytes) for file in torrent.files]
    numbers_wide, sizes_wide = len(str(len(sizes))), max(map(len, sizes), default=0)
    for number, (shown, file) in enumerate(zip(sizes, torrent.files, strict=True), start=1):
        yield f"{number:>{numbers_wide}}  {shown:>{sizes_wide}}  {printable(file.path)}"
