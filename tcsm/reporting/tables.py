"""Tables: the rows that chapters read, and what they show of them as CSV and LaTeX.

The CSV keeps every number; page and LaTeX show formatted cells. A text that a
spreadsheet would compute, such as "=1+1", has an apostrophe before it in the CSV.
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2.tests import TESTS

from tcsm.io.records import write_text
from tcsm.statistics import Estimate, holm, p_value, side

Row = dict[str, Any]


class Rows(list[Row]):
    """The rows of a frame as mappings, among which chapters choose."""

    def __init__(self, rows: pd.DataFrame | Iterable[Row]) -> None:
        """Read the rows of a frame, or take rows as they are."""
        known = rows.to_dict("records") if isinstance(rows, pd.DataFrame) else rows
        super().__init__({str(key): value for key, value in row.items()} for row in known)

    def where(self, **values: object) -> "Rows":
        """Return the rows with these values."""
        return Rows(row for row in self if values.items() <= row.items())

    def without(self, **values: object) -> "Rows":
        """Return the rows that differ from these values."""
        return Rows(row for row in self if not values.items() <= row.items())

    def known(self, key: str) -> "Rows":
        """Return the rows in which a column is a number."""
        return Rows(row for row in self if not math.isnan(row.get(key, math.nan)))

    def filter(self, column: str, sign: str, other: str | float | int) -> "Rows":
        """Return the rows in which a column compares so to another column or to a value."""
        compare: Any = TESTS[sign]
        return Rows(row for row in self if compare(row[column], row.get(str(other), other)))

    def groups(self, *keys: str) -> "list[Rows]":
        """Return the rows by their values in these columns, in the order of appearance."""
        groups: dict[tuple[object, ...], list[Row]] = {}
        for row in self:
            groups.setdefault(tuple(row[key] for key in keys), []).append(row)
        return [Rows(rows) for rows in groups.values()]

    def holm(self, prefix: str = "gap", goal: float = 0.0) -> "Rows":
        """Return the rows with the columns ``PREFIX_p`` and ``PREFIX_side``: one family of tests.

        The first is Holm's p-value of an estimate against the goal, the second its side of it.
        """
        means = [estimate(row, prefix) for row in self]
        known = zip(self, means, holm([p_value(mean, goal) for mean in means]), strict=True)
        return Rows(
            {**row, f"{prefix}_p": p, f"{prefix}_side": side(mean, p, goal)}
            for row, mean, p in known
        )

    def best(self, key: str = "value") -> Row:
        """Return the row of the least value, of those over as many seeds as any."""
        most = max(row.get("count", 0) for row in self)
        rows = self.where(count=most) if most else self
        return min(rows, key=lambda row: (math.isnan(row[key]), row[key]))


def frame_of(rows: Iterable[Row]) -> pd.DataFrame:
    """Return rows as a frame, which chapters never see, since a frame can write files."""
    return pd.DataFrame(list(rows))


def estimate(row: Row, prefix: str = "") -> Estimate:
    """Return the columns ``PREFIX_value``, ``PREFIX_low``, … of a row as an estimate."""
    start = f"{prefix}_" if prefix else ""
    value = float(row[f"{start}value"] if f"{start}value" in row else row[prefix])
    low, high = (float(row[f"{start}{key}"]) for key in ("low", "high"))
    error = float(row.get(f"{start}error", math.nan))
    count = row[f"{start}count"] if f"{start}count" in row else row.get("count") or 0
    return Estimate(value, error, low, high, int(count))


def write_csv(path: Path, rows: Iterable[Row]) -> None:
    """Write rows with every digit."""
    frame = frame_of(rows).rename(columns=_inert)
    for name in frame.select_dtypes(exclude="number"):
        frame[name] = frame[name].map(_inert)
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))


def _inert(value: Any) -> Any:  # noqa: ANN401 -- a cell of any kind
    """Return a text that no spreadsheet takes for a formula; numbers as they are."""
    formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if formula else value
