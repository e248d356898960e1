import math
from pathlib import Path

import pandas as pd
import pytest

from tcsm.reporting.tables import Rows, estimate, frame_of, latex, write_csv

FRAME = pd.DataFrame({"variant": ["A & B_1", "50 %"], "bpc": [2.12345678, -1.0]})
CELLS = [["A & B_1", "2.123"], ["50 %", "−1.000"]]
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


def test_latex_is_booktabs_and_escaped():
    assert latex(["Variant", "ΔBPC"], CELLS).splitlines() == [
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"Variant & $\Delta$BPC \\",
        r"\midrule",
        r"A \& B\_1 & 2.123 \\",
        r"50 \% & $-$1.000 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


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
    found = estimate(row, "gap")
    assert (found.value, found.low, found.high, found.count) == (1.0, 0.5, 1.5, 3)
    assert estimate(row, "gain").value == 2.0
    with pytest.raises(KeyError):
        estimate(row, "loss")
