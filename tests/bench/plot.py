"""The picture of the table: wall time of each tool, one panel a row."""

from __future__ import annotations

import os
from pathlib import Path

from tests.bench.report import Findings

_OURS, _LIMIT, _PEER = "#d1495b", "#8d99ae", "#30638e"


def save_plot(found: Findings, path: Path) -> None:
    """Write a PNG. matplotlib is imported here, so that it does not add to the memory measured before."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    from matplotlib import pyplot

    rows = [(row, [o for o in outcomes if o.cost]) for row, outcomes in found.rows]
    rows = [(row, outcomes) for row, outcomes in rows if len(outcomes) > 1]
    if not rows:
        return
    heights = [len(outcomes) + 1.5 for _, outcomes in rows]
    figure, axes = pyplot.subplots(
        len(rows), 1, figsize=(8, 0.32 * sum(heights)), height_ratios=heights, squeeze=False, layout="constrained"
    )
    for axis, (row, outcomes) in zip(axes[:, 0], rows, strict=True):
        walls = [outcome.cost.wall_s for outcome in outcomes if outcome.cost]
        names = [outcome.tool for outcome in outcomes]
        colours = [{"thunderdl": _OURS, "bare": _LIMIT}.get(name, _PEER) for name in names]
        bars = axis.barh(names, walls, color=colours)
        axis.bar_label(bars, labels=[f"{wall:.2f}" for wall in walls], padding=3, fontsize=8)
        axis.invert_yaxis()
        axis.margins(x=0.12)
        axis.set_title(f"{row.title} (seconds)", fontsize=9, loc="left")
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
