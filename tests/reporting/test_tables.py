from pathlib import Path

import pandas as pd

from tcsm.reporting import wording
from tcsm.reporting.tables import Column, Table, latex, write

FRAME = pd.DataFrame({"arm": ["A & B_1", "50 %"], "bpc": [2.12345678, -1.0]})
COLUMNS = (Column("Arm", lambda r: r.arm), Column("ΔBPC", lambda r: wording.number(r.bpc)))
TABLE = Table("toy", FRAME, COLUMNS)


def test_rows_are_shown_as_columns_say():
    assert TABLE.headers() == ["Arm", "ΔBPC"]
    assert TABLE.rows() == [["A & B_1", "2.123"], ["50 %", "−1.000"]]


def test_latex_is_booktabs_and_escaped():
    assert latex(TABLE).splitlines() == [
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
    write(TABLE, tmp_path)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "toy.csv"), FRAME)
    assert (tmp_path / "toy.tex").read_text() == latex(TABLE)


def test_publishing_writes_below_tables(tmp_path: Path):
    shown = TABLE.publish(tmp_path)
    assert shown == {"headers": TABLE.headers(), "rows": TABLE.rows(), "folded": ""}
    assert (tmp_path / "tables" / "toy.csv").exists()
