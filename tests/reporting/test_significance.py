import math

import pytest

from tcsm.reporting import statistics, tables
from tcsm.reporting.statistics import (
    HIGHER,
    LOWER,
    MET,
    MISSED,
    NONE,
    OPEN,
    UNKNOWN,
    Estimate,
)


def between(low: float, high: float) -> Estimate:
    return Estimate((low + high) / 2, 0.1, low, high, 3)


@pytest.mark.parametrize(
    ("low", "high", "side"),
    [
        (0.01, 0.02, HIGHER),
        (-0.02, -0.01, LOWER),
        (-0.01, 0.02, NONE),
        (0.0, 0.02, NONE),
        (math.nan, math.nan, UNKNOWN),
    ],
)
def test_a_difference_is_significant_if_its_interval_excludes_zero(low, high, side):
    assert statistics.significance(between(low, high)) == side


@pytest.mark.parametrize(
    ("low", "high", "state"),
    [
        (0.1, 0.5, MET),
        (0.4, 0.6, OPEN),
        (0.5, 0.6, OPEN),
        (0.51, 0.6, MISSED),
        (math.nan, math.nan, OPEN),
    ],
)
def test_a_goal_is_judged_by_the_whole_interval(low, high, state):
    assert statistics.goal(between(low, high), 0.5) == state


def test_rows_are_grouped_by_their_intervals():
    rows = [
        {"variant": name, "gap_value": 0.0, "gap_low": low, "gap_high": high, "count": 3}
        for name, low, high in (("a", -2, -1), ("b", 1, 2), ("c", -1, 1), ("d", math.nan, 0))
    ]
    groups = tables.by_significance(rows)
    assert {side: [row["variant"] for row in part] for side, part in groups.items()} == {
        LOWER: ["a"],
        HIGHER: ["b"],
        NONE: ["c"],
    }
    states = tables.by_goal(rows, -1.0, "gap")
    assert {state: [row["variant"] for row in part] for state, part in states.items()} == {
        MET: ["a"],
        OPEN: ["c", "d"],
        MISSED: ["b"],
    }
