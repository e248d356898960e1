"""Heat maps: a number by two axes, each cell annotated; densities on a grid, side by side.

The colors keep their order for the color-blind and in print.
"""

import math
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from tcsm import formatting
from tcsm.reporting.figures import PLAIN, STYLE, Axis, canvas, logarithmic
from tcsm.statistics import Array

COLORS = mpl.colormaps["YlGnBu"]
LOST = "#f1f0ee"  # background of a cell without a number
DARK = 0.675  # of the colors: from here on, text is white
BAR: dict[str, Any] = {"location": "bottom", "shrink": 0.75, "aspect": 32, "pad": 0.03}
ACROSS = 3  # densities in a row


def heatmap(frame: pd.DataFrame, row: Axis, column: Axis, value: Axis) -> Figure:
    """Draw the mean of ``value`` over the runs of each cell, rows and columns as they appear.

    The mean is over finite values; a cell says how many runs have none. ``value.log`` makes the
    colors logarithmic.
    """
    down, right = (list(pd.unique(frame[axis.key])) for axis in (row, column))
    finite = frame[value.key].where(np.isfinite(frame[value.key]))
    groups = finite.groupby([frame[row.key], frame[column.key]], sort=False)
    cells = groups.agg(["mean", "count", "size"])
    means = cells["mean"].unstack().reindex(index=down, columns=right).to_numpy(dtype=float)
    norm = _norm(means, value.log)
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure, axes = canvas(1.5 + 0.42 * len(down))
        axes.set_facecolor(LOST)
        axes.pcolormesh(means, cmap=COLORS, norm=norm, edgecolor="white", linewidth=2)
        for (name, other), cell in zip(cells.index, cells.to_dict("records"), strict=True):
            x, y = right.index(other) + 0.5, down.index(name) + 0.5
            look = "#fafafa" if cell["count"] and norm(cell["mean"]) > DARK else "#111111"
            axes.text(x, y, _text(cell), fontsize=8, ha="center", va="center", color=look)
        axes.set(xlabel=column.label, ylabel=row.label)
        axes.set_xticks(np.arange(len(right)) + 0.5, map(str, right))
        axes.set_yticks(np.arange(len(down)) + 0.5, map(str, down))
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.invert_yaxis()
        bar = figure.colorbar(ScalarMappable(norm, COLORS), ax=axes, format=PLAIN, **BAR)
        bar.set_label(value.label)
        bar.outline.set_visible(False)
        if value.log:
            logarithmic(bar.ax.xaxis)
    return figure


def densities(frame: pd.DataFrame, title: str, first: Mapping[str, str]) -> Figure:
    """Draw the densities ``pictures`` of the least seed, each on its own scale.

    Before each run's ``found`` under its ``title`` come those of the first run in ``first``.
    """
    runs = frame[frame["seed"] == frame["seed"].min()]
    panels = [(name, runs["pictures"].iloc[0][key]) for key, name in first.items()]
    panels += [(run[title], run["pictures"]["found"]) for run in runs.to_dict("records")]
    down = math.ceil(len(panels) / ACROSS)
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(4.6, 1.75 * down), layout="constrained")
        places = figure.subplots(down, ACROSS, squeeze=False).ravel()
        for axes in places:
            axes.set_axis_off()
        for axes, (name, density) in zip(places, panels, strict=False):
            shown = np.asarray(density["rows"], dtype=float).T  # first coordinate right, second up
            axes.imshow(shown, cmap=COLORS, origin="lower", interpolation="nearest")
            axes.set_title(name, size=9)
    return figure


def _norm(means: Array, log: bool) -> Normalize:
    """Return colors from the least to the most; equal values, or none, still have one."""
    known = means[np.isfinite(means) & (means > 0)] if log else means[np.isfinite(means)]
    low, high = (float(known.min()), float(known.max())) if known.size else (1.0, 1.0)
    high = high if high > low else low + abs(low) + 1e-9
    return LogNorm(low, high, clip=True) if log else Normalize(low, high)


def _text(cell: Mapping[Any, Any]) -> str:
    lost = int(cell["size"] - cell["count"])
    note = f"\n{lost}/{int(cell['size'])} lost" if lost else ""
    return formatting.short(cell["mean"]) + note if cell["count"] else "lost"
