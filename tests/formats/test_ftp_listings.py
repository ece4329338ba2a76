"""What FTP servers list, as it was seen, and what nobody should send."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.formats.ftp_listings import parse_list, parse_mlsd
from thunderdl.formats.listings import Entry


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"type=file;size=12;modify=20240229123456; a b.txt", Entry(b"a b.txt", False, 12, "20240229123456")),
        (b"Type=File;Modify=20240229123456.789;Size=0; \xe9", Entry(b"\xe9", False, 0, "20240229123456.789")),
        (b"modify=20240229123456;type=dir;size=4096; sub", Entry(b"sub", True, None, "20240229123456")),
        (b"type=file; x", Entry(b"x", False)),
        (b"type=file;size=-1;modify=yesterday; x", Entry(b"x", False)),
        (b"type=file;size=" + b"9" * 40 + b"; x", Entry(b"x", False)),
        (b"no facts at all", None),
        (b"size=1; x", None),
        (b"type=file;size=1;", None),
    ],
)
def test_a_line_of_mlsd(line: bytes, found: Entry | None) -> None:
    assert list(parse_mlsd(line + b"\r\n")) == [found]


@pytest.mark.parametrize("kind", [b"cdir", b"pdir", b"OS.unix=slink:/etc", b"OS.unix=chr-1/2"])
def test_what_is_neither_file_nor_folder_is_left_out(kind: bytes) -> None:
    assert list(parse_mlsd(b"type=" + kind + b";size=1; x\r\n")) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (
            b"-rw-r--r--    1 0        0         12 Feb 29  2024 a b.txt",
            Entry(b"a b.txt", False, 12, "Feb 29 2024"),
        ),
        (b"-rw-r--r--+ 1 me staff 0 Feb  1 12:34  x", Entry(b" x", False, 0, "Feb 1 12:34")),
        (b"-rw-r--r-- 1 me 5 Feb 1 12:34 x", Entry(b"x", False, 5, "Feb 1 12:34")),
        (b"-rw-r--r-- 1 me us 5 2024-02-29 12:34 x", Entry(b"x", False, 5, "2024-02-29 12:34")),
        (b"drwxr-xr-x 2 me us 4096 Feb 1 12:34 sub", Entry(b"sub", True, None, "Feb 1 12:34")),
        (b"02-29-24  12:34PM                   12 a b.txt", Entry(b"a b.txt", False, 12, "02-29-24 12:34PM")),
        (b"02-29-2024  12:34PM       <DIR>          sub", Entry(b"sub", True, None, "02-29-2024 12:34PM")),
        (b"<html><body>welcome", None),
        (b"-rw-r--r-- 1 me us -5 Feb 1 12:34 x", None),
    ],
)
def test_a_line_of_list(line: bytes, found: Entry | None) -> None:
    assert list(parse_list(b"total 4\r\n" + line + b"\r\n\r\n")) == [found]


@pytest.mark.parametrize("kind", [b"l", b"c", b"p", b"s"])
def test_links_and_devices_are_left_out(kind: bytes) -> None:
    assert list(parse_list(kind + b"rwxrwxrwx 1 0 0 4 Feb 1 12:34 x -> /etc/passwd\n")) == []


@pytest.mark.parametrize("spaces", [8000, 20_000])
def test_a_line_of_spaces_costs_little(spaces: int) -> None:
    """Whichever thread reads it, the regular expression lets no other go on: 12 s for the longer one."""
    began = time.process_time()
    assert list(parse_list(b"01-01-20 00:00" + b" " * spaces + b"x\r\n")) == [None]
    assert time.process_time() - began < 0.5


def test_a_line_that_is_too_long_tells_nothing() -> None:
    assert list(parse_mlsd(b"type=file; " + b"x" * 9000 + b"\r\ntype=file; x\r\n")) == [None, Entry(b"x", False)]
    assert list(parse_list(b"01-01-20 00:00 1 " + b"x" * 9000 + b"\n")) == [None]


@given(st.binary(max_size=300))
def test_any_bytes_are_read(raw: bytes) -> None:
    for found in (*parse_mlsd(raw), *parse_list(raw)):
        assert found is None or (found.name and b"\n" not in found.name)
