"""Preference: how often a judge prefers texts of a model to those of its reference, and the price.

    win rate = P(J(x) > J(y)) + ½ P(J(x) = J(y)),    x of the model, y of the reference, same seed

over all pairs of their graded texts; ½ means that nothing was gained.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float64

from tcsm.reporting import ablations, comparisons, fronts, verdicts, wording
from tcsm.reporting.ablations import Grid, Words
from tcsm.reporting.figures import Axis
from tcsm.reporting.runs import Run
from tcsm.reporting.sections.base import Chart, Command, Question, Section
from tcsm.reporting.tables import Column, Table

JUDGED, REWARDED, LOST, BPC = "judge_wins", "reward_wins", "judge_losses", "test_bpc"
FRONT = (Axis(BPC, "test BPC"), Axis(LOST, "share of comparisons lost, by the judge"))


def _rate(row: pd.Series, key: str) -> str:
    """``0.620 [0.600, 0.640]``."""
    known = not np.isnan(row[f"{key}_low"])
    limits = f" [{row[f'{key}_low']:.3f}, {row[f'{key}_high']:.3f}]" if known else ""
    return wording.number(row[f"{key}_value"]) + limits


def _change(row: pd.Series, key: str, digits: int = 3) -> str:
    limits = wording.interval(row[f"{key}_low"], row[f"{key}_high"], row[f"{key}_count"], digits)
    return f"{wording.signed(row[f'{key}_value'], digits)} {limits}"


def _verdict(row: pd.Series) -> str:
    return wording.outcome(0.5 - row["wins_high"], 0.5 - row["wins_low"], row["wins_count"])


COLUMNS = (
    Column("Arm", lambda row: row.arm),
    Column("Wins by the judge", lambda row: _rate(row, "wins")),
    Column("Verdict", _verdict),
    Column("Wins by the reward", lambda row: _rate(row, "rewarded")),
    Column("ΔBPC", lambda row: _change(row, "bpc")),
    Column("in %", lambda row: wording.percent(row.share)),
    Column("ΔEntropy", lambda row: wording.signed(row.entropy_value)),
)


@dataclass(frozen=True)
class Preference(Question):
    """Every arm against the reference's own texts. Without runs there is no section.

    Attributes:
        reference: axis → value of the arm that is the reference.
        pairs: axis → values of the arms that learn from pairs, told one by one.
        words: axis → value → words, in the order shown.
        command: the line that repeats the section.
    """

    reference: Mapping[str, str]
    pairs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    words: Words = field(default_factory=dict)
    command: str = ""

    def __call__(self, runs: Sequence[Run]) -> Section:
        """The section; it has no blocks, and so no place, if nothing was graded."""
        grid = self._graded(runs)
        rows = self._rows(grid)
        if rows.empty:
            return self.section()
        shown = (*COLUMNS, *verdicts.costs(rows), *verdicts.HEALTH)
        chart = Chart(f"{self.name}_front", fronts.pareto(grid.runs, *FRONT))
        blocks = (Table(self.name, rows, shown), chart, Command("", self.command))
        lead = _lead(rows)
        parts = [lead, self._told(rows), _level(grid, rows), verdicts.failures(rows)]
        return self.section(blocks, " ".join(part for part in parts if part), lead)

    def _graded(self, runs: Sequence[Run]) -> Grid:
        """The grid with what the grades say; runs that were not graded are left out."""
        grid = ablations.read(runs, self.name, self.words)
        grades = {(run.experiment, run.seed): run.grade for run in runs if run.grade}

        def grade(row: pd.Series | None) -> Mapping[str, Any]:
            return {} if row is None else grades.get(ablations.place(row), {})

        return comparisons.beside(
            grid, self.reference, lambda row, base: _against(grade(row), grade(base)), JUDGED
        )

    def _rows(self, grid: Grid) -> pd.DataFrame:
        """One row an arm that is not the reference."""
        if grid.runs.empty:
            return pd.DataFrame()
        rows = comparisons.arms(grid, JUDGED, self.reference)
        base = comparisons.chosen(grid.runs, self.reference)
        by_arm = dict(list(grid.runs.groupby("arm", sort=False)))
        rows = rows[rows["arm"] != rows["baseline"]].reset_index(drop=True)
        return rows.assign(**pd.DataFrame([_measures(by_arm[arm], base) for arm in rows["arm"]]))

    def _told(self, rows: pd.DataFrame) -> str:
        """Each objective of pairs in a few words."""
        said = [
            f"{row['arm']} {_rate(row, 'wins')} at {wording.percent(row['share'])} BPC"
            for axis, values in self.pairs.items()
            for _, row in rows[rows[axis].isin(list(values))].iterrows()
        ]
        return f"From pairs: {'; '.join(said)}." if said else ""


def wins(ours: Float64[np.ndarray, "N"], theirs: Float64[np.ndarray, "M"]) -> float:
    """P(ours > theirs) + ½ P(ours = theirs) over all pairs."""
    order = np.sort(theirs)
    below = np.searchsorted(order, ours, "left") + np.searchsorted(order, ours, "right")
    return float(below.mean() / (2 * len(order)))


def _against(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of one run's texts beside those of its reference."""
    judged, rewarded = (
        wins(np.array(ours[key], dtype=np.float64), np.array(theirs[key], dtype=np.float64))
        if ours.get(key) and theirs.get(key)
        else np.nan
        for key in ("judge_rewards", "rewards")
    )
    entropy = ours.get("entropy", np.nan)
    return {JUDGED: judged, REWARDED: rewarded, LOST: 1 - judged, "entropy": entropy}


def _measures(ours: pd.DataFrame, base: pd.DataFrame) -> dict[str, float]:
    """Win rates, and paired changes of what they may have cost."""
    half = base.assign(**{JUDGED: 0.0, REWARDED: 0.0})  # rates as they are, not over ½
    found = {
        "wins": comparisons.gap_of(ours, half, JUDGED),
        "rewarded": comparisons.gap_of(ours, half, REWARDED),
        "bpc": comparisons.gap_of(ours, base, BPC),
        "entropy": comparisons.gap_of(ours, base, "entropy"),
    }
    named = {f"{name}_{key}": v for name, e in found.items() for key, v in vars(e).items()}
    return {**named, "share": found["bpc"].value / float(base[BPC].mean())}


def _lead(rows: pd.DataFrame) -> str:
    """The arm that wins most, by how much and at which cost, or that none does."""
    best = rows.iloc[int(rows["wins_value"].argmax())]
    text = (
        f"**{best['arm']}** wins most: {_rate(best, 'wins')} of comparisons with the reference "
        f"by the judge, {_rate(best, 'rewarded')} by the reward that it learned from, at "
        f"{_change(best, 'bpc')} BPC ({wording.percent(best['share'])})."
    )
    none = not (rows["wins_low"] > 1 / 2).any()
    return f"{text} No arm beats its reference beyond the spread of the seeds." if none else text


def _level(grid: Grid, rows: pd.DataFrame) -> str:
    """Who cannot be told from the arm that wins most, and who is surpassed by nobody."""
    best = str(rows["arm"].iloc[int(rows["wins_value"].argmax())])
    level = comparisons.level_with(grid, JUDGED, best, [a for a in rows["arm"] if a != best])
    same = f"No difference found between {best} and {wording.listed(level)}." if level else ""
    points = fronts.means(grid.runs, BPC, LOST, ["arm"])
    front = [str(arm) for arm in fronts.nondominated(points, BPC, LOST)["arm"]]
    return f"{same} Nobody wins more at less BPC than {wording.listed(front)}.".strip()
