"""Heat maps: a number by two axes, each cell annotated; densities on a grid, side by side.

The colors keep their order for the color-blind and in print.
"""

import math
from collections.abc import Callable, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from tcsm.reporting import formatting
from tcsm.reporting.figures import PLAIN, STYLE, Axis, canvas, logarithmic
from tcsm.reporting.statistics import Array

COLORS = mpl.colormaps["YlGnBu"]
LOST = "#f1f0ee"  # background of a cell without a number
ACROSS = 3  # densities in a row


def heatmap(
    frame: pd.DataFrame,
    row: Axis,
    column: Axis,
    value: Axis,
    text: Callable[[float], str] = formatting.short,
) -> Figure:
    """Draw the mean of ``value`` over the runs of each cell, rows and columns as they appear.

    The mean is over finite values; a cell says how many runs have none.

    Args:
        frame: one row a run.
        row: the column of the frame that is read downwards.
        column: the column of the frame that is read to the right.
        value: the number; ``log`` makes its colors logarithmic.
        text: formats a number.
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
            written = _text(cells.get((down[y], right[x])), float(mean), text)
            shade = float(np.asarray(norm(mean)).item()) if np.isfinite(mean) else 0.0
            _write(axes, (x, y), written, shade)
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
    """Return colors from the least to the most; equal values, or none, still have one."""
    known = means[np.isfinite(means) & (means > 0)] if log else means[np.isfinite(means)]
    low, high = (float(known.min()), float(known.max())) if known.size else (1.0, 1.0)
    high = high if high > low else low + abs(low) + 1e-9
    return LogNorm(low, high, clip=True) if log else Normalize(low, high)


def _text(values: Array | None, mean: float, text: Callable[[float], str]) -> str:
    if values is None:
        return ""
    lost = int((~np.isfinite(values)).sum())
    if math.isnan(mean):
        return "lost"
    return text(mean) + (f"\n{lost}/{values.size} lost" if lost else "")


def _write(axes: Axes, place: tuple[int, int], text: str, shade: float) -> None:
    axes.text(
        place[0] + 0.5,
        place[1] + 0.5,
        text,
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


def densities(pictures: Sequence[tuple[str, Array]]) -> Figure:
    """Draw a panel a density, each on its own scale from 0 to its most likely cell."""
    down = -(-len(pictures) // ACROSS)
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(4.6, 1.75 * down), layout="constrained")
        panels = figure.subplots(down, ACROSS, squeeze=False).ravel()
        for axes in panels:
            axes.set_axis_off()
        for axes, (name, density) in zip(panels, pictures, strict=False):
            shown = np.asarray(density, dtype=float).T  # first coordinate right, second up
            axes.imshow(shown, cmap=COLORS, origin="lower", interpolation="nearest")
            axes.set_title(name, size=9)
    return figure
