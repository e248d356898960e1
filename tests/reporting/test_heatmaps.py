import math

import pandas as pd
import pytest
from matplotlib.colors import LogNorm

from tcsm.reporting.figures import Axis
from tcsm.reporting.heatmaps import COLORS, heatmap

FRAME = pd.DataFrame(
    {
        "rule": ["KL", "KL", "IS", "IS", "IS", "BCE", "BCE"],
        "k": ["k=2", "k=1", "k=1", "k=1", "k=1", "k=1", "k=2"],
        "kl": [0.1, 0.4, 0.2, math.nan, 0.4, math.nan, 0.0001],
    }
)
AXES = (Axis("rule", "rule"), Axis("k", "neighborhood"))


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_a_cell_says_its_mean_and_its_losses_in_the_order_of_the_frame():
    figure = heatmap(FRAME, *AXES, Axis("kl", "nats"))
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["k=2", "k=1"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["KL", "IS", "BCE"]
    assert words(figure) == ["0.10", "0.40", "0.30\n1/3 lost", "lost", "0.00010"]
    assert axes.yaxis_inverted()


def test_colors_run_from_the_least_to_the_most():
    mesh = heatmap(FRAME, *AXES, Axis("kl", "nats", log=True)).axes[0].collections[0]
    assert isinstance(mesh.norm, LogNorm)
    assert (mesh.norm.vmin, mesh.norm.vmax) == pytest.approx((1e-4, 0.4))


@pytest.mark.parametrize(
    ("low", "high", "named"), [(0.15, 0.45, ["0.2", "0.3", "0.4"]), (0.001, 10.0, [])]
)
def test_the_scale_of_colors_has_numbers(low, high, named):
    frame = pd.DataFrame({"rule": ["KL", "IS"], "k": ["k=1"] * 2, "kl": [low, high]})
    figure = heatmap(frame, *AXES, Axis("kl", "nats", log=True))
    figure.draw_without_rendering()
    axis = figure.axes[1].xaxis
    places = axis.get_minorticklocs()
    output = zip(axis.get_minor_formatter().format_ticks(places), places, strict=True)
    assert [word for word, place in output if word and low <= place <= high] == named


def test_words_stand_out_from_their_cell():
    """Contrast (WCAG) of at least 4.5 in every cell, whatever its color."""
    steps = pd.DataFrame({"rule": range(30), "k": "k=1", "kl": [i / 29 for i in range(30)]})
    for share, text in enumerate(heatmap(steps, *AXES, Axis("kl", "nats")).axes[0].texts):
        letters = {"#fafafa": 0.956, "#111111": 0.006}[text.get_color()]
        ground = luminance([255 * part for part in COLORS(share / 29)[:3]])
        low, high = sorted([letters, ground])
        assert (high + 0.05) / (low + 0.05) > 4.5, share


def luminance(color) -> float:
    parts = [part / 255 for part in color]
    red, green, blue = (p / 12.92 if p < 0.04 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("value", [math.nan, 0.5])
@pytest.mark.parametrize("log", [False, True])
def test_one_cell_or_no_number_is_drawn_all_the_same(value, log):
    frame = pd.DataFrame({"rule": ["KL"], "k": ["k=1"], "kl": [value]})
    figure = heatmap(frame, *AXES, Axis("kl", "nats", log))
    assert words(figure) == ["lost" if math.isnan(value) else "0.50"]
