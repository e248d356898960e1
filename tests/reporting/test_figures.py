import re
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from tcsm.reporting.figures import (
    PALETTE,
    Axis,
    by_variant,
    canvas,
    draw,
    inline,
    label,
    lines,
    save,
    spoken,
)
from tcsm.reporting.heatmaps import heatmap

ORDER = ["First <one>", "$econd$", "Third"]
FRAME = pd.DataFrame(
    [
        {"variant": name, "seed": seed, "calls": calls, "bits": 2 + place + 0.1 * seed + 1 / calls}
        for place, name in enumerate(ORDER)
        for seed in range(3)
        for calls in (8, 32, 128)
    ]
)
X, Y = Axis("calls", "network calls", log=True), Axis("bits", "bits per token")


def drawn() -> Figure:
    return lines(FRAME, X, Y, ORDER)


@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_equal_figures_leave_equal_bytes(tmp_path: Path, suffix: str):
    for folder in ("a", "b"):
        save(drawn(), tmp_path / folder, "toy")
    first, second = ((tmp_path / folder / f"toy.{suffix}").read_bytes() for folder in "ab")
    assert first == second
    assert b"CreationDate" not in first


def test_letters_stay_text_and_are_escaped(tmp_path: Path):
    svg = save(drawn(), tmp_path, "toy").read_text()
    assert "First &lt;one&gt;" in svg
    assert "$econd$" in svg
    assert "mathdefault" not in svg


def test_an_inline_figure_reaches_for_nothing(tmp_path: Path):
    svg = inline(save(drawn(), tmp_path, "toy").read_text(), "toy")
    assert svg.startswith("<svg")
    assert "<metadata" not in svg
    assert not re.search(r'<svg[^>]* (width|height)="', svg)
    identifiers = re.findall(r' id="([^"]+)"', svg)
    assert all(name.startswith("toy-") for name in identifiers)
    used = re.findall(r'href="#([^"]+)"', svg) + re.findall(r"url\(#([^)]+)\)", svg)
    assert set(used) <= set(identifiers)


def test_a_line_is_the_mean_over_seeds_in_its_arm_s_color():
    figure = lines(FRAME[FRAME["variant"] != ORDER[0]], X, Y, ORDER)
    line = figure.axes[0].lines[0]
    assert line.get_color() == PALETTE[1]
    assert line.get_ydata().tolist() == pytest.approx([3.1 + 1 / calls for calls in (8, 32, 128)])


def test_every_seed_is_a_point():
    figure = by_variant(FRAME[FRAME["calls"] == 8], Y, ORDER)
    points = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in points] == [3, 3, 3]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ORDER


def test_a_figure_is_said_in_words():
    output = spoken(draw(lines, FRAME.to_dict("records"), X, Y, ORDER))
    assert output.endswith(": First <one> 2.11; $econd$ 3.11; Third 4.11")
    by = (Axis("variant", "v"), Axis("calls", "calls"), Y)
    output = spoken(draw(heatmap, FRAME.to_dict("records"), *by))
    assert output.count(";") == 8
    assert "First <one>, 128 2.11; First <one>, 32 2.13" in output


def test_one_seed_is_a_point_without_interval():
    rows = FRAME[(FRAME["calls"] == 8) & (FRAME["seed"] == 0)]
    assert isinstance(by_variant(rows, Y, ORDER), Figure)


@pytest.mark.parametrize(
    ("low", "high", "named"),
    [
        (2.1, 4.9, ["3", "4"]),  # no power of ten at all
        (0.15, 0.45, ["0.2", "0.3", "0.4"]),
        (0.5, 2000.0, []),  # powers of ten are enough
    ],
)
def test_a_logarithmic_axis_has_numbers(low, high, named):
    figure, axes = canvas(3.0)
    axes.plot([1, 2], [low, high])
    label(axes, Axis("x", "x"), Axis("y", "y", log=True))
    axes.set_ylim(low, high)
    figure.draw_without_rendering()
    places = axes.yaxis.get_minorticklocs()
    words = axes.yaxis.get_minor_formatter().format_ticks(places)
    seen = [w for w, place in zip(words, places, strict=True) if w and low <= place <= high]
    assert seen == named
