import math
from pathlib import Path

import pandas as pd
import pytest

from tcsm.reporting.tables import Rows, Table, estimate, frame_of

FRAME = pd.DataFrame({"arm": ["A & B_1", "50 %"], "bpc": [2.12345678, -1.0]})
TABLE = Table("toy", FRAME, ["Arm", "ΔBPC"], [["A & B_1", "2.123"], ["50 %", "−1.000"]])
ROWS = Rows(
    pd.DataFrame(
        {
            "arm": ["a", "b", "c", "d"],
            "group": ["x", "x", "y", "y"],
            "value": [2.0, 1.0, math.nan, 0.5],
            "count": [3, 3, 3, 2],
        }
    )
)


def arms(rows) -> list[str]:
    return [row["arm"] for row in rows]


def test_latex_is_booktabs_and_escaped():
    assert TABLE.latex().splitlines() == [
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"Arm & $\Delta$BPC \\",
        r"\midrule",
        r"A \& B\_1 & 2.123 \\",
        r"50 \% & $-$1.000 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_the_csv_keeps_every_number(tmp_path: Path):
    TABLE.write(tmp_path)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "toy.csv"), FRAME)
    assert (tmp_path / "toy.tex").read_text() == TABLE.latex()


def test_rows_are_chosen_by_values_and_by_comparisons():
    assert arms(ROWS.where(group="x")) == ["a", "b"]
    assert arms(ROWS.without(group="x")) == ["c", "d"]
    assert arms(ROWS.known("value")) == ["a", "b", "d"]
    assert arms(ROWS.filter("value", "<", 1.5)) == ["b", "d"]
    assert arms(ROWS.filter("value", "<=", "count")) == ["a", "b", "d"]
    assert [arms(part) for part in ROWS.groups("group")] == [["a", "b"], ["c", "d"]]
    assert Rows(pd.DataFrame()).filter("value", "<", 1.5) == []


def test_the_best_has_the_least_value_over_as_many_seeds_as_any():
    assert ROWS.best()["arm"] == "b"
    assert ROWS.where(group="y").best()["arm"] == "c"


def test_rows_that_were_chosen_are_a_frame_again():
    part = frame_of(ROWS.known("value"))
    assert part.index.tolist() == [0, 1, 3]
    assert frame_of([{"arm": "a"}])["arm"].tolist() == ["a"]


def test_columns_make_an_estimate():
    row = {"gap_value": 1.0, "gap_low": 0.5, "gap_high": 1.5, "count": 3, "gain": 2.0}
    row |= {"gain_low": 1.0, "gain_high": 3.0}
    found = estimate(row, "gap")
    assert (found.value, found.low, found.high, found.count) == (1.0, 0.5, 1.5, 3)
    assert estimate(row, "gain").value == 2.0
    with pytest.raises(KeyError):
        estimate(row, "loss")
