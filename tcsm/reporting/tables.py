"""Tables: a frame of numbers and how a reader sees it, as page rows, CSV and LaTeX.

The CSV keeps every number of the frame; page and LaTeX (booktabs) show the formatted columns. A
text that a spreadsheet would compute, such as "=1+1", has an apostrophe before it in the CSV.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from tcsm.reporting.latex import escape
from tcsm.reporting.records import write_text


@dataclass(frozen=True)
class Column:
    """A shown column: its header and the text of a row's cell."""

    header: str
    cell: Callable[[Any], str]


@dataclass(frozen=True, eq=False)
class Table:
    """A block of a section.

    Attributes:
        name: of its files and its caption.
        frame: the numbers.
        columns: what is shown of them.
        caption: name of a caption that it shares with others, where it has none of its own.
        folded: the line behind which the page hides it, if any.
    """

    kind: ClassVar[str] = "table"
    name: str
    frame: pd.DataFrame
    columns: tuple[Column, ...]
    caption: str = ""
    folded: str = ""

    def headers(self) -> list[str]:
        """The shown headers."""
        return [column.header for column in self.columns]

    def rows(self) -> list[list[str]]:
        """The shown cells, row by row."""
        rows = [row for _, row in self.frame.iterrows()]
        return [[column.cell(row) for column in self.columns] for row in rows]

    def publish(self, out: Path) -> dict[str, object]:
        """Writes ``out/tables/NAME.csv`` and ``.tex``; returns what the template shows."""
        write(self, out / "tables")
        return {"headers": self.headers(), "rows": self.rows(), "folded": self.folded}


def write(table: Table, folder: Path) -> None:
    """Writes the table as ``NAME.csv`` (numbers) and ``NAME.tex`` (as shown)."""
    frame = table.frame.rename(columns=_inert)
    for name in frame.select_dtypes(exclude="number"):
        frame[name] = frame[name].map(_inert)
    write_text(folder / f"{table.name}.csv", frame.to_csv(index=False, lineterminator="\n"))
    write_text(folder / f"{table.name}.tex", latex(table))


def _inert(value: Any) -> Any:  # noqa: ANN401 -- a cell of any kind
    """A text that no spreadsheet takes for a formula; numbers as they are."""
    formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if formula else value


def latex(table: Table) -> str:
    """The table as a LaTeX ``tabular`` that needs the package booktabs."""
    lines = [_latex_row(row) for row in table.rows()]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
            r"\toprule",
            _latex_row(table.headers()),
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _latex_row(cells: list[str]) -> str:
    return " & ".join(map(escape, cells)) + r" \\"
