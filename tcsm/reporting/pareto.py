"""Pareto fronts: cost against quality, a point a variant, and the line of nondominated ones.

Less cost is better, and less of a quality, unless its axis says more. A variant is dominated if
another is no worse in both and better in one.
"""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tcsm.reporting.figures import STYLE, Axis, canvas, colors_of, label
from tcsm.statistics import over_seeds

MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
WIDE = 18  # letters of a name that fit into three columns of a legend


def pareto(
    frame: pd.DataFrame, cost: Axis, quality: Axis, color: str = "variant", shape: str = "variant"
) -> Figure:
    """Draw every variant's mean with the 95 % interval of its quality, and the front as a line.

    A variant with a run without quality is left out. ``color`` and ``shape`` are the columns that
    colors and marks distinguish.
    """
    points = means(frame, cost.key, quality.key, [color, shape])
    best = nondominated(points, cost.key, quality.key, quality.more)
    colors = colors_of(list(pd.unique(frame[color])))
    marks = dict(zip(pd.unique(frame[shape]), MARKS * len(frame), strict=False))
    with mpl.rc_context(STYLE):
        figure, axes = canvas(4.0)
        axes.plot(best[cost.key], best[quality.key], color="#8a8f98", lw=1.2, zorder=1)
        for point in points.to_dict("records"):
            strong = point["variant"] in set(best["variant"])
            x, tint, mark = point[cost.key], colors[point[color]], marks[point[shape]]
            if not math.isnan(point["low"]):
                axes.plot([x, x], [point["low"], point["high"]], color=tint, alpha=0.3, lw=2.5)
            size, alpha = (8, 1.0) if strong else (6, 0.45)
            look: dict[str, Any] = {"ms": size, "alpha": alpha, "mec": "white", "zorder": 3}
            axes.plot(x, point[quality.key], color=tint, marker=mark, **look)
        label(axes, cost, quality)
        same = color == shape  # one legend then
        entries = [(name, colors[name], marks[name] if same else "o") for name in colors]
        entries += [] if same else [(name, "#555b66", mark) for name, mark in marks.items()]
        handles = [
            Line2D([], [], color=tint, marker=mark, ls="", ms=6, label=str(name))
            for name, tint, mark in entries
        ]
        n = 3 if all(len(str(name)) <= WIDE for name, *_ in entries) else 2
        figure.legend(handles=handles, loc="outside lower center", ncols=n, handletextpad=0.1)
    return figure


def means(frame: pd.DataFrame, cost: str, quality: str, keep: Sequence[str]) -> pd.DataFrame:
    """Return one row a variant whose every run has a quality: means, an interval, ``keep``."""
    rows = []
    for variant, runs in frame.groupby("variant", sort=False):
        if runs[quality].notna().all():
            mean = over_seeds(runs[quality])
            row = {**runs.iloc[0][list(keep)], "variant": variant, cost: float(runs[cost].mean())}
            rows.append(row | {quality: mean.value, "low": mean.low, "high": mean.high})
    columns = dict.fromkeys([*keep, "variant", cost, quality, "low", "high"])
    return pd.DataFrame(rows, columns=list(columns))


def nondominated(points: pd.DataFrame, cost: str, quality: str, more: bool) -> pd.DataFrame:
    """Return the rows that no other row dominates, from the cheapest to the best."""
    x, y = (points[key].to_numpy(dtype=float) for key in (cost, quality))
    y = -y if more else y
    no_worse = (x[:, None] <= x) & (y[:, None] <= y)
    better = (x[:, None] < x) | (y[:, None] < y)
    dominated = (no_worse & better).any(axis=0)
    return points.iloc[np.flatnonzero(~dominated)].sort_values(by=[cost], kind="stable")
