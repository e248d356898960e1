"""Pareto fronts: cost against quality, a point a variant, and the line of nondominated ones.

Less is better on both axes. A variant is dominated if another is no worse in both and better in
one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tcsm.reporting.figures import STYLE, Axis, canvas, colors_of, label
from tcsm.reporting.statistics import over_seeds

MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
WIDE = 18  # letters of a name that fit into three columns of a legend


def pareto(
    frame: pd.DataFrame, cost: Axis, quality: Axis, color: str = "arm", shape: str = "arm"
) -> Figure:
    """Draw every variant's mean with the 95 % interval of its quality, and the front as a line.

    Variants with a run without quality are left out.

    Args:
        frame: one row a run, with the column ``arm``.
        cost: the column to the right.
        quality: the column upwards; less is better.
        color: the column that colors distinguish.
        shape: the column that marks distinguish.
    """
    points = means(frame, cost.key, quality.key, [color, shape])
    best = nondominated(points, cost.key, quality.key)
    colors = colors_of(list(pd.unique(frame[color])))
    marks = dict(zip(pd.unique(frame[shape]), MARKS * len(frame), strict=False))
    with mpl.rc_context(STYLE):
        figure, axes = canvas(4.0)
        axes.plot(best[cost.key], best[quality.key], color="#8a8f98", lw=1.2, zorder=1)
        for _, point in points.iterrows():
            strong = point["arm"] in set(best["arm"])
            look = {"color": colors[point[color]], "marker": marks[point[shape]]}
            _point(axes, (point[cost.key], point[quality.key]), point, look, strong)
        label(axes, cost, quality)
        _legend(figure, colors, marks, color == shape)
    return figure


def means(frame: pd.DataFrame, cost: str, quality: str, keep: Sequence[str]) -> pd.DataFrame:
    """Return one row an arm whose every run has a quality: both means, the interval, ``keep``."""
    rows = []
    for arm, runs in frame.groupby("arm", sort=False):
        if runs[quality].notna().all():
            mean = over_seeds(runs[quality].to_numpy(dtype=float))
            row = {key: runs[key].iloc[0] for key in keep} | {"arm": arm}
            row |= {cost: float(runs[cost].mean()), quality: mean.value}
            rows.append(row | {"low": mean.low, "high": mean.high})
    columns = dict.fromkeys([*keep, "arm", cost, quality, "low", "high"])
    return pd.DataFrame(rows, columns=list(columns))


def nondominated(points: pd.DataFrame, cost: str, quality: str) -> pd.DataFrame:
    """Return the rows that no other row dominates, from the cheapest to the best."""
    x, y = points[cost].to_numpy(dtype=float), points[quality].to_numpy(dtype=float)
    no_worse = (x[:, None] <= x) & (y[:, None] <= y)
    better = (x[:, None] < x) | (y[:, None] < y)
    dominated = (no_worse & better).any(axis=0)
    return points.iloc[np.flatnonzero(~dominated)].sort_values(by=[cost], kind="stable")


def _point(
    axes: Axes,
    place: tuple[float, float],
    mean: pd.Series,
    look: Mapping[str, Any],
    strong: bool,
) -> None:
    x, y = place
    alpha = 1.0 if strong else 0.45
    if np.isfinite(mean["low"]):
        axes.plot([x, x], [mean["low"], mean["high"]], color=look["color"], alpha=0.3, lw=2.5)
    axes.plot(x, y, **look, alpha=alpha, ms=8 if strong else 6, mec="white", zorder=3)


def _legend(
    figure: Figure, colors: Mapping[str, str], marks: Mapping[str, str], same: bool
) -> None:
    """Add colors, then marks; or both in one where they distinguish the same."""
    entries = [(name, colors[name], marks[name] if same else "o") for name in colors]
    entries += [] if same else [(name, "#555b66", mark) for name, mark in marks.items()]
    handles = [
        Line2D([], [], color=color, marker=mark, ls="", ms=6, label=str(name))
        for name, color, mark in entries
    ]
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = 3 if longest <= WIDE else 2
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, handletextpad=0.1)
