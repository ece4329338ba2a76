from __future__ import annotations

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from tests.cli.fakes import MIB, NAUGHTY, FakeClient, FakeTask, FakeTotals, progress, source
from thunderdl.cli.display import Board, Frame, look, picture
from thunderdl.errors import printable
from thunderdl.model import SourceKind, SourceState, Status

# What rich itself writes: colours, cursor movement, clearing.
OURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def console(width: int = 80, height: int = 24) -> Console:
    return Console(
        file=io.StringIO(), width=width, height=height, force_terminal=True, markup=False, emoji=False, highlight=False
    )


def lines(frame: Frame, width: int = 80, height: int = 24, *, blocks: bool = True) -> list[str]:
    rendered = console(width).render_lines(picture(frame, width, height, blocks=blocks), pad=False)
    return ["".join(segment.text for segment in line) for line in rendered]


def one(name: str = "file.iso", **more: object) -> Frame:
    return Frame(tasks=(progress(name, **more),), active=1)


def many(count: int = 20, name: str = "file") -> Frame:
    tasks = tuple(progress(f"{name}{number}") for number in range(count))
    return Frame(tasks=tasks, active=40, files_done=3, files_failed=1, bytes_done=2**31, rate_bytes_per_s=5e6)


def test_one_file() -> None:
    drawn = lines(one())
    assert drawn[0].split() == ["file.iso", "6", "connections", "to", "2", "sources"]
    assert drawn[1].split()[0::2] == ["46", drawn[1].split()[2], "MiB", "256", "84.3", "0:02"]
    assert "".join(drawn[2:6]).count("▇") >= 120
    assert [line.split()[0] for line in drawn if line.startswith("mirror")] == [
        f"mirror{number}.example.org" for number in (1, 2, 3, 4)
    ]
    assert any("banned: wrong bytes in piece 17" in line for line in drawn)


def test_many_files_count_and_leave_the_rest_out() -> None:
    drawn = lines(many(), height=10)
    assert drawn[0].startswith("3 files done · 1 failed · 40 running")
    assert drawn[-1] == "  and 32 more"
    assert len(drawn) == 10


@pytest.mark.parametrize("width", [20, 40, 60, 72, 80, 133, 200, 400])
@pytest.mark.parametrize("height", [1, 2, 5, 8, 24])
def test_it_fits(width: int, height: int) -> None:
    wide = progress("寿司" * 50, sources=tuple(source(number % 3, note="长" * 99) for number in range(30)))
    for frame in (one(), one(NAUGHTY, size_bytes=None), many(), Frame(tasks=(wide,), active=1), many(20, "寿司" * 30)):
        drawn = lines(frame, width, height)
        assert len(drawn) <= height
        assert all(Text(line).cell_len <= width for line in drawn)


def test_nothing_from_outside_reaches_the_terminal_raw() -> None:
    bad = source(1, state=SourceState.BANNED, note=NAUGHTY)
    screen = console(200)
    board = Board(screen)
    board.draw(Frame(tasks=(progress(NAUGHTY, sources=(bad,), notes=(NAUGHTY,)),), active=1), [])
    board.draw(Frame(tasks=(progress(NAUGHTY),) * 3, active=3), ["saved " + printable(NAUGHTY)])
    board.close(["failed " + printable(NAUGHTY)])
    assert isinstance(screen.file, io.StringIO)
    written = OURS.sub("", screen.file.getvalue()).replace("\r", "").replace("\n", "")
    assert written == printable(written)
    assert written.count("[red]x[/red][/blue][link=http://e]%s %n {0}") >= 4


def test_ascii_terminals_get_ascii() -> None:
    drawn = "".join(lines(one(), blocks=False))
    assert set(drawn) - {"×", "–"} <= set(map(chr, range(128)))


def test_hosts_that_are_the_same_are_told_apart_by_path() -> None:
    from dataclasses import replace

    sources = (replace(source(1), url="http://u:p@h:1/a"), replace(source(1), url="http://h:1/b"), source(2))
    drawn = "\n".join(lines(one(sources=sources)))
    assert "h:1/a" in drawn
    assert "u:p" not in drawn
    assert "mirror2.example.org " in drawn


def test_what_is_spoken_is_shown_where_it_is_not_the_web() -> None:
    from dataclasses import replace

    sources = (source(1), replace(source(2), kind=SourceKind.SFTP))
    drawn = "\n".join(lines(one(sources=sources)))
    assert drawn.count("sftp") == 1
    assert "http" not in drawn


@settings(max_examples=60, deadline=None)
@given(cells=st.binary(max_size=256), width=st.integers(20, 200), done=st.integers(0, 2**50), text=st.text(max_size=40))
def test_any_snapshot_can_be_drawn(cells: bytes, width: int, done: int, text: str) -> None:
    frame = one(text, piece_map=cells, done_bytes=done, sources=(source(1, note=text, bytes=done),), notes=(text,))
    for line in lines(frame, width):
        assert line == printable(line)
        assert Text(line).cell_len <= width


@pytest.mark.parametrize("status", list(Status))
def test_every_status(status: Status) -> None:
    told = "sharing, 0 B (ratio 0.00) so far" if status is Status.SHARING else status.value
    assert lines(one(status=status, sources=()))[0].endswith(told)


def test_look_polls_no_more_than_can_be_shown() -> None:
    client = FakeClient(active=[FakeTask(progress())] * 500, counted=FakeTotals(1, 2, 3 * MIB, 4.0))
    frame = look(client, 24)
    assert (len(frame.tasks), frame.active, frame.files_done, frame.files_failed) == (24, 500, 1, 2)


def test_what_is_shared_shows_what_peers_get() -> None:
    shared = progress(
        "file.iso", status=Status.SHARING, done_bytes=256 * MIB, rate_bytes_per_s=0, upload_rate_bytes_per_s=3 * MIB
    )
    for frame in (Frame(tasks=(shared,), active=1), Frame(tasks=(shared, progress("other")), active=2)):
        drawn = next(line for line in lines(frame) if "100 %" in line)
        assert " ↑3.00 MiB/s" in drawn
        assert "0 B/s" not in drawn
        assert "-:--" not in drawn
    assert "^3.00 MiB/s" in lines(Frame(tasks=(shared,), active=1), blocks=False)[1]


def test_a_reason_does_not_repeat_the_url_of_its_line() -> None:
    first = source(1, state=SourceState.BACKING_OFF)
    refused = source(
        1, state=SourceState.BACKING_OFF, note=f"{first.url}: connection refused; check the port, or whether it runs."
    )
    drawn = lines(one(sources=(refused,)))
    assert "      backing off: connection refused; check the port, or whether it runs." in drawn
