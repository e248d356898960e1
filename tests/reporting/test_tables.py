import math
from pathlib import Path

import pandas as pd
import pytest

from tcsm.reporting.tables import Rows, estimate, frame_of, write_csv

FRAME = pd.DataFrame({"variant": ["A & B_1", "50 %"], "bpc": [2.12345678, -1.0]})
ROWS = Rows(
    pd.DataFrame(
        {
            "variant": ["a", "b", "c", "d"],
            "group": ["x", "x", "y", "y"],
            "value": [2.0, 1.0, math.nan, 0.5],
            "count": [3, 3, 3, 2],
        }
    )
)


def names(rows) -> list[str]:
    return [row["variant"] for row in rows]


def test_the_csv_keeps_every_number(tmp_path: Path):
    write_csv(tmp_path / "toy.csv", Rows(FRAME))
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "toy.csv"), FRAME)


def test_rows_are_chosen_by_values_and_by_comparisons():
    assert names(ROWS.where(group="x")) == ["a", "b"]
    assert names(ROWS.without(group="x")) == ["c", "d"]
    assert names(ROWS.known("value")) == ["a", "b", "d"]
    assert names(ROWS.filter("value", "<", 1.5)) == ["b", "d"]
    assert names(ROWS.filter("value", "<=", "count")) == ["a", "b", "d"]
    assert [names(part) for part in ROWS.groups("group")] == [["a", "b"], ["c", "d"]]
    assert Rows(pd.DataFrame()).filter("value", "<", 1.5) == []


def test_the_best_has_the_least_value_over_as_many_seeds_as_any():
    assert ROWS.best()["variant"] == "b"
    assert ROWS.where(group="y").best()["variant"] == "c"


def test_rows_that_were_chosen_are_a_frame_again():
    part = frame_of(ROWS.known("value"))
    assert part["variant"].tolist() == ["a", "b", "d"]
    assert frame_of([{"variant": "a"}])["variant"].tolist() == ["a"]


def test_columns_make_an_estimate():
    row = {"gap_value": 1.0, "gap_low": 0.5, "gap_high": 1.5, "count": 3, "gain": 2.0}
    row |= {"gain_low": 1.0, "gain_high": 3.0}
    actual = estimate(row, "gap")
    assert (actual.value, actual.low, actual.high, actual.count) == (1.0, 0.5, 1.5, 3)
    assert estimate(row, "gain").value == 2.0
    with pytest.raises(KeyError):
        estimate(row, "loss")


def test_a_family_of_tests_is_corrected_together():
    gaps = [(-0.3, 0.29, 4), (-0.3, 0.28, 4), (0.5, 0.1, 4), (math.nan, math.nan, 0)]
    rows = Rows(
        {"gap_value": v, "gap_low": v - half, "gap_high": v + half, "gap_count": n}
        for v, half, n in gaps
    ).holm()
    assert [row["gap_side"] for row in rows[:3]] == [0, 0, 1]  # the first two alone would be below
    assert rows[1]["gap_p"] == pytest.approx(0.084, abs=0.001)
    assert math.isnan(rows[3]["gap_p"])
    assert [row["gap_side"] for row in rows.holm("gap", 0.4)[:3]] == [-1, -1, 0]
