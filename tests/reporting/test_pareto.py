import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcsm.reporting.figures import PALETTE, Axis
from tcsm.reporting.pareto import means, nondominated, pareto

COST, QUALITY = Axis("cost", "CPU-seconds"), Axis("kl", "nats", log=True)
FRAME = pd.DataFrame(
    {
        "variant": ["A", "A", "B", "B", "C", "C", "D", "D"],
        "rule": ["KL", "KL", "KL", "KL", "IS", "IS", "IS", "IS"],
        "cost": [1.0, 3.0, 4.0, 4.0, 5.0, 5.0, 6.0, 6.0],
        "kl": [0.5, 0.3, 0.6, 0.6, 0.1, 0.1, 0.01, math.nan],
    }
)
places = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12)


@given(places=places)
def test_the_front_by_its_definition(places):
    points = pd.DataFrame(places, columns=["cost", "kl"])
    kept = [
        one
        for one in places
        if not any(a <= one[0] and b <= one[1] and (a, b) != one for a, b in places)
    ]
    actual = nondominated(points, "cost", "kl", more=False)
    assert sorted(map(tuple, actual.to_numpy())) == sorted(kept)
    assert actual["cost"].is_monotonic_increasing
    assert actual["kl"].is_monotonic_decreasing
    gains = nondominated(points.assign(kl=-points["kl"]), "cost", "kl", more=True)
    assert gains.index.tolist() == actual.index.tolist()


def test_an_arm_that_lost_a_run_is_left_out():
    rows = means(FRAME, "cost", "kl", ["rule"])
    assert rows["variant"].tolist() == ["A", "B", "C"]
    assert rows[["cost", "kl"]].to_numpy().tolist() == [[2.0, 0.4], [4.0, 0.6], [5.0, 0.1]]
    assert rows["high"].iloc[0] == pytest.approx(0.4 + 12.7062 * 0.1, rel=1e-4)


def test_the_line_joins_the_arms_that_none_surpasses():
    figure = pareto(FRAME, COST, QUALITY, color="rule")
    line = figure.axes[0].lines[0]
    assert line.get_xdata().tolist() == [2.0, 5.0]
    assert line.get_ydata().tolist() == pytest.approx([0.4, 0.1])
    points = [line for line in figure.axes[0].lines if line.get_marker() not in ("None", None)]
    assert [point.get_color() for point in points] == [PALETTE[0], PALETTE[0], PALETTE[1]]
    assert [point.get_alpha() for point in points] == [1.0, 0.45, 1.0]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["KL", "IS", "A", "B", "C", "D"]


def test_without_a_number_the_figure_is_empty():
    assert len(pareto(FRAME[FRAME["variant"] == "D"], COST, QUALITY).axes[0].lines) == 1
