from __future__ import annotations

import asyncio
import io
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from thunderdl.cli.inputs import Entry, entries, is_pipe, open_list, piped_entries
from thunderdl.errors import UsageError


def read(text: str, longest: int = 200) -> tuple[list[Entry], list[str]]:
    bad: list[UsageError] = []
    found = list(entries(io.StringIO(text, newline="\n"), "list", bad.append, longest=longest))
    return found, [str(error) for error in bad]


def test_urls_mirrors_comments_blank_lines() -> None:
    found, bad = read("\ufeffhttp://a/1\n\n# no\n  http://b/2\thttp://c/2\t\t http://d/2 \r\nhttp://e/3")
    assert found == [("http://a/1", ()), ("http://b/2", ("http://c/2", "http://d/2")), ("http://e/3", ())]
    assert bad == []


def test_a_bad_line_is_named_and_the_rest_goes_on() -> None:
    found, bad = read("http://a/1\n-o /etc/passwd\nexample.com/x\nhttp://a/\x1b[2J\nhttp://a/b\rc\nhttp://a/2\n")
    assert found == [("http://a/1", ()), ("http://a/2", ())]
    assert [line.partition(" ")[0] for line in bad] == ["list:2:", "list:3:", "list:4:", "list:5:"]
    assert "\x1b" not in "".join(bad)


def test_a_bad_mirror_spoils_its_line() -> None:
    found, bad = read("http://a/1\tnonsense\nhttp://a/2\n")
    assert found == [("http://a/2", ())]
    assert "list:1: 'nonsense'" in bad[0]


def test_an_endless_line_is_skipped_in_bounded_memory() -> None:
    found, bad = read("http://a/" + "x" * 1000 + "\nhttp://a/2\n")
    assert found == [("http://a/2", ())]
    assert bad == ["list:1: the line is longer than 200 characters."]


class Endless(io.TextIOBase):
    """200,000 lines that exist only when they are read."""

    def __init__(self) -> None:
        self._lines = (f"http://host.example/path/to/file-{number:07}.bin\n" for number in range(200_000))

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]  # as TextIO has it
        return next(self._lines, "")


def test_a_list_is_never_held() -> None:
    lines: Iterator[Entry] = entries(Endless(), "list", lambda error: None)  # type: ignore[arg-type]
    next(lines)
    tracemalloc.start()
    try:
        count = sum(1 for _, _ in zip(range(2000), lines, strict=False))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 2000
    assert peak < 64 * 1024


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        open_list(str(tmp_path / "none"))


def test_bytes_that_are_no_text_are_bad_lines(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes(b"http://a/\xff\nhttp://a/2\n")
    bad: list[UsageError] = []
    name, opened = open_list(str(path))
    with opened as lines:
        assert list(entries(lines, name, bad.append)) == [("http://a/2", ())]
    assert "not UTF-8" in str(bad[0])


def test_a_pipe_is_read_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    far, near = os.pipe()
    bad: list[str] = []

    async def read() -> list[tuple[str, tuple[str, ...]]]:
        with os.fdopen(far) as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            assert is_pipe("-")
            found = piped_entries(lambda error: bad.append(str(error)), longest=100)
            os.write(near, b"http://h/a\thttp://h/b\n")
            first = await anext(found)
            os.write(near, b"# no\nrubbish\n" + b"x" * 5000 + b"\nhttp://h/c")
            os.close(near)
            return [first, *[entry async for entry in found]]

    assert asyncio.run(read()) == [("http://h/a", ("http://h/b",)), ("http://h/c", ())]
    assert bad[0].startswith("standard input:3: ")
    assert "longer than 100" in bad[1]
