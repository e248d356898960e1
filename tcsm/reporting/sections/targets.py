"""Targets: how far approximate targets lie from the exact ones, in total variation."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tcsm.reporting import ablations, comparisons, figures, verdicts, wording
from tcsm.reporting.ablations import Grid, Words
from tcsm.reporting.figures import Axis
from tcsm.reporting.runs import Run
from tcsm.reporting.sections.base import Block, Chart, Command, Question, Section
from tcsm.reporting.tables import Column, Table

KEY = "tv"
WITHIN = ("tv_se", "sequences", "missing", "entropy")  # of a run, over its own sequences


def _told(row: pd.Series) -> str:
    return wording.plus_minus(row["value"], row["error"], row["count"], digits=4)


COLUMNS = (
    Column("Target", lambda row: row.arm),
    Column("TV to the exact one", _told),
    Column("Mass left out", lambda row: wording.short(row.missing)),
    Column("Entropy, nats", lambda row: wording.number(row.entropy, 2)),
    Column("Sequences", lambda row: wording.whole(row.sequences)),
    Column("CPU of the targets", lambda row: wording.duration(row.targets_seconds)),
    Column("Runs", lambda row: wording.whole(row.runs)),
)


@dataclass(frozen=True)
class Targets(Question):
    """The errors by the number of candidates and by the rest. Without runs there is no section.

    Attributes:
        size: the axis whose values are numbers, drawn to the right, and its words.
        words: axis → value → words, in the order shown.
        command: the line that repeats the section.
    """

    size: Axis
    words: Words = field(default_factory=dict)
    command: str = ""

    def __call__(self, runs: Sequence[Run]) -> Section:
        """The section; it has no blocks, and so no place, if nothing was measured."""
        grid = ablations.read(runs, self.name, self.words)
        if grid.runs.empty or KEY not in grid.runs or grid.runs[KEY].isna().all():
            return self.section()
        rows = _rows(grid)
        blocks: list[Block] = [Table(self.name, rows, COLUMNS, caption="targets")]
        drawn = self._drawn(grid)
        if not drawn.empty:
            blocks.append(Chart(f"{self.name}_tv", self._figure(drawn), caption="targets_tv"))
        blocks.append(Command("", self.command))
        answer = self._answer(rows, drawn)
        return self.section(blocks, *answer)

    def _drawn(self, grid: Grid) -> pd.DataFrame:
        """The runs whose size is a number; an arm is then what is left of the name."""
        if self.size.key not in grid.axes:
            return grid.runs.iloc[:0]
        others = [axis for axis in grid.axes if axis != self.size.key]
        size = grid.runs[self.size.key].map(ablations.number)
        say = partial(ablations.say_all, self.words)
        names = grid.runs[others].apply(say, axis=1) if others else "all"
        known = np.flatnonzero(np.isfinite(size) & grid.runs[KEY].notna())
        return grid.runs.assign(size=size, arm=names).iloc[known]

    def _figure(self, drawn: pd.DataFrame) -> Figure:
        x = Axis("size", self.size.label, self.size.log)
        y = Axis(KEY, "total variation to the exact target", log=bool((drawn[KEY] > 0).all()))
        return figures.lines(drawn, x, y, list(pd.unique(drawn["arm"])), band=("se", 1))

    def _answer(self, rows: pd.DataFrame, drawn: pd.DataFrame) -> tuple[str, str]:
        """The least error, and how it falls from the smallest size to the largest."""
        best = verdicts.best_of(rows)
        least = f"**{best['arm']}** errs least: {_told(best)} in total variation."
        means = drawn.groupby(["arm", "size"], sort=False)[KEY].mean().unstack()
        if len(means.columns) < 2:
            return least, least
        small, large = (float(end(means.columns)) for end in (min, max))
        falls = [
            f"{arm} {wording.short(row[small])} → {wording.short(row[large])}"
            for arm, row in means[[small, large]].dropna().iterrows()
        ]
        sizes = f"{wording.brief(small)} to {wording.brief(large)}"
        return f"{least} From {sizes} ({self.size.label}): {'; '.join(falls)}.", least


def _rows(grid: Grid) -> pd.DataFrame:
    """One row a target: mean and standard error over seeds, of one seed over its sequences."""
    rows = comparisons.arms(grid, KEY, {})
    within = grid.runs.groupby("arm", sort=False)[list(WITHIN)].mean()
    known = {key: rows["arm"].map(within[key]) for key in WITHIN}
    return rows.assign(**known, error=rows["error"].fillna(known["tv_se"]))
