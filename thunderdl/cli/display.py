"""The picture of running downloads, drawn with rich.

Frames are pure: :func:`look` polls the client into a :class:`Frame`, :func:`picture` makes renderables of it for a
width and a height, :class:`Board` puts them on the terminal. Invariants: every text from outside passes ``printable``
and becomes a ``Text`` (rich's markup is never parsed: bad-inputs T2); no line is wider than asked; numbers keep their
columns from frame to frame.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from thunderdl.cli.live import COLOURS
from thunderdl.cli.sentences import shared
from thunderdl.cli.views import Watched
from thunderdl.errors import printable, shown_url
from thunderdl.model import Progress, SourceKind, SourceProgress, SourceState, Status
from thunderdl.quantities import clock, percent, rate, size

# One hue a source, in this order; chosen to stay apart on dark and on light ground.
_HUES = ("cyan", "magenta", "blue", "yellow", "bright_cyan", "bright_magenta", "bright_blue", "bright_yellow")
_STATE = {
    SourceState.OPENING: "dim",
    SourceState.ACTIVE: "",
    SourceState.BACKING_OFF: "yellow",
    SourceState.PROBATION: "yellow",
    SourceState.BANNED: "red",
    SourceState.GONE: "dim",
}
# Not the full block: the gap keeps rows of the map apart.
_SEVENTHS = "▁▂▃▄▅▆▇"
_MAP_ROWS = 4
_NOTES = 3
_WIDEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What is drawn at one moment; ``tasks``: as many as could fit, ``active``: how many there are."""

    tasks: tuple[Progress, ...]
    active: int
    files_done: int = 0
    files_failed: int = 0
    bytes_done: int = 0
    rate_bytes_per_s: float = 0.0


def look(client: Watched, height: int) -> Frame:
    """Poll the client; no more tasks than ``height`` lines could show."""
    tasks, totals = client.tasks(), client.totals()
    return Frame(
        tasks=tuple(task.progress() for task in islice(tasks, max(height, 1))),
        active=len(tasks),
        files_done=totals.files_done,
        files_failed=totals.files_failed,
        bytes_done=totals.bytes_done,
        rate_bytes_per_s=totals.rate_bytes_per_s,
    )


def picture(frame: Frame, width: int, height: int, *, blocks: bool = True) -> RenderableType:
    """The frame within ``width`` cells and ``height`` lines; ``blocks``: the terminal has more than ASCII."""
    width = min(width, _WIDEST)
    if frame.active == 1 and frame.files_done + frame.files_failed == 0 and frame.tasks:
        return Group(*islice(_one(frame.tasks[0], width, height, blocks=blocks), max(height, 1)))
    return Group(*_many(frame, width, height, blocks=blocks))


def _one(task: Progress, width: int, height: int, *, blocks: bool) -> Iterator[Text]:
    yield _headline(task, width)
    yield _gauge(task, width, blocks=blocks)
    rows = min(_MAP_ROWS, height - 4 - len(task.sources))
    if task.piece_map and rows > 0:
        yield from _piece_map(task.piece_map, width, rows, blocks=blocks)
    room = height - 2 - (max(rows, 0) if task.piece_map else 0)
    if task.sources and room > 0:
        yield from _sources(task.sources, width, room, blocks=blocks)
    # The caller cuts at the height: where there is no room for them, notes still come with the result.
    for note in task.notes[-_NOTES:]:
        yield Text.assemble((_cut(printable(note), width), "yellow"))


def _headline(task: Progress, width: int) -> Text:
    """The name, and at the right what kind of moment it is."""
    lanes = sum(source.lanes for source in task.sources)
    sources = sum(source.lanes > 0 for source in task.sources)
    if task.status is Status.ACTIVE and lanes:
        state = f"{_count(lanes, 'connection')} to {_count(sources, 'source')}"
    elif task.status is Status.SHARING:
        state = f"sharing, {shared(task.uploaded_bytes, task.size_bytes or 0)} so far"
    else:
        state = task.status.value
    name = Text.assemble((_cut(shown_url(task.name), width - len(state) - 2), "bold"))
    return _spread(name, Text(state, "dim"), width)


def _gauge(task: Progress, width: int, *, blocks: bool) -> Text:
    """Percent, the bar, and the numbers, each in its own column."""
    of = f" of {size(task.size_bytes)}" if task.size_bytes is not None else ""
    share = Text.assemble((f"{percent(task.done_bytes, task.size_bytes):>5} ", "bold"))
    numbers = Text.assemble(
        (f"  {size(task.done_bytes):>8}{of}", ""),
        *_pace(task, blocks=blocks),
    )
    room = width - share.cell_len - numbers.cell_len
    if room < 8:
        return _clipped(share + numbers, width)
    bar = _bar(_fraction(task), room, _hue(task.status), blocks=blocks)
    return share + bar + numbers


def _pace(task: Progress, *, blocks: bool) -> tuple[tuple[str, str], tuple[str, str]]:
    """Rate and time left; of one that is whole and shared what peers get, marked, and no time: nothing is left."""
    if task.status is Status.SHARING:
        return (f" {'↑' if blocks else '^'}{rate(task.upload_rate_bytes_per_s):>10}", "cyan"), (" " * 9, "")
    return (f"  {rate(task.rate_bytes_per_s):>10}", "cyan"), (f"  {clock(task.eta_s):>7}", "green")


def _many(frame: Frame, width: int, height: int, *, blocks: bool) -> Iterator[Text]:
    failed = Text(f" · {frame.files_failed} failed", "red") if frame.files_failed else Text()
    left = Text.assemble((_count(frame.files_done, "file"), "bold"), " done", failed)
    right = Text.assemble(f"{size(frame.bytes_done):>8}", (f"  {rate(frame.rate_bytes_per_s):>10}", "cyan"))
    running = f" · {frame.active} running"
    if left.cell_len + len(running) + right.cell_len + 2 <= width:
        left.append(running)
    yield _spread(left, right, width)
    room = max(height - 2, 0)
    shown = frame.tasks[:room]
    for task in shown:
        yield _task_line(task, width, blocks=blocks)
    if frame.active > len(shown) and room:
        yield Text(_cut(f"  and {frame.active - len(shown)} more", width), "dim")


def _task_line(task: Progress, width: int, *, blocks: bool) -> Text:
    numbers = Text.assemble(
        (f"  {percent(task.done_bytes, task.size_bytes):>5}", "bold"),
        f"  {size(task.done_bytes if task.size_bytes is None else task.size_bytes):>8}",
        *_pace(task, blocks=blocks),
    )
    room = max(width - numbers.cell_len, 4)
    name_width = room * 3 // 5 if room >= 20 else room
    name = Text(_cut(shown_url(task.name), name_width))
    name.pad_right(name_width - name.cell_len)
    if room < 20:
        return _clipped(name + numbers, width)
    bar = _bar(_fraction(task), room - name_width - 2, _hue(task.status), blocks=blocks)
    return name + Text("  ") + bar + numbers


def _piece_map(cells: bytes, width: int, most_rows: int, *, blocks: bool) -> Iterator[Text]:
    """Cells of 0 … 255 as characters, in rows of equal length."""
    indent = 6 if width >= 40 else 0
    room = width - indent
    rows = min(most_rows, -(-len(cells) // room))
    per_row = min(room, -(-len(cells) // rows))
    cells = _resampled(cells, per_row * rows) if len(cells) > per_row * rows else cells
    for start in range(0, len(cells), per_row):
        line = Text(" " * indent)
        for cell in cells[start : start + per_row]:
            line.append(*_cell(cell, blocks=blocks))
        yield line


def _cell(cell: int, *, blocks: bool) -> tuple[str, str]:
    if cell == 255:
        return (_SEVENTHS[-1] if blocks else "#"), "green"
    if cell == 0:
        return ("·" if blocks else "."), "bright_black"
    return (_SEVENTHS[cell * 7 // 256] if blocks else "+"), "yellow"


def _resampled(cells: bytes, count: int) -> bytes:
    """Means over equal stretches; full only where all of a stretch is."""
    bounds = [index * len(cells) // count for index in range(count + 1)]
    return bytes(sum(cells[start:end]) // (end - start) for start, end in pairwise(bounds) if end > start)


def _sources(sources: Sequence[SourceProgress], width: int, room: int, *, blocks: bool) -> Iterator[Text]:
    """A line for each source; what is said of it stands behind, or below where it would be cut."""
    total = sum(source.bytes for source in sources)
    labels = [_cut(label, max(12, width // 3)) for label in _labels(sources)]
    label_width = max(Text(label).cell_len for label in labels)
    drawn = list[Text]()
    told = 0
    for index, (source, label) in enumerate(zip(sources, labels, strict=True)):
        line = _source_numbers(source, label, label_width, _HUES[index % len(_HUES)], total, width, blocks=blocks)
        said = _said(source)
        fits = line.cell_len + 2 + said.cell_len <= width
        drawn.append(line.append("  ").append_text(said) if fits else _clipped(line, width))
        if not fits:
            drawn.append(_clipped(Text("      ") + said, width))
        if len(drawn) <= room:
            told = index + 1
    yield from drawn[: room if told == len(sources) else room - 1]
    if told < len(sources):
        yield Text(_cut(f"and {len(sources) - told} more", width), "dim")


def _source_numbers(
    source: SourceProgress, label: str, label_width: int, hue: str, total: int, width: int, *, blocks: bool
) -> Text:
    fraction = source.bytes / total if total else 0.0
    dead = source.state in (SourceState.BANNED, SourceState.GONE)
    line = Text.assemble((label, f"strike {_STATE[source.state]}" if dead else hue))
    line.append(" " * (label_width - line.cell_len))
    if width >= 72:
        line.append("  ").append_text(_bar(fraction, width // 8, "bright_black" if dead else hue, blocks=blocks))
    speed = "–" if dead or not source.rate_bytes_per_s else rate(source.rate_bytes_per_s)
    line.append(f"  {fraction * 100:>3.0f} %  {size(source.bytes):>8}")
    return line.append(f"  {speed:>10}", "dim" if speed == "–" else "cyan")


def _said(source: SourceProgress) -> Text:
    """Lanes of a source at work, and what is spoken there where it is not the web's; else its state and the reason."""
    state = "" if source.state is SourceState.ACTIVE else source.state.value
    # The line names the source already, and what the room is short of is the reason.
    note = printable(source.note).removeprefix(f"{shown_url(source.url)}: ")
    said = ": ".join(part for part in (state, note) if part)
    spoken = "" if source.kind in (SourceKind.HTTP, SourceKind.PEERS) else f" {source.kind.value}"
    return Text(said, _STATE[source.state]) if said else Text(f"×{source.lanes}{spoken}", "dim")


def _labels(sources: Sequence[SourceProgress]) -> list[str]:
    """The host where that tells sources apart, else the URL without its scheme."""
    whole = [shown_url(source.url).partition("://")[2] or shown_url(source.url) for source in sources]
    hosts = [url.partition("/")[0] for url in whole]
    count = Counter(hosts)
    return [host if count[host] == 1 else url for host, url in zip(hosts, whole, strict=True)]


def _bar(fraction: float, width: int, hue: str, *, blocks: bool) -> Text:
    full, ground, half = ("━", "━", "╸") if blocks else ("=", "-", "-")
    halves = round(min(max(fraction, 0.0), 1.0) * width * 2)
    filled, odd = divmod(halves, 2)
    bar = Text.assemble((full * filled + (half if odd else ""), hue))
    return bar.append(ground * (width - filled - odd), "bright_black")


def _fraction(task: Progress) -> float:
    return task.done_bytes / task.size_bytes if task.size_bytes else 0.0


def _hue(status: Status) -> str:
    return {Status.FAILED: "red", Status.PAUSED: "yellow", Status.VERIFYING: "magenta"}.get(status, "green")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _cut(text: str, width: int) -> str:
    """The text in ``width`` cells, cut in the middle: a name's end (its extension) tells as much as its start."""
    if Text(text).cell_len <= width:
        return text
    if width < 3:
        return text[: max(width, 0)]
    head, tail = text[: (width - 1) * 2 // 3], text[-((width - 1) // 3) :]
    while Text(f"{head}…{tail}").cell_len > width and (head or tail):
        head, tail = (head[:-1], tail) if len(head) >= len(tail) else (head, tail[1:])
    return f"{head}…{tail}"


def _spread(left: Text, right: Text, width: int) -> Text:
    gap = width - left.cell_len - right.cell_len
    return _clipped(left + Text(" " * max(gap, 2)) + right, width)


def _clipped(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    return line


class Board:
    """The part of the terminal that is redrawn, below the lines that stay."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, markup=False, emoji=False, soft_wrap=False)
        self._blocks = self._console.encoding.lower().startswith("utf")
        self._live = Live(
            console=self._console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._live.start()

    @property
    def height(self) -> int:
        """Lines of the terminal; it may change at any time."""
        return self._console.height

    def draw(self, frame: Frame, lines: Sequence[str] = ()) -> None:
        """Write ``lines`` above for good, then the frame in place of the last one."""
        self._write(lines)
        # Columns stay free for the ^C that the terminal echoes: wrapped, it would put the erasing a line off.
        shown = picture(frame, self._console.width - 3, self._console.height - 1, blocks=self._blocks)
        self._live.update(shown, refresh=True)

    def close(self, lines: Sequence[str] = ()) -> None:
        """Take the picture away, give the cursor back, write what is left."""
        self._live.stop()
        self._write(lines)

    def _write(self, lines: Sequence[str]) -> None:
        if lines:
            self._console.print(Text("\n").join(map(_styled, lines)), soft_wrap=True)


def _styled(line: str) -> Text:
    word, space, rest = line.partition(" ")
    return Text.assemble((word, COLOURS[word]), space, rest) if word in COLOURS else Text(line)
