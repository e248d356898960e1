"""Ablations: the runs of a grid, and its variants against a baseline, paired over seeds.

A variant is a value on every axis of the grid, each shown by its label.

    gap of a variant = mean over shared seeds of (its measure − the measure of its baseline)

Each interval is Student's at 95 % for one comparison; p-values are corrected by Holm for all
comparisons of a table.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from tcsm.reporting import models, relative
from tcsm.reporting.frames import Frames
from tcsm.reporting.tables import Row, Rows
from tcsm.statistics import Estimate, finite, paired

Labels = Mapping[str, Mapping[str, str]]  # axis → value → label, in the order shown
Values = Mapping[str, str]  # axis → value
MEASURES = ("test_bpc", "kl", "tv")  # the first that an ablation has is its measure
COSTS = ("steps", "cpu_seconds", "targets_seconds", "needed_seconds", "total_seconds")


@dataclass(frozen=True, eq=False)
class Ablation:
    """An ablation, the experiments ``NAME/…``, and one measure of it; less is better.

    ``table`` has its runs as `Frames.runs` does, with the value on every axis and the label.
    """

    name: str
    frames: Frames
    labels: Labels
    table: pd.DataFrame
    measure: str

    @property
    def axes(self) -> list[str]:
        """The names of the axes."""
        return list(dict.fromkeys(axis for axes in self.table["axes"] for axis in axes))

    @property
    def measured(self) -> bool:
        """Whether a run has the measure."""
        return self.measure in self.table and bool(self.table[self.measure].notna().any())

    @property
    def baseline(self) -> dict[str, str]:
        """The values of the variant that was run first, the one that the ablation lists first."""
        return dict(self.table.sort_index()["axes"].iloc[0])

    def label(self, axis: str, value: str) -> str:
        """Return the label of a value."""
        return label_of(self.labels, {axis: value})

    def runs(self, **columns: Sequence[str]) -> Rows:
        """Return one row a run, with more columns: the labels of these axes, joined by commas."""
        names = {column: self._labels(axes, ", ") for column, axes in columns.items()}
        return Rows(self.table.assign(**names))

    def least(self, axis: str) -> str:
        """Return the least value of an axis of numbers."""
        return str(min(self.table[axis], key=size))

    def variants(self, baseline: Values | None = None, means: Sequence[str] = ()) -> Rows:
        """Return one row a variant: its measure, the gap to its baseline, cost, health, means.

        The baseline of a variant has the values of ``baseline``, by default those of the variant
        that is listed first, and the variant's own on the axes that ``baseline`` does not name.
        Variants of one baseline share the column ``group``; ``means`` are columns to average.
        """
        baseline = self.baseline if baseline is None else baseline
        groups, rows = self.table.groupby("variant", sort=False), []
        averages = {key: groups[key].mean() for key in means}
        for variant, runs in self._each().items():
            row = self._compared(runs, baseline)
            row |= {key: mean[variant] for key, mean in averages.items()}
            rows.append({"variant": variant, **row})
        return Rows(rows).holm()

    def against(self, best: Row, rows: Sequence[Row]) -> Rows:
        """Return the variants among ``rows`` other than the best, with their gaps to it."""
        names = {row["variant"] for row in rows} - {best["variant"]}
        gaps = self.variants({axis: best[axis] for axis in self.axes})
        return Rows(row for row in gaps if row["variant"] in names).holm()

    def gap(self, values: Values, baseline: Values, measure: str = "test_bpc") -> Estimate:
        """Return the paired difference of the runs with some values to those with others."""
        return paired(self.chosen(values), self.chosen(baseline), measure)

    def chosen(self, values: Values) -> pd.DataFrame:
        """Return the runs that have these values on these axes."""
        kept = [values.items() <= axes.items() for axes in self.table["axes"]]
        return self.table[pd.Series(kept, index=self.table.index, dtype=bool)]

    def by_size(self, axis: str) -> Rows:
        """Return the runs with a number on an axis; the variant is the label of the others."""
        if axis not in self.axes:
            return Rows([])
        names = self._labels([other for other in self.axes if other != axis])
        runs = self.table.assign(variant=names, **{axis: self.table[axis].map(size)})
        return Rows(runs[np.isfinite(runs[axis]) & runs[self.measure].notna()])

    def curves(self, x: str) -> Rows:
        """Return one row a point of a learning curve, with the same ``x`` for all seeds."""
        if self.table.empty:
            return Rows([])
        points = self._curves()
        means = points.groupby(["variant", "step"])[x].transform("mean")
        return Rows(points.assign(**{x: means}).dropna(subset=[x]))

    def time_to_target(self, baseline: Values, teachers: bool = False) -> Rows:
        """Return the variants with their times to the baseline's final loss; teachers' BPC."""
        base, points = self.chosen(baseline), self._curves()
        name = str(base["variant"].iloc[0]) if len(base) else ""
        rows = relative.time_to_target(self.variants(baseline), points, name)
        levels = {
            name: np.concatenate(list(runs["needed_bpc"])) for name, runs in self._each().items()
        }
        known = ({**row, "teacher_bpc": finite(levels[row["variant"]]).value} for row in rows)
        return Rows(known) if teachers else rows

    def from_start(self, start: Values) -> Rows:
        """Return one row a trained variant, with its paired differences to the initial weights."""
        names = dict(zip(self.table["experiment"], self.table["variant"], strict=True))
        initial = list(self.chosen(start)["experiment"])[:1]
        pairs = [(name, first) for first in initial for name in names if name != first]
        gaps = Rows(models.differences(self.frames, names, pairs))
        rows = {row.pop("variant"): row for row in self.variants({})}
        for row in rows.values():
            del row["baseline"]
        known = ({"variant": gap["subject"]} | rows[gap["subject"]] | gap for gap in gaps)
        return Rows(known).holm("seed")

    def post_trained(self, start: Values, measure: str) -> "Ablation":
        """Return the judged runs with their gains and win rates against those of ``start``."""
        if self.table.empty:
            return self
        table = relative.against(self.table, self.chosen(start))
        return replace(self, table=table.dropna(subset=[measure]), measure=measure)

    def gains(self, start: Values) -> Rows:
        """Return one row a variant of post-trained runs: its reward gains."""
        rows, runs = self.variants(start, relative.GAINS), self._each()
        return Rows(relative.gains(row, runs[row["variant"]]) for row in rows).holm("judge_gain")

    def win_rates(self, start: Values) -> Rows:
        """Return one row a variant of post-trained runs: its win rates and changes."""
        base, runs = self.chosen(start), self._each()
        rows = (row for row in self.variants(start) if row["variant"] != row["baseline"])
        known = (relative.win_rates(row, runs[row["variant"]], base) for row in rows)
        return Rows(known).holm("wins", 0.5)

    def _compared(self, runs: pd.DataFrame, baseline: Values) -> dict[str, Any]:
        """Return the measure of a variant's runs, the gap to its baseline, cost and health."""
        values = runs["axes"].iloc[0]
        own = {axis: values[axis] for axis in self.axes if axis not in baseline}
        base = self.chosen({**own, **baseline})
        return {
            "group": "|".join(own.values()),
            "baseline": base["variant"].iloc[0] if len(base) else "",
            **values,
            **vars(finite(runs[self.measure])),
            **paired(runs, base, self.measure).columns("gap"),
            **{key: float(runs[key].mean()) for key in COSTS},
            "runs": len(runs),
            "nonfinite": int((~runs["finite"]).sum()),
            "diverged": int(runs["diverged"].sum()),
        }

    def _labels(self, axes: Sequence[str], between: str = " · ") -> list[str]:
        """Return the labels of these axes of every run."""
        parts = ({axis: values[axis] for axis in axes} for values in self.table["axes"])
        return [label_of(self.labels, part, between) or "all" for part in parts]

    def _each(self) -> dict[str, pd.DataFrame]:
        """Return variant → its runs."""
        return {str(name): runs for name, runs in self.table.groupby("variant", sort=False)}

    def _curves(self) -> pd.DataFrame:
        """Return the points of curves; ``seconds`` are CPU-seconds with those of needed runs."""
        runs = self.table[["experiment", "seed", "variant", "needed_seconds"]]
        points = runs.merge(self.frames.curves, on=["experiment", "seed"])
        return points.assign(seconds=points["own"] + points["needed_seconds"])


def read(frames: Frames, name: str, labels: Labels, measure: str = "") -> Ablation:
    """Return the ablation of the experiments ``NAME/…``, its runs in the order of the labels.

    Values without a label come last, numbers by size, words by their letters. Without a measure it
    is the first of MEASURES that a run has.
    """
    runs = frames.runs[frames.runs["ablation"] == name]
    order = sorted(runs.index, key=lambda at: (_order(runs["axes"][at], labels), runs["seed"][at]))
    runs = runs.loc[order]
    values = pd.DataFrame(list(runs["axes"]), index=runs.index)
    names = [label_of(labels, axes) for axes in runs["axes"]]
    table = runs.assign(variant=names, **values)
    known = (key for key in MEASURES if key in table and table[key].notna().any())
    return Ablation(name, frames, labels, table, measure or next(known, MEASURES[0]))


def label_of(labels: Labels, values: Values, between: str = " · ") -> str:
    """Return the labels of values on several axes; a value without a label is its own."""
    names = (labels.get(a, {}).get(v, v.replace("_", " ")) for a, v in values.items())
    return between.join(names)


def size(value: str) -> float:
    """Return a value as a number; infinity for a word."""
    try:
        return float(value)
    except ValueError:
        return math.inf


def _order(values: Values, labels: Labels) -> list[tuple[int, float, str]]:
    """Return where values stand: as the labels list them, then by size, then by letters."""
    listed = {axis: list(labels.get(axis, {})) for axis in values}
    return [
        (listed[axis].index(v) if v in listed[axis] else len(listed[axis]), size(v), v)
        for axis, v in values.items()
    ]
