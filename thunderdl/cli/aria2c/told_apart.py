"""Which files of this machine are torrents and which metalinks: by their first octets, as aria2 tells it.

``aria2c FILE``, its lists, ``-S`` and what ``-T`` left in a session file all name documents, and no name has to end in
anything. A name that does end so is believed: the download then says what is wrong with what it names.
"""

from __future__ import annotations

import enum
import os

from thunderdl.formats.links import names_metalink, names_torrent


class Kind(enum.Enum):
    """``TORRENT``: peers have it, so a magnet link as well; ``OTHER``: anything else, a URL of a file above all."""

    TORRENT = enum.auto()
    METALINK = enum.auto()
    OTHER = enum.auto()


# A dictionary of bencode; XML with its prolog, without which, or behind a BOM, aria2 1.36.0 calls it neither.
_FIRST = {b"d": Kind.TORRENT, b"<?xml": Kind.METALINK}


def kind_of(reference: str) -> Kind:
    """What a URL, a link or a path names."""
    if names_torrent(reference):
        return Kind.TORRENT
    if names_metalink(reference):
        return Kind.METALINK
    octets = _first_octets(reference, max(map(len, _FIRST)))
    return next((kind for first, kind in _FIRST.items() if octets.startswith(first)), Kind.OTHER)


def _first_octets(reference: str, count: int) -> bytes:
    # Of a file alone: a pipe could be read once only, and there may be nobody at its other end.
    if "://" in reference or not os.path.isfile(reference):
        return b""
    try:
        with open(reference, "rb") as file:
            return file.read(count)
    except OSError:
        return b""
