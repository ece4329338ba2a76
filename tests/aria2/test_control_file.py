"""aria2's control file."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.aria2.control_file import parse_control_file

#: What aria2 1.36 left of a file of 3,000,000 bytes, stopped on its way: one piece in flight, 26 blocks of it there.
REAL = bytes.fromhex(
    "000100000000000000000010000000000000002dc6c00000000000000000000000010000000001000000000010000000000008ffffffc000000000"
)


def control(
    piece: int = 32768, size: int = 100_000, bits: bytes = b"\xa0", flights: bytes = b"", *, version: int = 1,
    info_hash: bytes = b"",
) -> bytes:  # fmt: skip
    head = struct.pack(">H4sI", version, b"\0\0\0\0", len(info_hash)) + info_hash
    flying = len(flights) and 1
    return head + struct.pack(">IQQI", piece, size, 0, len(bits)) + bits + struct.pack(">I", flying) + flights


def test_one_of_aria2_itself_is_read() -> None:
    found = parse_control_file(REAL)
    assert (found.size_bytes, found.info_hash) == (3_000_000, b"")
    assert list(found.there) == [(0, 26 * 16384)]


def test_pieces_and_blocks_are_there() -> None:
    flight = struct.pack(">III", 3, 100_000 - 3 * 32768, 1) + b"\x80"
    found = parse_control_file(control(flights=flight, info_hash=b"h" * 20))
    assert list(found.there) == [(0, 32768), (65536, 98304 + 1696)]
    assert found.info_hash == b"h" * 20


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "cut off"),
        (control()[:-1], "cut off"),
        (control(version=0), "of version 0"),
        (control(info_hash=b"h" * 33), "too long"),
        (control(piece=0), "no size"),
        (control(size=0), "no size"),
        (control(bits=b"\xa0\x00"), "each piece"),
        (control(size=2**60), "each piece"),
        (control(flights=struct.pack(">III", 9, 32768, 1) + b"\x80"), "outside"),
        (control(flights=struct.pack(">III", 0, 65536, 1) + b"\x80"), "outside"),
        (control(flights=struct.pack(">III", 0, 32768, 9) + b"\x80"), "outside"),
    ],
)
def test_what_is_none_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_control_file(data)


@given(st.binary(max_size=80))
def test_rubbish_is_refused_and_nothing_else_happens(data: bytes) -> None:
    try:
        found = parse_control_file(b"\x00\x01" + data)
    except ValueError:
        return
    assert all(0 <= start < end <= found.size_bytes for start, end in found.there)
