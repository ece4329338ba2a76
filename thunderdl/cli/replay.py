"""``thunderdl replay``: a trace through the scheduler once more, told in words and drawn as a chart."""

from __future__ import annotations

import os
import random
import stat
import sys
from collections.abc import Sequence

from thunderdl.cli.grammar import Typed
from thunderdl.cli.views import write_line
from thunderdl.core.protocol import Moved, Tick
from thunderdl.core.tracing import Begun, Step
from thunderdl.errors import StorageError, UsageError, printable
from thunderdl.quantities import size
from thunderdl.replay.chart import draw
from thunderdl.replay.playing import Player
from thunderdl.replay.reading import Listed, downloads, entries
from thunderdl.replay.report import report
from thunderdl.replay.story import Story

DIFFERENT = 1
_LISTED = 20
_SVG = b"<svg xmlns="


def replay(typed: Typed) -> int:
    """0 where the scheduler says again what it said then, 1 where it does not."""
    path = typed.text("file") or ""
    found = downloads(path)
    picked = _picked(found, typed.text("download"), path)
    player, story = _played(path, picked.number)
    lines = [*_listing(found, picked), *report(story, player)]
    chart = typed.text("chart") or f"{os.path.splitext(path)[0]}.svg"
    _save(chart, draw(story))
    write_line(sys.stdout, "\n".join([*lines, f"chart: {printable(chart)}"]))
    return 0 if player.is_exact else DIFFERENT


def _picked(found: Sequence[Listed], asked: str | None, path: str) -> Listed:
    if not found:
        raise UsageError(f"{printable(path)}: no download is in this trace.")
    if asked is None:
        return max(found, key=lambda each: each.size)
    for each in found:
        if str(each.number) == asked:
            return each
    there = ", ".join(str(each.number) for each in found[:_LISTED]) + (" …" if len(found) > _LISTED else "")
    raise UsageError(f"--download {printable(asked)[:40]}: the trace has the downloads {there}.")


def _played(path: str, number: int) -> tuple[Player, Story]:
    player: Player | None = None
    story: Story | None = None
    for line, entry in entries(path, number):
        if isinstance(entry, Begun) and player is None:
            player, story = Player(entry, random.Random(entry.seed)), Story(entry)
        elif player is not None and story is not None:
            player.play(line, entry)
            story.take(entry)
            if player.is_exact and isinstance(entry, Step) and not isinstance(entry.heard, Moved | Tick):
                for source, why in player.given_up():
                    story.give_up(source, why)
    assert player is not None
    assert story is not None
    story.close()
    return player, story


def _listing(found: Sequence[Listed], picked: Listed) -> list[str]:
    """Which downloads there are, where there are several."""
    if len(found) == 1:
        return []
    lines = [
        f"{'*' if each is picked else ' '} {each.number:>4}  {size(each.size):>8}  {printable(each.name)}"
        for each in found[:_LISTED]
    ]
    more = [f"       and {len(found) - _LISTED} more"] if len(found) > _LISTED else []
    return [f"{len(found)} downloads; --download N picks another one:", *lines, *more, ""]


def _save(path: str, chart: str) -> None:
    """Write the chart; a file that is there already is replaced only if it is one."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
        with open(fd, "r+b") as file:
            is_file = stat.S_ISREG(os.fstat(fd).st_mode)
            if not is_file or os.pread(fd, len(_SVG), 0) not in (b"", _SVG):
                raise UsageError(f"{printable(path)} exists and is not a chart; choose another name with -o.")
            file.truncate(0)
            file.write(chart.encode())
    except OSError as error:
        raise StorageError(path, f"the chart cannot be written ({error.strerror or error})") from None
