"""Ablation: the arms of a grid against a baseline, one measure, one answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd
from matplotlib.figure import Figure

from tcsm.reporting import ablations, comparisons, figures, verdicts
from tcsm.reporting.ablations import Grid, Words
from tcsm.reporting.figures import Axis
from tcsm.reporting.runs import Run
from tcsm.reporting.sections.base import Chart, Command, Question, Section
from tcsm.reporting.tables import Table


@dataclass(frozen=True)
class Ablation(Question):
    """One question: table, figure, sentence. Without runs there is no section.

    Attributes:
        baseline: axis → value of the arm that others are held against; an axis left out means
            that every value of it has a baseline of its own.
        words: axis → value → words, in the order shown.
        measure: the column that is compared, less is better, and its words.
        command: the line that repeats the section.
    """

    baseline: Mapping[str, str]
    words: Words = field(default_factory=dict)
    measure: Axis = field(default_factory=lambda: Axis("test_bpc", "test BPC"))
    command: str = ""

    def __call__(self, runs: Sequence[Run]) -> Section:
        """The section; it has no blocks, and so no place, if nothing was measured."""
        grid = ablations.read(runs, self.name, self.words)
        if grid.runs.empty or grid.runs[self.measure.key].isna().all():
            return self.section()
        key, words = self.measure.key, self.measure.label
        rows = comparisons.arms(grid, key, self.baseline)
        shown = (*verdicts.measured(words), *verdicts.costs(rows), *verdicts.HEALTH)
        blocks = (
            Table(self.name, rows, shown, caption="ablation"),
            Chart(f"{self.name}_by_arm", self._figure(grid), caption="ablation_by_arm"),
            Command("", self.command),
        )
        answer = verdicts.answer(grid, rows, key, words)
        brief = verdicts.brief(rows, words)
        return self.section(blocks, answer, brief)

    def _figure(self, grid: Grid) -> Figure:
        """A color for each value of the first axis, if arms differ in more than one."""
        known = grid.runs.dropna(subset=[self.measure.key])
        axis = replace(self.measure, label=f"{self.measure.label} (lower is better)")
        color = grid.axes[0] if len(grid.axes) > 1 else "arm"
        return figures.by_arm(known, axis, list(pd.unique(known["arm"])), color)
