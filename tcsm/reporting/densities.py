"""Pictures of laws on a grid, side by side, each on its own scale from 0 to its likeliest cell."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from tcsm.reporting.figures import STYLE
from tcsm.reporting.statistics import Array

COLORS = mpl.colormaps["YlGnBu"]
ACROSS = 3


def densities(pictures: Sequence[tuple[str, Array]]) -> Figure:
    """A panel a law; the first coordinate runs to the right, the second upwards."""
    down = -(-len(pictures) // ACROSS)
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(4.6, 1.75 * down), layout="constrained")
        panels = figure.subplots(down, ACROSS, squeeze=False).ravel()
        for axes in panels:
            axes.set_axis_off()
        for axes, (name, law) in zip(panels, pictures, strict=False):
            shown = np.asarray(law, dtype=float).T
            axes.imshow(shown, cmap=COLORS, origin="lower", interpolation="nearest")
            axes.set_title(name, size=9)
    return figure
