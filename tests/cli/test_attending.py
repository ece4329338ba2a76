"""``thunderdl watch``: what fits on the terminal."""

from __future__ import annotations

import pytest
from rich.text import Text

from thunderdl.cli.attending import Picture

TASK = {
    "gid": "a" * 16, "state": "paused", "size_bytes": None, "done_bytes": 0, "rate_bytes_per_s": 0, "eta_s": None,
    "error": None, "why": "", "position": 0, "ended_at": None,
}  # fmt: skip


def shown(name: str, width: int) -> str:
    picture = Picture()
    picture.take("snapshot", {"tasks": [TASK | {"name": name}], "stat": {}})
    return picture.lines(width, 24)[1]


@pytest.mark.parametrize(
    "name", ["a-name-longer-than-the-terminal.iso", "中文文件名字与很长的后缀.iso", "e\u0301" * 40]
)
def test_a_line_that_does_not_fit_ends_with_an_ellipsis_and_takes_no_second_one(name: str) -> None:
    for width in range(72, 84):
        line = shown(name, width)
        assert line.endswith("…")
        assert width - 3 <= Text(line).cell_len <= width - 1


def test_a_line_that_fits_is_left_alone() -> None:
    assert shown("中文.iso", 78).endswith("  中文.iso")
