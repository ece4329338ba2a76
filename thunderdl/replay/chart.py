"""The chart of a download: which bytes came when, what each connection did, the rates. Pure: story in, SVG out.

Three panels over one axis of time; what each shows stands at the head of its module.
"""

from __future__ import annotations

import colorsys
from collections import Counter

from thunderdl.errors import shown_url
from thunderdl.formats.svg import Picture
from thunderdl.quantities import duration, rate, size
from thunderdl.replay.bytes_panel import bytes_panel
from thunderdl.replay.frame import Frame
from thunderdl.replay.lanes_panel import lanes_height, lanes_panel
from thunderdl.replay.rates_panel import rates_panel
from thunderdl.replay.scale import Scale, time_marks
from thunderdl.replay.story import Story

WIDTH, LEFT, RIGHT = 1280.0, 210.0, 24.0
BYTES_HEIGHT, RATES_HEIGHT, GAP = 400.0, 130.0, 52.0
_NAMED = 12
_LONGEST_NAME = 30
# Hues that stay apart for colour-blind eyes too (Paul Tol, "bright" and "muted"); no red: that is for faults.
_HUES = ("#4477aa", "#ccbb44", "#228833", "#66ccee", "#aa3377", "#ee7733", "#332288", "#999933", "#44aa99", "#dd88bb")
_STYLE = """
text{font:12px system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif;fill:#333}
.title{font-size:19px;font-weight:600;fill:#111}.sub{font-size:13px;fill:#555}.head{font-size:13px;font-weight:600}
.right{text-anchor:end}.mid{text-anchor:middle}.small{font-size:11px;fill:#666}
.halo{paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}
.grid{stroke:#777;stroke-opacity:.18;stroke-width:1}.frame{fill:none;stroke:#aaa}.there{fill:#dcdcdc}
.lease{fill:none;stroke-width:1.3;stroke-linecap:round}.cut{stroke:#111;stroke-width:1}
.fault{stroke:#d11;stroke-width:1.8;fill:none}.try{stroke-width:1;stroke-opacity:.6}
.bad{fill:url(#bad)}.silent{fill:url(#silent)}.away{fill:url(#away)}.gone{fill:#f1f1f1}
.wait{fill-opacity:.3}.idle{fill:none;stroke:#bbb;stroke-dasharray:2 2}.sep{stroke:#ccc}
.area{fill-opacity:.85;stroke:#fff;stroke-width:.4}.mean{stroke:#111;stroke-dasharray:5 4;fill:none}
"""
# Stripes: name, ground, ink, width of the ink.
_STRIPES = (("silent", "#ffe9e9", "#e88", 2.0), ("away", "#f3f3f3", "#c4c4c4", 2.0), ("bad", "#fff", "#d11", 1.5))
_DEFS = "".join(
    f'<pattern id="{name}" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    f'<rect width="6" height="6" fill="{ground}"/><rect width="{wide}" height="6" fill="{ink}"/></pattern>'
    for name, ground, ink, wide in _STRIPES
)
# How much of a source's hue is in what it brought, and in what it holds: opaque, for one thing covers another.
_GOT, _HELD = 0.55, 0.17


def draw(story: Story) -> str:
    """The chart as SVG."""
    names, hues = labels(story), _hues(len(story.sources))
    looks = [_looks(number, hue) for number, hue in zip(story.sources, hues, strict=True)]
    style = _STYLE + "".join(looks)
    legend_rows = -(-min(len(names), _NAMED) // 4)
    top = 74.0 + 20 * legend_rows + 26
    lanes_top = top + BYTES_HEIGHT + GAP
    rates_top = lanes_top + lanes_height(story) + GAP
    height = rates_top + RATES_HEIGHT + 40
    picture = Picture(WIDTH, height, title=f"{_file_name(story)}: who fetched what when", style=style, defs=_DEFS)
    _heading(picture, story)
    _legend(picture, story, names)
    seconds = max(story.end - story.start, 1e-6)
    x = Scale(0.0, seconds, LEFT, WIDTH - RIGHT)
    frame = Frame(picture, story, x, names, tuple(time_marks(seconds, 12)), LEFT, WIDTH - RIGHT)
    bytes_panel(frame, top, BYTES_HEIGHT)
    lanes_panel(frame, lanes_top)
    rates_panel(frame, rates_top, RATES_HEIGHT)
    return str(picture)


def labels(story: Story) -> dict[int, str]:
    """A short name for each source: the host where that tells them apart, else more of the URL."""
    whole = {number: shown_url(each.name).partition("://")[2] or each.name for number, each in story.sources.items()}
    hosts = Counter(name.partition("/")[0] for name in whole.values())
    short = {n: host if hosts[host := name.partition("/")[0]] == 1 else name for n, name in whole.items()}
    return {number: _cut(name, _LONGEST_NAME) for number, name in short.items()}


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-(most // 2 - 1) :]}"


def _file_name(story: Story) -> str:
    path = shown_url(story.name).partition("?")[0].rstrip("/")
    return _cut(path.rpartition("/")[2] or path or "a download", 80)


def _heading(picture: Picture, story: Story) -> None:
    seconds = story.end - story.start
    got = sum(source.bytes for source in story.sources.values())
    lanes = story.most_open
    how = "" if story.completed is not None else " · not completed"
    missing = max(0, story.size - story.there.total)
    told = f"{size(min(got, missing))} of {size(story.size)} in {duration(seconds)}"
    again = f" · {size(got - missing)} fetched again" if got > missing else ""
    speed = f" · {rate(got / seconds)}" if seconds > 0 else ""
    taken = sum(source.won_bytes for source in story.sources.values())
    stolen = f" · {size(taken)} taken over from other sources" if taken else ""
    used = sum(1 for source in story.sources.values() if source.bytes)
    picture.text("title", 24, 34, _file_name(story))
    of = f" of {len(story.sources)}" if used < len(story.sources) else ""
    picture.text("sub", 24, 56, f"{told}{speed} · {used}{of} sources, {lanes} connections at most{stolen}{again}{how}")


def _legend(picture: Picture, story: Story, names: dict[int, str]) -> None:
    got = sum(source.bytes for source in story.sources.values()) or 1
    for place, (number, name) in enumerate([*names.items()][:_NAMED]):
        x, y = 24 + (place % 4) * 310, 82 + (place // 4) * 20
        picture.box(f"s{number}", x, y - 10, 12, 12)
        picture.text("", x + 18, y, f"{name} · {story.sources[number].bytes / got:.0%}")
    if len(names) > _NAMED:
        picture.text("small right", WIDTH - RIGHT, 56, f"the first {_NAMED} of {len(names)} sources are named here")


def _looks(number: int, hue: str) -> str:
    """The CSS of a source: ``s`` in full, ``l`` as a line, ``g`` for what it brought, ``h`` for what it holds."""
    got, held = _mixed(hue, _GOT), _mixed(hue, _HELD)
    return f".s{number}{{fill:{hue}}}.l{number}{{stroke:{hue}}}.g{number}{{fill:{got}}}.h{number}{{fill:{held}}}\n"


def _mixed(hue: str, share: float) -> str:
    """The hue on white."""
    parts = (int(hue[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{round(255 + (part - 255) * share):02x}" for part in parts)


def _hues(count: int) -> list[str]:
    """As many hues as there are sources; beyond the chosen ones, around the wheel in golden steps."""
    hues = list(_HUES[:count])
    for index in range(len(hues), count):
        red, green, blue = colorsys.hls_to_rgb((0.11 + index * 0.618034) % 1.0, 0.42 + 0.08 * (index % 3), 0.55)
        hues.append(f"#{int(red * 255):02x}{int(green * 255):02x}{int(blue * 255):02x}")
    return hues
