"""Tables: the rows that chapters read, and what they show of them as CSV and LaTeX.

The CSV keeps every number; page and LaTeX (booktabs) show formatted cells. A text that a
spreadsheet would compute, such as "=1+1", has an apostrophe before it in the CSV.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne
from pathlib import Path
from typing import Any

import pandas as pd

from tcsm.io.records import write_text
from tcsm.reporting.latex import escape
from tcsm.reporting.statistics import Estimate

Row = dict[str, Any]
Compare = Callable[[Any, Any], Any]
SIGNS: dict[str, Compare] = {"<": lt, "<=": le, "==": eq, "!=": ne, ">=": ge, ">": gt}


class Rows(list[Row]):
    """The rows of a frame as dictionaries; chapters choose among them, and never see the frame."""

    def __init__(self, frame: pd.DataFrame) -> None:
        """Read the rows of ``frame``."""
        super().__init__({str(k): v for k, v in row.items()} for row in frame.to_dict("records"))
        self._frame = frame

    def where(self, **values: object) -> "Rows":
        """Return the rows with these values."""
        return self._keep(all(row.get(k) == v for k, v in values.items()) for row in self)

    def without(self, **values: object) -> "Rows":
        """Return the rows that differ from these values."""
        return self._keep(any(row.get(k) != v for k, v in values.items()) for row in self)

    def known(self, key: str) -> "Rows":
        """Return the rows in which a column is a number."""
        return self._keep(not math.isnan(row.get(key, math.nan)) for row in self)

    def groups(self, *keys: str) -> "list[Rows]":
        """Return the rows by their values in these columns, in the order of appearance."""
        values = dict.fromkeys(tuple(row[key] for key in keys) for row in self)
        return [self.where(**dict(zip(keys, value, strict=True))) for value in values]

    def best(self, key: str = "value") -> Row:
        """Return the row of the least value, of those over as many seeds as any."""
        most = max(row.get("count", 0) for row in self)
        rows = self.where(count=most) if most else self
        return min(rows, key=lambda row: (math.isnan(row[key]), row[key]))

    def filter(self, column: str, sign: str, other: object) -> "Rows":
        """Return the rows in which a column compares so to another column or to a value."""
        if self._frame.empty:
            return self
        second = self._frame.get(other, other)
        return Rows(self._frame[SIGNS[sign](self._frame[column], second)])

    def _keep(self, chosen: Iterable[bool]) -> "Rows":
        mask = pd.Series(list(chosen), index=self._frame.index, dtype=bool)
        return Rows(self._frame[mask])


def frame_of(rows: Iterable[Row]) -> pd.DataFrame:
    """Return rows as a frame."""
    return rows._frame if isinstance(rows, Rows) else pd.DataFrame(list(rows))


def estimate(row: Row, prefix: str = "") -> Estimate:
    """Return the columns ``PREFIX_value``, ``PREFIX_low``, … of a row as an estimate."""
    start = f"{prefix}_" if prefix else ""
    value = float(row[f"{start}value"] if f"{start}value" in row else row[prefix])
    low, high = (float(row[f"{start}{key}"]) for key in ("low", "high"))
    error = float(row.get(f"{start}error", math.nan))
    count = row[f"{start}count"] if f"{start}count" in row else row.get("count") or 0
    return Estimate(value, error, low, high, int(count))


@dataclass(frozen=True, eq=False)
class Table:
    """A table: the name of its files, its numbers, the cells that are shown of them."""

    name: str
    frame: pd.DataFrame
    headers: Sequence[str]
    cells: Sequence[Sequence[str]]

    def write(self, folder: Path) -> None:
        """Write ``NAME.csv`` (the numbers) and ``NAME.tex`` (the cells)."""
        frame = self.frame.rename(columns=_inert)
        for name in frame.select_dtypes(exclude="number"):
            frame[name] = frame[name].map(_inert)
        write_text(folder / f"{self.name}.csv", frame.to_csv(index=False, lineterminator="\n"))
        write_text(folder / f"{self.name}.tex", self.latex())

    def latex(self) -> str:
        """Return the cells as a LaTeX ``tabular`` that needs the package booktabs."""
        cells = [[escape(cell) for cell in row] for row in self.cells]
        shown = pd.DataFrame(cells, columns=[escape(header) for header in self.headers])
        columns = "l" + "r" * (len(self.headers) - 1)
        return str(shown.style.hide(axis="index").to_latex(hrules=True, column_format=columns))


def _inert(value: Any) -> Any:  # noqa: ANN401 -- a cell of any kind
    """Return a text that no spreadsheet takes for a formula; numbers as they are."""
    formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if formula else value
