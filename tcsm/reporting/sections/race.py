"""A race: do other targets reach the baseline's last value sooner, and does it pay?"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pandas as pd

from tcsm.reporting import ablations, comparisons, figures, health, pace, verdicts, wording
from tcsm.reporting.ablations import Grid, Words
from tcsm.reporting.figures import Axis
from tcsm.reporting.runs import Run
from tcsm.reporting.sections.base import Block, Chart, Command, Question, Section
from tcsm.reporting.tables import Column, Table

X = {
    "tokens": "training tokens seen",
    "seconds": "CPU-seconds, teacher and targets included",
}
HEADERS = {"steps": "Steps to reach", "time": "Time to reach", "own": "without teacher"}


@dataclass(frozen=True)
class Race(Question):
    """Curves against tokens and time, shares of the baseline's way. Without runs: no section.

    Attributes:
        baseline: axis → value of the one arm that others are held against.
        words: axis → value → words, in the order shown.
        goal: the share of the baseline's steps that is hoped for.
        key: the metric of the curves, in nats a token.
        command: the line that repeats the section.
    """

    baseline: Mapping[str, str]
    words: Words = field(default_factory=dict)
    goal: float = 2 / 3
    key: str = health.KEY
    command: str = ""
    caption: ClassVar[str] = "acceleration"

    def __call__(self, runs: Sequence[Run]) -> Section:
        """The section; it has no blocks, and so no place, if nothing was trained."""
        points = pace.curves(runs, self.name, self.words, self.key)
        if points.empty:
            return self.section()
        grid = ablations.read(runs, self.name, self.words)
        base = comparisons.chosen(grid.runs, self.baseline)
        label = str(base["arm"].iloc[0]) if len(base) else ""
        rows = self._rows(comparisons.arms(grid, "test_bpc", self.baseline), points, label)
        rows, more = self.more(runs, grid, rows)
        name, bpc, gap, _ = verdicts.measured("Test BPC")
        shown = (name, *_columns(), bpc, gap, *more, *verdicts.costs(rows), *verdicts.HEALTH)
        blocks: tuple[Block, ...] = (
            Table(self.name, rows, shown, caption=self.caption),
            *(self._chart(points, axis) for axis in X if points[axis].notna().any()),
            Command("", self.command),
        )
        answer = [*self._answer(rows, label), *self.remarks(grid, rows)]
        return self.section(blocks, " ".join(part for part in answer if part), answer[0])

    def more(
        self, runs: Sequence[Run], grid: Grid, rows: pd.DataFrame
    ) -> tuple[pd.DataFrame, tuple[Column, ...]]:
        """The rows with more to show, and the columns that show it."""
        return rows, ()

    def remarks(self, grid: Grid, rows: pd.DataFrame) -> Sequence[str]:
        """Sentences that follow the answer."""
        return ()

    def _chart(self, points: pd.DataFrame, axis: str) -> Block:
        x, y = Axis(axis, X[axis]), Axis("bits", "validation bits per token")
        known = pace.even(points, axis).dropna(subset=[axis])
        figure = figures.lines(known, x, y, list(pd.unique(points["arm"])))
        return Chart(f"{self.name}_{axis}", figure, caption=f"acceleration_{axis}")

    def _rows(self, rows: pd.DataFrame, points: pd.DataFrame, label: str) -> pd.DataFrame:
        found = pace.shares(points, label)
        base = points[points["arm"] == label].groupby("seed")["seconds"].max()
        rows["baseline_seconds"] = float(base.mean())
        for share in pace.SHARES:
            told = [pace.reached(found, arm, share) for arm in rows["arm"]]
            rows[f"{share}_reached"] = [count for count, _, _ in told]
            rows[f"{share}_of"] = [total for _, total, _ in told]
            for part in ("value", "low", "high"):
                rows[f"{share}_{part}"] = [getattr(estimate, part) for _, _, estimate in told]
        return rows

    def _answer(self, rows: pd.DataFrame, label: str) -> list[str]:
        """The fastest arm against the goal; its time; who never arrives."""
        others = rows[rows["arm"] != label]
        whole = others[(others["steps_reached"] == others["steps_of"]) & (others["steps_of"] > 0)]
        late = [str(arm) for arm in others["arm"] if arm not in set(whole["arm"])]
        missed = f"Not in every seed: {wording.listed(late)}." if late else ""
        if not label:
            return ["The baseline has not been run, so there is nothing to reach."]
        if whole.empty:
            return [f"No arm reaches the last value of {label} in every seed."]
        best = verdicts.best_of(whole, "steps_value")
        return [
            f"**{best['arm']}** reaches the last value of {label} after "
            f"{_share(best, 'steps')} of its steps: {_against(best, self.goal)}; "
            f"with all that it needs, {_share(best, 'time')} of its CPU time: {_pays(best)}.",
            _amortized(best),
            missed,
        ]


def _columns() -> tuple[Column, ...]:
    return tuple(Column(header, _cell(share)) for share, header in HEADERS.items())


def _cell(share: str) -> Callable[[Any], str]:
    return lambda row: "1" if row["arm"] == row["baseline"] else _told(row, share)


def _told(row: pd.Series, share: str) -> str:
    """``0.71 [0.60, 0.82]``; the mean of those that reached it; or that none did."""
    count, total = int(row[f"{share}_reached"]), int(row[f"{share}_of"])
    if count == 0:
        return "not reached" if total and row["steps_reached"] == 0 else wording.DASH
    if count < total:
        return f"{wording.number(row[f'{share}_value'], 2)} ({count} of {total})"
    return _share(row, share)


def _share(row: pd.Series, share: str) -> str:
    value, low, high = (row[f"{share}_{part}"] for part in ("value", "low", "high"))
    reach = "" if math.isnan(low) else f" [{wording.number(low, 2)}, {wording.number(high, 2)}]"
    return f"{wording.number(value, 2)}{reach}"


def _against(row: pd.Series, goal: float) -> str:
    """Whether the interval lies below the goal, above it, or holds it."""
    limit = f"the goal of {wording.number(goal, 2)}"
    low, high = row["steps_low"], row["steps_high"]
    if math.isnan(low):
        side = "below" if row["steps_value"] <= goal else "above"
        return f"{side} {limit}, by one seed"
    told = wording.goal(low, high, goal)
    if told == wording.OPEN:
        return f"whether {limit} is met cannot be told from these seeds"
    return f"{limit} is {told}"


def _pays(row: pd.Series) -> str:
    low, high = row["time_low"], row["time_high"]
    if math.isnan(low):
        return "too few seeds to say whether it pays"
    if high < 1:
        return "it pays"
    return "it does not pay in time" if low > 1 else "no difference in time found"


def _amortized(row: pd.Series) -> str:
    """What the time would be if the teacher were there already, or were shared."""
    if math.isnan(row["own_value"]) or not row["needed_seconds"] > 0:
        return ""
    share = _share(row, "own")
    alone = f"Were its teacher trained already, it would take {share} of the time"
    if wording.goal(row["own_low"], row["own_high"], 1.0) == wording.OPEN:
        return f"{alone}; whether sharing it would ever pay cannot be told from these seeds."
    saved = (1 - row["own_value"]) * row["baseline_seconds"]
    if saved <= 0:
        return f"{alone}: no number of runs that share the teacher would pay for it."
    runs = math.ceil(row["needed_seconds"] / saved)
    return f"{alone}; shared by {wording.counted(runs, 'run')} or more, the teacher would pay."
