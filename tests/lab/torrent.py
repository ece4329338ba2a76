"""What the lab has to say in BitTorrent: a v1 metainfo of one file, and whether a peer has all of it. Mostly pure.

Its own few lines instead of the package's or libtorrent's, so that neither is measured with itself.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

Bencodable = int | bytes | Sequence["Bencodable"] | Mapping[bytes, "Bencodable"]

_PROTOCOL = b"\x13BitTorrent protocol"
_NO_EXTENSIONS = bytes(8)
"""No fast extension: a peer that has all then says so with a whole bitfield, not in one of two ways (BEP 6)."""
_BITFIELD = 5
_PEER_ID = b"-LAB000-" + bytes(12)


def bencode(value: Bencodable) -> bytes:
    """BEP 3's encoding; keys are sorted."""
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%b" % (len(value), value)
    if isinstance(value, Mapping):
        return b"d%be" % b"".join(bencode(key) + bencode(value[key]) for key in sorted(value))
    return b"l%be" % b"".join(map(bencode, value))


def info_of(path: Path, piece_bytes: int) -> bytes:
    """The bencoded info dictionary of one file; its SHA-1 is the info hash."""
    digests = []
    with path.open("rb") as file:
        while piece := file.read(piece_bytes):
            digests.append(hashlib.sha1(piece).digest())
    name, size = path.name.encode(), path.stat().st_size
    return bencode({b"length": size, b"name": name, b"piece length": piece_bytes, b"pieces": b"".join(digests)})


def metainfo(info: bytes, announce: str = "") -> bytes:
    """A .torrent file; without ``announce`` it knows of no tracker."""
    told = b"8:announce" + bencode(announce.encode()) if announce else b""
    return b"d" + told + b"4:info" + info + b"e"


def has_all(address: str, port: int, info: bytes, pieces: int, timeout_s: float = 1.0) -> bool:
    """Ask the peer itself: whether it takes our handshake and then shows all ``pieces``. OSError where it is silent."""
    with socket.create_connection((address, port), timeout_s) as connection, connection.makefile("rb") as answer:
        connection.sendall(_PROTOCOL + _NO_EXTENSIONS + hashlib.sha1(info).digest() + _PEER_ID)
        if answer.read(68)[:20] != _PROTOCOL:
            return False
        while head := answer.read(4):
            message = answer.read(int.from_bytes(head))
            if message[:1] == bytes([_BITFIELD]):
                return int.from_bytes(message[1:]).bit_count() == pieces
    return False
