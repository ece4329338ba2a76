"""aria2's control file, ``NAME.aria2``: which pieces of NAME are there. Pure; what it says is data, checked.

aria2's manual, "Control File (*.aria2) Format", version 1: numbers big-endian, of pieces in flight only those blocks
that are there. Version 0 differs in the byte order of its host and is not read.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from thunderdl.core.ranges import RangeSet

SUFFIX = ".aria2"
MAX_BYTES = 2**20
_HEAD = struct.Struct(">H4sI")
_SIZES = struct.Struct(">IQQI")
_FLIGHT = struct.Struct(">III")
_BLOCK_BYTES = 16 * 1024


class ControlFile(NamedTuple):
    """``size_bytes``: of the whole; ``there``: what of it is; ``info_hash``: of a torrent, else empty."""

    size_bytes: int
    there: RangeSet
    info_hash: bytes


def parse_control_file(data: bytes) -> ControlFile:
    """What it says; ValueError with a clause where it is none, is cut off, or contradicts itself."""
    try:
        return _parsed(data)
    except struct.error:
        raise ValueError("it is cut off") from None


def _parsed(data: bytes) -> ControlFile:
    version, _, hash_bytes = _HEAD.unpack_from(data)
    if version != 1:
        raise ValueError(f"it is of version {version}, and 1 alone is known here")
    if hash_bytes > 32:
        raise ValueError("its info hash is too long")
    at = _HEAD.size + hash_bytes
    piece_bytes, size, _, bits_bytes = _SIZES.unpack_from(data, at)
    begin = at + _SIZES.size
    bits = data[begin : begin + bits_bytes]
    if not piece_bytes or not size:
        raise ValueError("it names no size")
    count = -(-size // piece_bytes)
    if bits_bytes != -(-count // 8) or len(bits) != bits_bytes:
        raise ValueError("it does not tell of each piece")
    there = RangeSet()
    for index in range(count):
        if bits[index // 8] & (0x80 >> index % 8):
            there.add(index * piece_bytes, min((index + 1) * piece_bytes, size))
    _add_blocks(there, data, begin + bits_bytes, piece_bytes, size)
    return ControlFile(size, there, data[_HEAD.size : at])


def _add_blocks(there: RangeSet, data: bytes, at: int, piece_bytes: int, size: int) -> None:
    """Of pieces in flight, the blocks of 16 KiB that are there."""
    (flying,) = struct.unpack_from(">I", data, at)
    at += 4
    for _ in range(flying):
        index, length, bits_bytes = _FLIGHT.unpack_from(data, at)
        at += _FLIGHT.size
        bits, at = data[at : at + bits_bytes], at + bits_bytes
        start = index * piece_bytes
        if length > piece_bytes or start + length > size or len(bits) != bits_bytes:
            raise ValueError("a piece lies outside of it")
        for block in range(min(-(-length // _BLOCK_BYTES), bits_bytes * 8)):
            if bits[block // 8] & (0x80 >> block % 8):
                there.add(start + block * _BLOCK_BYTES, start + min((block + 1) * _BLOCK_BYTES, length))
