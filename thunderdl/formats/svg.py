"""A picture as SVG text, one element after the other. Pure; it knows shapes and escaping, nothing of what is drawn.

Invariant: whatever texts it is given, the result is well-formed XML 1.0 without a script, a link or a reference to
anything outside of itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from thunderdl.errors import printable

Point = tuple[float, float]

# With control characters and surrogates, what XML 1.0 has no way to write, not even escaped (section 2.2).
_NO_XML = re.compile("[\ufffe\uffff]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


def escaped(text: str) -> str:
    """The text for use between tags or in a quoted attribute."""
    return re.sub('[&<>"]', lambda found: _ESCAPES[found[0]], _NO_XML.sub("\ufffd", printable(text)))


def number(value: float) -> str:
    """A tenth of a pixel is enough: ``12``, ``12.5``."""
    return f"{value:.1f}".removesuffix(".0")


def path(points: Iterable[Point], *, closed: bool = False) -> str:
    """The ``d`` of a path through the points; those that lie on each other after rounding are joined."""
    told: list[str] = []
    for x, y in points:
        if (point := f"{number(x)} {number(y)}") not in told[-1:]:
            told.append(point)
    return "M" + "L".join(told) + ("Z" if closed else "")


class Picture:
    """``style``: CSS for its classes; ``defs``: patterns, as SVG. What comes later is drawn above what came before."""

    def __init__(self, width: float, height: float, *, title: str, style: str, defs: str = "") -> None:
        self._head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{number(width)}" height="{number(height)}" '
            f'viewBox="0 0 {number(width)} {number(height)}" role="img">\n<title>{escaped(title)}</title>\n'
            f'<style>{style}</style>\n<defs>{defs}</defs>\n<rect width="100%" height="100%" fill="#fff"/>\n'
        )
        self._parts: list[str] = []

    def shape(self, kind: str, look: str, *, hint: str = "", **values: float | str) -> None:
        """An element ``kind`` of the class ``look``; ``hint``: what a pointer over it shows."""
        told = [f'{name}="{escaped(v) if isinstance(v, str) else number(v)}"' for name, v in values.items()]
        attributes = " ".join([f'class="{look}"', *told])
        end = f"><title>{escaped(hint)}</title></{kind}>" if hint else "/>"
        self._parts.append(f"<{kind} {attributes}{end}")

    def line(self, look: str, start: Point, end: Point) -> None:
        self.shape("line", look, x1=start[0], y1=start[1], x2=end[0], y2=end[1])

    def box(self, look: str, x: float, y: float, width: float, height: float, *, hint: str = "") -> None:
        self.shape("rect", look, x=x, y=y, width=max(width, 0.0), height=max(height, 0.0), hint=hint)

    def text(self, look: str, x: float, y: float, text: str, *, hint: str = "") -> None:
        title = f"<title>{escaped(hint)}</title>" if hint else ""
        self._parts.append(f'<text class="{look}" x="{number(x)}" y="{number(y)}">{title}{escaped(text)}</text>')

    def __str__(self) -> str:
        return self._head + "\n".join(self._parts) + "\n</svg>\n"
