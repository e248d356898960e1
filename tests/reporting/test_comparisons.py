import math

import pandas as pd
import pytest

from tcsm.reporting import comparisons
from tcsm.reporting.ablations import Grid
from tcsm.reporting.statistics import over_seeds


def grid(**levels) -> Grid:
    """Variants with their BPC by seed; all other columns are plain."""
    rows = [
        {"arm": name, "rule": name, "source": "mask", "seed": seed, "bpc": bpc}
        | dict.fromkeys(comparisons.COSTS, 10.0)
        | {"finite": not math.isnan(bpc), "diverged": False}
        for name, values in levels.items()
        for seed, bpc in enumerate(values)
    ]
    return Grid(("source", "rule"), pd.DataFrame(rows))


THREE = grid(kl=[2.0, 2.1, 2.2], is_=[1.9, 2.01, 2.08], bce=[2.5, 2.0, 1.6])


def test_gaps_are_paired_over_seeds():
    rows = comparisons.variants(THREE, "bpc", {"rule": "kl"}).set_index("arm")
    expected = over_seeds([-0.10, -0.09, -0.12])
    assert rows.loc["is_", "gap_value"] == pytest.approx(-0.31 / 3)
    assert rows.loc["is_", "gap_low"] == pytest.approx(expected.low)
    assert rows.loc["is_", "gap_high"] == pytest.approx(expected.high)
    assert rows.loc["kl", "gap_value"] == 0.0
    assert rows["baseline"].tolist() == ["kl"] * 3
    assert rows.loc["kl", "value"] == pytest.approx(2.1)


def test_only_seeds_of_both_are_paired_and_lost_runs_are_left_out():
    runs = grid(kl=[2.0, 2.1, 2.2, 9.9], is_=[1.9, math.nan, 2.3])
    row = comparisons.variants(runs, "bpc", {"rule": "kl"}).set_index("arm").loc["is_"]
    assert (row["gap_count"], row["count"], row["runs"], row["nonfinite"]) == (2, 2, 3, 1)
    assert row["gap_value"] == pytest.approx(0.0)


def test_an_axis_without_a_baseline_value_has_one_baseline_each():
    two = THREE.runs.assign(source="uniform", arm="u " + THREE.runs["arm"])
    both = Grid(THREE.axes, pd.concat([THREE.runs, two], ignore_index=True))
    rows = comparisons.variants(both, "bpc", {"rule": "kl"})
    assert rows["baseline"].tolist() == ["kl"] * 3 + ["u kl"] * 3
    assert rows["group"].tolist() == ["mask"] * 3 + ["uniform"] * 3
    shared = comparisons.variants(both, "bpc", {"rule": "kl", "source": "mask"})
    assert shared["baseline"].tolist() == ["kl"] * 6


def test_a_baseline_that_was_not_run_leaves_the_gap_unknown():
    row = comparisons.variants(THREE, "bpc", {"rule": "none"}).iloc[0]
    assert row["baseline"] == ""
    assert math.isnan(row["gap_value"])


def test_other_columns_are_averaged():
    runs = THREE.runs.assign(calls=[1.0, 2.0, 6.0] * 3)
    rows = comparisons.variants(Grid(THREE.axes, runs), "bpc", {"rule": "kl"}, ["calls"])
    assert rows["calls"].tolist() == [3.0] * 3
