"""What aria2 writes on the console, in its form: scripts read the line of progress and the table of results. Pure.

``[#2089b0 1.2MiB/3.0MiB(40%) CN:4 DL:1.1MiB ETA:3s]``; a table of ``gid   |stat|avg speed  |path/URI``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from thunderdl.errors import printable, shown_url
from thunderdl.model import Progress, Status

_UNITS = ("", "Ki", "Mi", "Gi")
_MOST_SHOWN = 5
_GID_SHOWN = 6
LEGEND = {
    "OK": "download completed.", "ERR": "error occurred.", "INPR": "download in-progress.", "RM": "removed.",
}  # fmt: skip


class Shown(NamedTuple):
    """A running download, by its number."""

    gid: str
    progress: Progress


class Ended(NamedTuple):
    """How one went. ``stat``: a word of LEGEND; ``path``: or the URI, where there is no path."""

    gid: str
    stat: str
    path: str
    bytes: int = 0
    seconds: float = 0.0
    percent: int | None = None


def short_size(size_bytes: float, *, human: bool = True) -> str:
    """``704Ki``, ``1.3Mi``, ``12``: one decimal below ten, the next unit from 922 on, so that four places are enough.
    All digits without ``human``."""
    whole, rest, unit = int(size_bytes), 0, 0
    if not human:
        return f"{whole:,}"
    while whole >= 1024 and unit + 1 < len(_UNITS):
        whole, rest = divmod(whole, 1024)
        unit += 1
    if whole >= 922 and unit + 1 < len(_UNITS):
        whole, rest, unit = 0, whole, unit + 1
    return f"{whole:,}{f'.{rest * 10 // 1024}' if whole < 10 and unit else ''}{_UNITS[unit]}"


def short_time(seconds: float) -> str:
    """``1h2m3s``, ``3m5s``, ``6s``; ``2h`` where the rest is nothing."""
    hours, rest = divmod(int(seconds), 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{count}{unit}" for count, unit in ((hours, "h"), (minutes, "m"), (left, "s")) if count]
    return "".join(parts) or "0s"


def readout(shown: Sequence[Shown], *, human: bool = True) -> str:
    """The line of progress: all of one download, or the rate of all and how far each is; empty for none."""
    if not shown:
        return ""
    if len(shown) == 1:
        return one_readout(shown[0], human=human)
    rate = sum(each.progress.rate_bytes_per_s for each in shown)
    each_of = "".join(
        f"[#{each.gid[:_GID_SHOWN]} {_how_far(each.progress, human=human)}]" for each in shown[:_MOST_SHOWN]
    )
    more = f"(+{len(shown) - _MOST_SHOWN})" if len(shown) > _MOST_SHOWN else ""
    return f"[DL:{short_size(rate, human=human)}B]{each_of}{more}"


def one_readout(shown: Shown, *, human: bool = True) -> str:
    """``[#2089b0 1.2MiB/3.0MiB(40%) CN:4 DL:1.1MiB ETA:3s]``."""
    progress = shown.progress
    parts = [f"#{shown.gid[:_GID_SHOWN]} {_how_far(progress, human=human)}"]
    parts.append(f"CN:{sum(source.lanes for source in progress.sources)}")
    if progress.status is not Status.SHARING:
        parts.append(f"DL:{short_size(progress.rate_bytes_per_s, human=human)}B")
    if progress.eta_s is not None and progress.eta_s >= 1:
        parts.append(f"ETA:{short_time(progress.eta_s)}")
    return f"[{' '.join(parts)}]"


def _how_far(progress: Progress, *, human: bool) -> str:
    if progress.status is Status.SHARING:
        whole = progress.size_bytes or 0
        return f"SEED({progress.uploaded_bytes / whole:.1f})" if whole else "SEED"
    done, whole = progress.done_bytes, progress.size_bytes or 0
    share = f"({done * 100 // whole}%)" if whole else ""
    return f"{short_size(done, human=human)}B/{short_size(whole, human=human)}B{share}"


def summary(shown: Sequence[Shown], paths: Sequence[str], when: str, *, human: bool = True) -> Iterator[str]:
    """What is written each ``--summary-interval``; ``when``: the time as ``ctime`` writes it."""
    yield f" *** Download Progress Summary as of {when} *** "
    yield "=" * 79
    for each, path in zip(shown, paths, strict=True):
        yield one_readout(each, human=human)
        yield f"FILE: {printable(path)}"
        yield "-" * 79
    yield ""


def results(ended: Iterable[Ended], *, full: bool = False, colours: bool = False) -> Iterator[str]:
    """The table in the end, and what its words mean."""
    ended = list(ended)
    yield ""
    yield "Download Results:"
    yield "gid   |stat|avg speed  |" + ("  %|" if full else "") + "path/URI"
    yield "======+====+===========+" + ("===+" + "=" * 51 if full else "=" * 55)
    yield from (_row(each, full=full, colours=colours) for each in ended)
    used = [stat for stat in LEGEND if any(each.stat == stat for each in ended)]
    if used:
        yield ""
        yield "Status Legend:"
        yield "".join(f"({stat}):{LEGEND[stat]}" for stat in used)


_COLOURS = {"OK": "\x1b[1;32m", "ERR": "\x1b[1;31m", "INPR": "\x1b[1;34m", "RM": "\x1b[1m"}


def _row(each: Ended, *, full: bool, colours: bool) -> str:
    rate = f"{short_size(each.bytes / each.seconds)}B/s" if each.seconds > 0 else "n/a"
    stat = f"{each.stat:<4}"
    if colours:
        stat = f"{_COLOURS[each.stat]}{each.stat}\x1b[0m{stat[len(each.stat) :]}"
    share = f"{'-' if each.percent is None else each.percent:>3}|" if full else ""
    return f"{each.gid[:_GID_SHOWN]}|{stat}|{rate:>11}|{share}{shown_url(each.path)}"
