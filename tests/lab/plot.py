"""The picture of the table: for each scenario a row, for each tool a point at time / ideal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.race import MOST_IDEALS
from tests.lab.report import MIRROR_AIMS, Aims, Result
from tests.lab.tools import OURS, RACERS, Racer

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

_STYLES = {
    OURS: ("#d1495b", "D", 46),
    "aria2c": ("#30638e", "o", 28),
    "aria2c -s16 -x4 -k1M": ("#7ea6c8", "s", 26),
    "aria2-next": ("#2e8b57", "^", 32),
    "axel -n8": ("#9a8c98", "v", 30),
    "libtorrent": ("#b08968", "P", 34),
    "libtorrent + web seeds": ("#e9a03b", "X", 34),
}
_PARTED = 0.14
"""Rows apart so much, so that tools of one time do not hide each other."""


_LEAST = 0.94


def _spread(of_ideal: NDArray[float64]) -> NDArray[float64]:
    import numpy

    return numpy.log(numpy.maximum(of_ideal - _LEAST, 0.001))


def _gathered(spread: NDArray[float64]) -> NDArray[float64]:
    import numpy

    return numpy.exp(spread) + _LEAST


def save_plot(
    results: Sequence[Result], path: Path, racers: Sequence[Racer] = RACERS, aims: Aims = MIRROR_AIMS
) -> None:  # fmt: skip
    """Write a PNG."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    from matplotlib import pyplot, ticker

    figure, axis = pyplot.subplots(figsize=(9, 1.6 + 0.46 * len(results)), layout="constrained")
    for index, racer in enumerate(racers):
        colour, marker, area = _STYLES[racer.name]
        points = [
            point
            for row, result in enumerate(results)
            for point in _points(result, racer.name, row, index - (len(racers) - 1) / 2)
        ]
        done = [(x, y) for x, y, late in points if not late]
        late = [(x, y) for x, y, late in points if late]
        axis.scatter([x for x, _ in done], [y for _, y in done], s=area, c=colour, marker=marker, label=racer.name,
                     zorder=4 if racer.name == OURS else 3)  # fmt: skip
        axis.scatter(
            [x for x, _ in late], [y for _, y in late], s=4 * area, c=colour, marker=r"$\rightarrow$", zorder=3
        )
    # Logarithmic in what is lost: 1.03 and 1.06 are as far apart as 1.5 and 2.
    axis.set_xscale("function", functions=(_spread, _gathered))
    axis.set_xlim(0.97, MOST_IDEALS * 1.25)
    axis.xaxis.set_major_locator(ticker.FixedLocator([1, 1.03, 1.06, 1.12, 1.25, 1.5, 2, 3, 5, MOST_IDEALS]))
    axis.xaxis.set_major_formatter(ticker.FuncFormatter(lambda x, _: "> 12" if x == MOST_IDEALS else f"{x:g}"))
    axis.xaxis.set_minor_locator(ticker.NullLocator())
    axis.axvline(1, color="black", linewidth=0.8)
    for target, style in ((aims.steady, "--"), (aims.fault, ":")):
        axis.axvline(target, color=_STYLES[OURS][0], linewidth=0.8, linestyle=style)
    axis.set_yticks(range(len(results)), [result.scenario.name for result in results], fontsize=8)
    for row in range(0, len(results), 2):
        axis.axhspan(row - 0.5, row + 0.5, color="#f3f3f0", zorder=0)
    axis.set_ylim(len(results) - 0.5, -0.5)
    axis.set_xlabel(
        f"time / ideal, medians (lines: targets; arrow: ended after {MOST_IDEALS}; no mark: failed or cannot)",
        fontsize=8,
    )
    axis.tick_params(axis="x", labelsize=8)
    axis.grid(axis="x", linewidth=0.4, color="#cccccc")
    axis.spines[["top", "right", "left"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=len(racers), fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _points(result: Result, name: str, row: int, place: float) -> list[tuple[float, float, bool]]:
    y = row + place * _PARTED
    if any(run.is_late for run in result.runs.get(name, [])):
        return [(float(MOST_IDEALS), y, True)]
    of_ideal = result.of_ideal(name)
    return [(of_ideal, y, False)] if of_ideal is not None else []
