"""An ablation as chapters see it: its runs, its variants against a baseline, its figures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tcsm.io.records import Record
from tcsm.reporting import (
    ablations,
    comparisons,
    formatting,
    frames,
    heatmaps,
    learning_curves,
    pareto,
    post_training,
)
from tcsm.reporting.ablations import Grid, Labels
from tcsm.reporting.runs import Run
from tcsm.reporting.statistics import Array, Estimate, finite
from tcsm.reporting.tables import Row, Rows, frame_of

Values = Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Ablation:
    """An ablation and one measure of it; less is better.

    Attributes:
        all_runs: all runs of the report.
        labels: axis → value → label, in the order shown.
        name: the name of the ablation.
        grid: its runs.
        measure: the column that is compared.
    """

    all_runs: Sequence[Run]
    labels: Labels
    name: str
    grid: Grid
    measure: str

    @property
    def measured(self) -> bool:
        """Whether a run has the measure."""
        runs = self.grid.runs
        return self.measure in runs and bool(runs[self.measure].notna().any())

    @property
    def axes(self) -> Sequence[str]:
        """The names of the axes."""
        return self.grid.axes

    @property
    def baseline(self) -> dict[str, str]:
        """The values of the variant that the ablation lists first."""
        first = next(run for run in self.all_runs if ablations.is_part(run, self.name))
        return ablations.values(first)

    def label(self, axis: str, value: str) -> str:
        """Return the label of a value."""
        return ablations.label(self.labels, {axis: value})

    def runs(self, **columns: Sequence[str]) -> Rows:
        """Return one row a run, with more columns: the labels of these axes, joined by commas."""
        runs = self.grid.runs
        labels = {
            column: [
                ablations.label(self.labels, {axis: row[axis] for axis in axes}, ", ")
                for _, row in runs.iterrows()
            ]
            for column, axes in columns.items()
        }
        return Rows(runs.assign(**labels))

    def passages(self, arms: Sequence[str], count: int) -> list[Row]:
        """Return graded texts of the first run of each variant, with the judge's mean."""
        passages = []
        for arm in arms:
            grade = self._grade(arm)
            mean = formatting.number(post_training.number(grade["judge_reward"]["mean"]), 2)
            texts = grade["texts"][:count]
            passages.append({"heading": arm, "note": f"judge {mean}", "texts": texts})
        return passages

    def least(self, axis: str) -> str:
        """Return the least value of an axis of numbers."""
        return str(min(self.grid.runs[axis], key=ablations.number))

    def variants(
        self, baseline: Values | None = None, means: Sequence[str] = (), error: str = ""
    ) -> Rows:
        """Return one row a variant: its measure, the gap to its baseline, cost, health, means.

        Args:
            baseline: axis → value of the baseline, by default the variant that is listed first.
            means: other columns of the runs to average.
            error: the one of them that is the standard error of a single seed.
        """
        baseline = self.baseline if baseline is None else baseline
        rows = comparisons.variants(self.grid, self.measure, baseline, means)
        return Rows(rows.assign(error=rows["error"].fillna(rows[error])) if error else rows)

    def against(self, best: Row, rows: Sequence[Row]) -> Rows:
        """Return the variants among ``rows`` other than the best, with their gaps to it."""
        names = {row["arm"] for row in rows} - {best["arm"]}
        gaps = frame_of(self.variants({axis: best[axis] for axis in self.axes}))
        return Rows(gaps[gaps["arm"].isin(names)])

    def gap(self, values: Values, baseline: Values, measure: str = "test_bpc") -> Estimate:
        """Return the paired difference of the runs with some values to those with others."""
        first, second = (comparisons.chosen(self.grid.runs, v) for v in (values, baseline))
        return comparisons.gap_of(first, second, measure)

    def by_size(self, axis: str) -> Rows:
        """Return the runs with a number on an axis; ``arm`` is the label of the other axes."""
        runs, others = self.grid.runs, [other for other in self.grid.axes if other != axis]
        if axis not in self.grid.axes:
            return Rows(runs.iloc[:0])
        size = runs[axis].map(ablations.number)
        places = (dict(zip(others, row, strict=True)) for row in runs[others].to_numpy())
        names = [ablations.label(self.labels, place) or "all" for place in places]
        known = np.isfinite(size) & runs[self.measure].notna()
        return Rows(runs.assign(arm=names).assign(**{axis: size})[known])

    def curves(self, x: str) -> Rows:
        """Return one row a point of a learning curve, with the same ``x`` for all seeds."""
        points = self._curves()
        return Rows(learning_curves.even(points, x).dropna(subset=[x]))

    def time_to_target(self, baseline: Values, teachers: bool = False) -> Rows:
        """Return the variants with their times to the baseline's final loss.

        Args:
            baseline: axis → value of the one baseline.
            teachers: add the test BPC of those models that a variant learned from.
        """
        rows = comparisons.variants(self.grid, "test_bpc", baseline)
        base = comparisons.chosen(self.grid.runs, baseline)
        label = str(base["arm"].iloc[0]) if len(base) else ""
        rows = learning_curves.time_to_target(rows, self._curves(), label)
        levels = self._teachers() if teachers else {}
        return Rows(rows.assign(teacher_bpc=rows["arm"].map(levels)) if teachers else rows)

    def from_start(self, start: Values, split: str = "test") -> Rows:
        """Return one row a trained variant, with its paired differences to the initial weights."""
        runs = self.grid.runs
        names = dict(zip(runs["experiment"], runs["arm"], strict=True))
        initial = [str(name) for name in comparisons.chosen(runs, start)["experiment"]][:1]
        pairs = [(name, first) for first in initial for name in names if name != first]
        gaps = frames.differences(self.all_runs, names, pairs, split)
        if gaps.empty:
            return Rows(gaps)
        rows = comparisons.variants(self.grid, self.measure, {}).drop(columns="baseline")
        return Rows(rows.merge(gaps, left_on="arm", right_on="subject"))

    def graded(self, baseline: Values) -> "Ablation":
        """Return the ablation with the reward gains of its runs."""
        return replace(self, grid=post_training.graded(self.all_runs, self.grid, baseline))

    def gains(self, baseline: Values) -> Rows:
        """Return one row a variant of a graded ablation: its reward gains."""
        return Rows(post_training.gains(self.grid, baseline))

    def compared(self, baseline: Values) -> "Ablation":
        """Return the ablation with the win rates of its runs."""
        grid = post_training.compared(self.all_runs, self.grid, baseline)
        return replace(self, grid=grid, measure="judge_wins")

    def win_rates(self, baseline: Values) -> Rows:
        """Return one row a variant of a compared ablation: its win rates and changes."""
        return Rows(post_training.win_rates(self.grid, baseline))

    def nondominated(self, cost: str, quality: str) -> Rows:
        """Return the variants on the Pareto front of two columns, less is better."""
        points = pareto.means(self.grid.runs, cost, quality, ["arm"])
        return Rows(pareto.nondominated(points, cost, quality))

    def densities(self, axis: str, first: Mapping[str, str], **values: str) -> Figure | None:
        """Draw densities of the first seed: those in ``first``, then one a value of an axis."""
        parts = [
            run
            for run in self.all_runs
            if ablations.is_part(run, self.name) and "pictures" in run.tilt
            if values.items() <= ablations.values(run).items()
        ]
        seed = min((run.seed for run in parts), default=0)
        by_value = {ablations.values(run)[axis]: run for run in parts if run.seed == seed}
        if not by_value:
            return None
        order = [v for v in self.labels.get(axis, {}) if v in by_value]
        order += [v for v in by_value if v not in order]
        one = next(iter(by_value.values()))
        panels = [(label, _density(one, key)) for key, label in first.items()]
        panels += [(self.label(axis, v), _density(by_value[v], "found")) for v in order]
        return heatmaps.densities(panels)

    def _grade(self, arm: str) -> Record:
        place = ablations.place(self.grid.runs[self.grid.runs["arm"] == arm].iloc[0])
        return next(run.grade for run in self.all_runs if (run.experiment, run.seed) == place)

    def _curves(self) -> pd.DataFrame:
        return learning_curves.curves(self.all_runs, self.name, self.labels)

    def _teachers(self) -> dict[str, float]:
        """Return variant → mean test BPC of the models that it needs."""
        folders = {run.folder: run for run in self.all_runs}
        levels: dict[str, list[float]] = {}
        for run in self.all_runs:
            if ablations.is_part(run, self.name):
                arm = ablations.label(self.labels, ablations.values(run))
                levels.setdefault(arm, [])
                levels[arm] += [_bpc(other) for other in ablations.needed(run, folders) if other]
        return {arm: finite(values).value for arm, values in levels.items()}


def _bpc(run: Run) -> float:
    return float(run.evaluate.get("splits", {}).get("test", {}).get("bpc", math.nan))


def _density(run: Run, key: str) -> Array:
    return np.asarray(run.tilt["pictures"][key]["rows"], dtype=float)
