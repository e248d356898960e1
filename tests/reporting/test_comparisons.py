import math

import numpy as np
import pandas as pd
import pytest

from tcsm.reporting import comparisons, verdicts
from tcsm.reporting.ablations import Grid
from tcsm.reporting.statistics import over_seeds


def grid(**levels) -> Grid:
    """Arms with their BPC by seed; all other columns are plain."""
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
    rows = comparisons.arms(THREE, "bpc", {"rule": "kl"}).set_index("arm")
    expected = over_seeds([-0.10, -0.09, -0.12])
    assert rows.loc["is_", "gap_value"] == pytest.approx(-0.31 / 3)
    assert rows.loc["is_", "gap_low"] == pytest.approx(expected.low)
    assert rows.loc["is_", "gap_high"] == pytest.approx(expected.high)
    assert rows.loc["kl", "gap_value"] == 0.0
    assert rows["baseline"].tolist() == ["kl"] * 3
    assert rows.loc["kl", "value"] == pytest.approx(2.1)


def test_only_seeds_of_both_are_paired_and_lost_runs_are_left_out():
    runs = grid(kl=[2.0, 2.1, 2.2, 9.9], is_=[1.9, math.nan, 2.3])
    row = comparisons.arms(runs, "bpc", {"rule": "kl"}).set_index("arm").loc["is_"]
    assert (row["gap_count"], row["count"], row["runs"], row["nonfinite"]) == (2, 2, 3, 1)
    assert row["gap_value"] == pytest.approx(0.0)


def test_an_axis_without_a_baseline_value_has_one_baseline_each():
    two = THREE.runs.assign(source="uniform", arm="u " + THREE.runs["arm"])
    both = Grid(THREE.axes, pd.concat([THREE.runs, two], ignore_index=True))
    rows = comparisons.arms(both, "bpc", {"rule": "kl"})
    assert rows["baseline"].tolist() == ["kl"] * 3 + ["u kl"] * 3
    assert rows["group"].tolist() == ["mask"] * 3 + ["uniform"] * 3
    shared = comparisons.arms(both, "bpc", {"rule": "kl", "source": "mask"})
    assert shared["baseline"].tolist() == ["kl"] * 6


def test_a_baseline_that_was_not_run_leaves_the_gap_unknown():
    row = comparisons.arms(THREE, "bpc", {"rule": "none"}).iloc[0]
    assert row["baseline"] == ""
    assert math.isnan(row["gap_value"])
    assert verdicts.gap(row) == "–"


def test_who_is_level_with_whom():
    assert comparisons.level_with(THREE, "bpc", "is_", ["kl", "bce"]) == ["bce"]


def test_the_answer_names_the_best_its_gap_and_who_is_level():
    rows = comparisons.arms(THREE, "bpc", {"rule": "kl"})
    text = verdicts.answer(THREE, rows, "bpc", "test BPC")
    assert text == (
        "**is_** is lowest: 1.997 ± 0.225 test BPC, −0.103 [−0.141, −0.065] against kl: better, "
        "beyond the spread of the seeds. No difference found between it and bce."
    )
    assert verdicts.brief(rows, "test BPC") == (
        "**is_** is lowest with 1.997 ± 0.225 test BPC (−0.103 [−0.141, −0.065] to kl: better)."
    )


def test_the_answer_when_nobody_beats_the_baseline():
    runs = grid(kl=[2.0, 2.1, 2.2], is_=[2.9, 3.01, 3.08])
    rows = comparisons.arms(runs, "bpc", {"rule": "kl"})
    text = verdicts.answer(runs, rows, "bpc", "test BPC")
    assert text.startswith("**kl**, the baseline, is lowest: 2.100 ± 0.248 test BPC. Every other")
    assert verdicts.brief(rows, "test BPC") == (
        "**kl** is lowest with 2.100 ± 0.248 test BPC "
        "(the baseline; no difference found to 0 of 1 arm)."
    )


def test_the_answer_when_all_are_level_or_alone():
    draw = np.random.default_rng(0)
    runs = grid(**{name: draw.normal(2, 1, size=3) for name in "abc"})
    rows = comparisons.arms(runs, "bpc", {"rule": "a"})
    assert "and the 2 other arms." in verdicts.answer(runs, rows, "bpc", "BPC")
    one = grid(a=[2.0], b=[3.0])
    rows = comparisons.arms(one, "bpc", {"rule": "a"})
    assert "(the baseline; one seed tells nothing apart)" in verdicts.brief(rows, "BPC")
    assert verdicts.answer(one, rows, "bpc", "BPC") == (
        "**a**, the baseline, is lowest: 2.000 (n=1) BPC. "
        "One seed is not enough to tell arms apart."
    )


def test_a_mean_of_fewer_seeds_is_not_best():
    """b − a: −0.05, 0.1, −0.2; their standard error √0.0225/3 = 0.0866, times t = 4.303."""
    runs = grid(a=[2.5, 2.4, 2.6], b=[2.45, 2.5, 2.4], c=[2.39, math.nan, math.nan])
    rows = comparisons.arms(runs, "bpc", {"rule": "a"})
    lowest = "lowest of the arms with 3 finite seeds"
    assert verdicts.answer(runs, rows, "bpc", "BPC") == (
        f"**b** is {lowest}: 2.450 ± 0.124 BPC, −0.050 [−0.423, +0.323] against a: "
        "the interval holds zero: no difference can be told. No difference found between it "
        "and a. Too few seeds to tell it from c. Not finite or diverged: c (2 of 3 runs)."
    )
    assert verdicts.brief(rows, "BPC").startswith(f"**b** is {lowest} with 2.450 ± 0.124 BPC")


def test_a_gap_of_one_seed_is_not_worse():
    runs = grid(a=[2.0, 2.1, 2.2], b=[3.0, 3.1, 3.3], c=[9.0, math.nan, math.nan])
    rows = comparisons.arms(runs, "bpc", {"rule": "a"})
    text = verdicts.answer(runs, rows, "bpc", "BPC")
    assert "is lowest: 2.100 ± 0.248 BPC. Worse, beyond the spread of the seeds: b. Too" in text
    assert "Too few seeds to tell it from c." in text
    assert comparisons.level_with(runs, "bpc", "a", ["b", "c"]) == []


def test_fewer_seeds_that_are_better_are_told():
    """c − a: −0.1 and −0.1."""
    runs = grid(a=[2.0, 2.2, 1.0], c=[1.9, 2.1, math.nan])
    text = verdicts.answer(runs, comparisons.arms(runs, "bpc", {"rule": "a"}), "bpc", "BPC")
    assert "Better in the seeds that they share: c." in text


def test_a_mean_of_some_runs_says_of_how_many():
    runs = grid(a=[2.0, 2.1, 2.2], b=[3.0, 3.2, math.nan], c=[math.nan] * 3)
    rows = comparisons.arms(runs, "bpc", {"rule": "a"})
    said = [verdicts.reach(row) for _, row in rows.iterrows()]
    assert said == ["2.100 ± 0.248", "3.100 (2 of 3)", "–"]


def test_lost_runs_are_told():
    runs = grid(kl=[2.0, 2.1, 2.2], raw=[math.nan, math.nan, 2.0])
    rows = comparisons.arms(runs, "bpc", {"rule": "kl"})
    text = verdicts.answer(runs, rows, "bpc", "BPC")
    assert text.endswith("Not finite or diverged: raw (2 of 3 runs).")


def test_costs_of_others_are_shown_only_where_there_are_any():
    rows = comparisons.arms(THREE, "bpc", {"rule": "kl"})
    headers = [column.header for column in verdicts.costs(rows.assign(total_seconds=10.0))]
    assert headers == ["Steps", "CPU a run"]
    headers = [column.header for column in verdicts.costs(rows.assign(total_seconds=30.0))]
    assert headers[2:] == ["Targets", "Needed runs", "Together"]
