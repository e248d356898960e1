"""Exact world: the true KL by size k of the neighborhood, its cost, its stability, one answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tcsm.reporting import ablations, comparisons, fronts, heatmaps, verdicts, wording
from tcsm.reporting.ablations import Grid, Words
from tcsm.reporting.figures import Axis
from tcsm.reporting.runs import Run
from tcsm.reporting.sections.base import Block, Chart, Command, Question, Section
from tcsm.reporting.tables import Column, Table

KEY, SIZE = "kl", "k"
MEANS = ("evaluations", "condition", "gradient_variance")
_reach = partial(verdicts.reach, digits=4)
_gap = partial(verdicts.gap, digits=4)

MEASURED = (
    Column("Arm", lambda row: row.arm),
    Column("KL, nats", _reach),
    Column("Δ to the least k", lambda r: wording.DASH if verdicts.is_baseline(r) else _gap(r)),
    Column("Condition", lambda row: wording.short(row.condition)),
    Column("Gradient variance", lambda row: wording.short(row.gradient_variance)),
    Column("Evaluations", lambda row: wording.large(row.evaluations)),
    Column("ms a step", lambda row: wording.short(1000 * row.step_seconds)),
    Column("CPU a run", lambda row: wording.duration(row.cpu_seconds)),
)
HEALTH = (
    Column("Arm", lambda row: row.arm),
    Column("Runs", lambda row: wording.whole(row.runs)),
    Column("Non-finite", lambda row: wording.share(row.nonfinite / row.runs)),
    Column("Diverged", lambda row: wording.share(row.diverged / row.runs)),
)


@dataclass(frozen=True)
class ExactWorld(Question):
    """How k, an axis, trades efficiency for quality. Without runs there is no section.

    Attributes:
        across: the axis that a heat map has downwards.
        goal: a KL that counts as the true law.
        words: axis → value → words, in the order shown.
        command: the line that repeats the section.
    """

    across: str = "divergence"
    goal: float = 1e-3
    words: Words = field(default_factory=dict)
    command: str = ""

    def __call__(self, runs: Sequence[Run]) -> Section:
        """The section; it has no blocks, and so no place, if nothing was measured."""
        grid = ablations.read(runs, self.name, self.words)
        if grid.runs.empty or SIZE not in grid.axes:
            return self.section()
        grid = Grid(grid.axes, grid.runs.assign(step_seconds=_step_seconds(grid, runs)))
        rows = self._rows(grid)
        blocks: list[Block] = [Table(self.name, rows, MEASURED, caption="exact")]
        blocks += self._maps(grid)
        if grid.runs[KEY].notna().any():
            chart = f"{self.name}_front"
            blocks.append(Chart(chart, self._front(grid), caption="exact_front"))
        blocks.append(Table(f"{self.name}_stability", rows, HEALTH, caption="exact_stability"))
        blocks.append(Command("", self.command))
        brief = self._reached(rows)
        answer = " ".join([*self._trades(rows), brief, _health(rows)])
        return self.section(blocks, answer, brief)

    def _rows(self, grid: Grid) -> pd.DataFrame:
        """One row an arm, held against the same arm with the least k."""
        least = min(grid.runs[SIZE], key=ablations.number)
        rows = comparisons.arms(grid, KEY, {SIZE: least})
        known = grid.runs.groupby("arm", sort=False)
        means = {key: rows["arm"].map(known[key].mean()) for key in (*MEANS, "step_seconds")}
        return rows.assign(**means)

    def _maps(self, grid: Grid) -> list[Block]:
        """A heat map for each arm of the axes that it does not show, if it has two rows."""
        others = [axis for axis in grid.axes if axis not in (SIZE, self.across)]
        if self.across not in grid.axes or grid.runs[self.across].nunique() < 2:
            return []
        places = [tuple(map(str, place)) for place in grid.runs[others].to_numpy()]
        return [
            Chart(
                "_".join([self.name, "map", *place]),
                self._map(grid.runs[[other == place for other in places]], place),
                caption="exact_map",
            )
            for place in dict.fromkeys(places)
        ]

    def _map(self, mine: pd.DataFrame, place: Sequence[str]) -> Figure:
        said = mine[self.across].map(lambda value: ablations.say(self.words, self.across, value))
        label = ", ".join([*place, "true KL, nats"])
        axes = Axis(self.across, self.across), Axis(SIZE, "k"), Axis(KEY, label, True)
        return heatmaps.heatmap(mine.assign(**{self.across: said}), *axes)

    def _front(self, grid: Grid) -> Figure:
        others = [axis for axis in grid.axes if axis not in (SIZE, self.across)]
        say = partial(ablations.say_all, self.words, between=", ")
        color = grid.runs[[*others, SIZE]].agg(say, axis=1)
        shape = self.across if self.across in grid.axes else SIZE
        shapes = grid.runs[shape].map(lambda value: ablations.say(self.words, shape, value))
        spent = (grid.runs["step_seconds"] * grid.runs["steps"]).fillna(grid.runs["cpu_seconds"])
        drawn = grid.runs.assign(which=color, shape=shapes, spent=spent)
        cost = Axis("spent", "CPU-seconds of training", log=True)
        return fronts.pareto(drawn, cost, Axis(KEY, "true KL, nats", True), "which", "shape")

    def _trades(self, rows: pd.DataFrame) -> list[str]:
        """For each larger k and each kind of model: where it is better, where worse."""
        larger = rows[rows["arm"] != rows["baseline"]]
        kinds = [axis for axis in self.words if axis in rows and axis not in (SIZE, self.across)]
        places = [tuple(map(str, place)) for place in larger[[*kinds, SIZE]].to_numpy()]
        told = []
        for place in dict.fromkeys(places):
            mine = larger[[other == place for other in places]]
            said = map(partial(ablations.say, self.words), [*kinds, SIZE], place)
            told.append(f"{', '.join(said)} against the least k: {self._trade(mine)}.")
        return told

    def _trade(self, mine: pd.DataFrame) -> str:
        level = mine[(mine["gap_low"] <= 0) & (mine["gap_high"] >= 0)]
        groups = {
            "**better** for": mine[mine["gap_high"] < 0],
            "**worse** for": mine[mine["gap_low"] > 0],
            "no difference found for": level,
        }
        parts = [
            f"{words} {wording.listed([self._said(row) for _, row in part.iterrows()])}"
            for words, part in groups.items()
            if len(part)
        ]
        return "; ".join(parts) or "too few finite seeds to tell"

    def _said(self, row: pd.Series) -> str:
        """BCE (−0.0123 [−0.0150, −0.0096])."""
        return f"{ablations.say(self.words, self.across, str(row[self.across]))} ({_gap(row)})"

    def _reached(self, rows: pd.DataFrame) -> str:
        """Who came to the true law with the whole interval, of whom it cannot be told."""
        known = rows.dropna(subset=["value"])
        if known.empty:
            return "No run has a finite KL."
        best = verdicts.best_of(known)
        told = verdicts.goals(known, self.goal, 5)
        limit = f"{wording.brief(self.goal)} nats or less with the whole interval"
        reached = f"{limit}: {told[wording.MET] or 'no arm'}"
        if told[wording.OPEN]:
            reached += f"; cannot be told from these seeds: {told[wording.OPEN]}"
        return f"The least KL is that of **{best['arm']}**, {_reach(best)} nats; {reached}."


def _health(rows: pd.DataFrame) -> str:
    total, lost = int(rows["runs"].sum()), rows[["nonfinite", "diverged"]].max(axis=1)
    names = [str(arm) for arm, count in zip(rows["arm"], lost, strict=True) if count]
    told = wording.listed(names) or "none"
    return f"Of {wording.counted(total, 'run')}, not finite or diverged: {told}."


def _step_seconds(grid: Grid, runs: Sequence[Run]) -> list[float]:
    """CPU-seconds of one gradient, by run."""
    found = {
        (run.experiment, run.seed): run.stages.get("exact", {}).get("cpu_seconds_per_step", np.nan)
        for run in runs
    }
    keys = zip(grid.runs["experiment"], grid.runs["seed"], strict=True)
    return [float(found[experiment, int(seed)]) for experiment, seed in keys]
