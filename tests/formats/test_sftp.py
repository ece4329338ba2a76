"""SFTP packets: what is built is what the draft says, what is rubbish is said to be that."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from thunderdl.formats import sftp

PARSERS: list[Callable[[bytes], object]] = [
    sftp.parse_version, sftp.parse_handle, sftp.parse_status, sftp.parse_attributes, sftp.parse_limits,
]  # fmt: skip


def string(text: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text


def test_requests_are_as_the_draft_has_them() -> None:
    assert sftp.init().hex() == "000000050100000003"
    assert sftp.open_file(7, b"/a").hex() == "000000130300000007000000022f610000000100000000"
    assert sftp.fstat(8, b"h").hex() == "0000000a08000000080000000168"
    assert sftp.read(9, b"h", 1 << 33, 32768).hex() == "00000016050000000900000001680000000200000000" + "00008000"
    assert sftp.close(10, b"h").hex() == "0000000a040000000a0000000168"
    assert sftp.ask_limits(11) == b"\0\0\0\x1b\xc8\0\0\0\x0b" + string(b"limits@openssh.com")


@given(st.binary(max_size=80))
@example(struct.pack(">I", 0xFFFFFFFF))
@example(struct.pack(">IQ", 1, 1 << 63))
def test_no_parser_raises_anything_but_valueerror(payload: bytes) -> None:
    for parse in PARSERS:
        with contextlib.suppress(ValueError):
            parse(payload)


def test_a_version_with_extensions() -> None:
    payload = struct.pack(">I", 3) + string(b"limits@openssh.com") + string(b"1") + string(b"x") + string(b"")
    assert sftp.parse_version(payload) == (3, frozenset({b"limits@openssh.com", b"x"}))


@pytest.mark.parametrize("flags", range(16))
def test_attributes_in_every_combination(flags: int) -> None:
    payload = struct.pack(">I", flags)
    payload += struct.pack(">Q", 5 << 30) if flags & 1 else b""
    payload += struct.pack(">II", 1000, 1000) if flags & 2 else b""
    payload += struct.pack(">I", 0o100644) if flags & 4 else b""
    payload += struct.pack(">II", 1, 2) if flags & 8 else b""
    found = sftp.parse_attributes(payload)
    assert found.size_bytes == (5 << 30 if flags & 1 else None)
    assert found.permissions == (0o100644 if flags & 4 else None)
    assert found.modified == (2 if flags & 8 else None)
    assert not found.is_folder
    assert not found.is_special


@pytest.mark.parametrize(("mode", "is_folder", "is_special"), [
    (0o040755, True, False), (0o100644, False, False), (0o010644, False, True), (0o020644, False, True),
    (0o644, False, False),
])  # fmt: skip
def test_what_a_mode_tells(mode: int, is_folder: bool, is_special: bool) -> None:
    found = sftp.Attributes(size_bytes=0, permissions=mode, modified=None)
    assert (found.is_folder, found.is_special) == (is_folder, is_special)


def test_sizes_and_handles_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="2\\^63"):
        sftp.parse_attributes(struct.pack(">IQ", 1, 1 << 63))
    with pytest.raises(ValueError, match="256"):
        sftp.parse_handle(string(bytes(257)))


def test_a_status_of_an_old_server_has_no_message() -> None:
    assert sftp.parse_status(struct.pack(">I", 2)) == (2, "")
    assert sftp.parse_status(struct.pack(">I", 4) + string(b"no\xff") + string(b"")) == (4, "no\ufffd")
