"""Heat maps: a number by two axes, each cell annotated, light where it is low.

The colors keep their order for the color-blind and in print, and the words in the cells need no
color at all.
"""

import math
from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from tcsm.reporting import wording
from tcsm.reporting.figures import STYLE, Axis, canvas
from tcsm.reporting.statistics import Array
from tcsm.reporting.ticks import PLAIN, logarithmic

COLORS = mpl.colormaps["YlGnBu"]
LOST = "#f1f0ee"  # the ground of a cell without a number


def heatmap(
    frame: pd.DataFrame,
    row: Axis,
    column: Axis,
    value: Axis,
    say: Callable[[float], str] = wording.short,
) -> Figure:
    """The mean of ``value`` over the runs of each cell, rows and columns as they first appear.

    A run whose value is not a number is no part of the mean; the cell says how many were lost.

    Args:
        frame: one row a run.
        row: the column of the frame that is read downwards.
        column: the column of the frame that is read to the right.
        value: the number; ``log`` makes its colors logarithmic.
        say: the words for a number.
    """
    down, right = (list(pd.unique(frame[axis.key])) for axis in (row, column))
    groups = frame.groupby([row.key, column.key], sort=False)[value.key]
    cells = {place: np.asarray(group, dtype=float) for place, group in groups}
    means = np.array([[_mean(cells.get((r, c), np.empty(0))) for c in right] for r in down])
    norm = _norm(means, value.log)
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure, axes = canvas(1.5 + 0.42 * len(down))
        axes.set_facecolor(LOST)
        axes.pcolormesh(means, cmap=COLORS, norm=norm, edgecolor="white", linewidth=2)
        for (y, x), mean in np.ndenumerate(means):
            words = _words(cells.get((down[y], right[x])), float(mean), say)
            shade = float(np.asarray(norm(mean)).item()) if np.isfinite(mean) else 0.0
            _write(axes, (x, y), words, shade)
        axes.set(xlabel=column.label, ylabel=row.label)
        axes.set_xticks(np.arange(len(right)) + 0.5, [str(name) for name in right])
        axes.set_yticks(np.arange(len(down)) + 0.5, [str(name) for name in down])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.invert_yaxis()
        _scale(figure, axes, ScalarMappable(norm, COLORS), value)
    return figure


def _mean(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else math.nan


def _norm(means: Array, log: bool) -> Normalize:
    """Colors from the least to the most; equal values, or none, still have a color."""
    known = means[np.isfinite(means) & (means > 0)] if log else means[np.isfinite(means)]
    low, high = (float(known.min()), float(known.max())) if known.size else (1.0, 1.0)
    high = high if high > low else low + abs(low) + 1e-9
    return LogNorm(low, high, clip=True) if log else Normalize(low, high)


def _words(values: Array | None, mean: float, say: Callable[[float], str]) -> str:
    if values is None:
        return ""
    lost = int((~np.isfinite(values)).sum())
    if math.isnan(mean):
        return "lost"
    return say(mean) + (f"\n{lost}/{values.size} lost" if lost else "")


def _write(axes: Axes, place: tuple[int, int], words: str, shade: float) -> None:
    axes.text(
        place[0] + 0.5,
        place[1] + 0.5,
        words,
        ha="center",
        va="center",
        fontsize=8,
        color="white" if shade > 0.675 else "black",
    )


def _scale(figure: Figure, axes: Axes, colors: ScalarMappable, value: Axis) -> None:
    bar = figure.colorbar(colors, ax=axes, location="bottom", shrink=0.75, aspect=32, pad=0.03)
    bar.set_label(value.label)
    bar.outline.set_visible(False)
    bar.ax.xaxis.set_major_formatter(PLAIN)
    if value.log:
        logarithmic(bar.ax.xaxis)
