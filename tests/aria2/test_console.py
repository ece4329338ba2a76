"""What aria2 writes, byte for byte as 1.36 does."""

from __future__ import annotations

import pytest

from thunderdl.aria2.console import Ended, Shown, readout, results, short_size, short_time, summary
from thunderdl.model import Progress, SourceProgress, Status

GID = "9fbbae0000000000"


def progress(
    done: int = 720896, size: int | None = 3_000_000, *, rate: float = 365_000, eta: float | None = 6
) -> Progress:
    return Progress(
        name="f.bin", status=Status.ACTIVE, size_bytes=size, done_bytes=done, rate_bytes_per_s=rate, eta_s=eta,
        sources=(SourceProgress(url="http://h/f.bin", lanes=3), SourceProgress(url="http://i/f.bin", lanes=1)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (0, "0"), (12, "12"), (921, "921"), (922, "0.9Ki"), (1024, "1.0Ki"), (720896, "704Ki"), (3_000_000, "2.8Mi"),
        (16 * 1024, "16Ki"), (121 << 20, "121Mi"), (5 << 40, "5,120Gi"),
    ],
)  # fmt: skip
def test_sizes_are_short(size_bytes: int, shown: str) -> None:
    assert short_size(size_bytes) == shown


def test_sizes_may_be_whole() -> None:
    assert short_size(3_000_000, human=False) == "3,000,000"


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0s"), (6.9, "6s"), (185, "3m5s"), (3600, "1h"), (3723, "1h2m3s")])
def test_times_are_short(seconds: float, shown: str) -> None:
    assert short_time(seconds) == shown


def test_the_line_of_progress() -> None:
    assert readout([]) == ""
    assert readout([Shown(GID, progress())]) == "[#9fbbae 704KiB/2.8MiB(24%) CN:4 DL:356KiB ETA:6s]"
    assert readout([Shown(GID, progress(0, None, eta=None))]) == "[#9fbbae 0B/0B CN:4 DL:356KiB]"
    two = [Shown(GID, progress()), Shown("a" * 16, progress(0))]
    assert readout(two) == "[DL:712KiB][#9fbbae 704KiB/2.8MiB(24%)][#aaaaaa 0B/2.8MiB(0%)]"
    assert readout(two * 4).endswith("(+3)")
    sharing = Progress(name="t", status=Status.SHARING, size_bytes=100, done_bytes=100, uploaded_bytes=150)
    assert readout([Shown(GID, sharing)]) == "[#9fbbae SEED(1.5) CN:0]"


def test_the_summary() -> None:
    lines = list(summary([Shown(GID, progress())], ["/d/f.bin"], "Mon Nov 30 09:15:03 2026"))
    assert lines == [
        " *** Download Progress Summary as of Mon Nov 30 09:15:03 2026 *** ", "=" * 79,
        "[#9fbbae 704KiB/2.8MiB(24%) CN:4 DL:356KiB ETA:6s]", "FILE: /d/f.bin", "-" * 79, "",
    ]  # fmt: skip


def test_the_table_of_results() -> None:
    ended = [
        Ended("9fbbae00", "OK", "/d/f.bin", 594_944, 1.0),
        Ended("941531aa", "ERR", "http://u:p@h/no\x1b[2J", 0, 0.5),
        Ended("238c16bb", "INPR", "/d/g"),
    ]
    assert list(results(ended)) == [
        "", "Download Results:",
        "gid   |stat|avg speed  |path/URI",
        "======+====+===========+=======================================================",
        "9fbbae|OK  |   581KiB/s|/d/f.bin",
        "941531|ERR |       0B/s|http://h/no\ufffd[2J",
        "238c16|INPR|        n/a|/d/g",
        "", "Status Legend:",
        "(OK):download completed.(ERR):error occurred.(INPR):download in-progress.",
    ]  # fmt: skip


def test_the_full_table_and_colours() -> None:
    lines = list(results([Ended("a44bf500", "OK", "/d/e.bin", 1 << 20, 1.0, 100)], full=True, colours=True))
    assert lines[2:5] == [
        "gid   |stat|avg speed  |  %|path/URI",
        "======+====+===========+===+===================================================",
        "a44bf5|\x1b[1;32mOK\x1b[0m  |   1.0MiB/s|100|/d/e.bin",
    ]
