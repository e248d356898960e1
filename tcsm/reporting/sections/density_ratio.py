"""Density ratios: a trained model before and after, each way of training on against the start."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from tcsm.reporting import ablations, comparisons, frames, verdicts, wording
from tcsm.reporting.ablations import Grid, Words
from tcsm.reporting.runs import Run
from tcsm.reporting.sections.base import Command, Question, Section
from tcsm.reporting.statistics import Estimate
from tcsm.reporting.tables import Column, Table

KEY, SPLIT = "test_bpc", "test"
COLUMNS = (
    Column("Arm", lambda row: row.arm),
    Column("BPC before", lambda row: wording.number(row.baseline_bpc, 4)),
    Column("BPC after", lambda row: wording.number(row["value"], 4)),
    Column("Difference", lambda row: wording.signed(row.seed_value, 4)),
    Column("95 % over seeds", lambda row: _interval(row, "seed")),
    Column("95 % over sequences", lambda row: _interval(row, "sequence")),
    Column("Verdict", lambda row: wording.outcome(row.seed_low, row.seed_high, row.seed_count)),
)


@dataclass(frozen=True)
class DensityRatios(Question):
    """Every arm against the weights that it started from. Without runs there is no section.

    Attributes:
        axis: what arms do, by the names of its values in ``roles``.
        roles: before (nothing), continued (the objective of before), implicit, explicit (with
            nothing that stabilizes it); all other values are explicit and stabilized.
        likelihood: axis → value of the divergence that is continued training by another name.
        words: axis → value → words, in the order shown.
        command: the line that repeats the section.
    """

    axis: str
    roles: Mapping[str, str]
    likelihood: Mapping[str, str]
    words: Words = field(default_factory=dict)
    command: str = ""

    def __call__(self, runs: Sequence[Run]) -> Section:
        """The section; it has no blocks, and so no place, if nothing was measured."""
        grid = ablations.read(runs, self.name, self.words)
        if grid.runs.empty or self.axis not in grid.axes or grid.runs[KEY].isna().all():
            return self.section()
        rows = self._rows(grid, runs)
        if rows.empty:
            return self.section()
        shown = (*COLUMNS, *verdicts.HEALTH, *verdicts.costs(rows))
        blocks = (Table(self.name, rows, shown), Command("", self.command))
        lead = self._lead(rows)
        parts = [
            lead,
            self._coincidence(grid),
            self._explicit(grid, rows),
            verdicts.failures(rows),
        ]
        return self.section(blocks, " ".join(part for part in parts if part), lead)

    def _rows(self, grid: Grid, runs: Sequence[Run]) -> pd.DataFrame:
        """One row an arm that trained: measure, cost, health, paired differences to the start."""
        names = dict(zip(grid.runs["experiment"], grid.runs["arm"], strict=True))
        start = self._start(grid)
        pairs = [(name, start) for name in names if start and name != start]
        gaps = frames.differences(runs, names, pairs, SPLIT)
        if gaps.empty:
            return gaps
        rows = comparisons.arms(grid, KEY, {}).drop(columns="baseline")
        return rows.merge(gaps, left_on="arm", right_on="subject")

    def _start(self, grid: Grid) -> str:
        """The experiment whose runs take no step."""
        found = comparisons.chosen(grid.runs, {self.axis: self.roles["before"]})
        return str(found["experiment"].iloc[0]) if len(found) else ""

    def _lead(self, rows: pd.DataFrame) -> str:
        """The best ratio, and continued training beside it."""
        plain = rows[rows[self.axis] == self.roles["continued"]]
        ratios = rows.drop(plain.index)
        told = {"The best ratio is": ratios, "Beside it,": plain}
        return " ".join(
            f"{words} {_change(verdicts.best_of(part, 'seed_value'))}"
            for words, part in told.items()
            if len(part)
        )

    def _coincidence(self, grid: Grid) -> str:
        """Implicit generalized KL is continued training (9.2): the measured difference."""
        same = {self.axis: self.roles["implicit"], **self.likelihood}
        ours = comparisons.chosen(grid.runs, same)
        theirs = comparisons.chosen(grid.runs, {self.axis: self.roles["continued"]})
        gap = comparisons.gap_of(ours, theirs, KEY)
        if not gap.count:
            return ""
        return (
            f"{ours['arm'].iloc[0]} is {theirs['arm'].iloc[0]} by another name, its gradients are "
            f"the same: measured, they differ by {wording.signed(gap.value, 4)} BPC "
            f"{wording.interval(gap.low, gap.high, gap.count, 4)}, what rounding makes of them."
        )

    def _explicit(self, grid: Grid, rows: pd.DataFrame) -> str:
        """Whether explicit estimation can be stabilized: each arm against the one left alone."""
        roles = self.roles
        plain = rows[rows[self.axis] == roles["explicit"]]
        known = [roles[name] for name in ("continued", "implicit", "explicit")]
        tamed = rows[~rows[self.axis].isin(known)]
        if plain.empty or tamed.empty:
            return ""
        untamed = wording.listed([_short(row) for _, row in plain.iterrows()])
        told: dict[str, list[str]] = {}
        for _, row in tamed.iterrows():
            mine = {axis: str(row[axis]) for axis in grid.axes}
            gap = self._gap(grid, mine, {**mine, self.axis: roles["explicit"]})
            if gap.count:
                verdict = wording.outcome(gap.low, gap.high, gap.count)
                told.setdefault(verdict, []).append(f"{row['arm']} ({_told(gap)})")
        better = told.pop("better", [])
        works = f"**They can be stabilized**: better than left alone by {wording.listed(better)}"
        head = works if better else "**Nothing tried stabilizes them**"
        rest = "".join(f"; {verdict}: {wording.listed(arms)}" for verdict, arms in told.items())
        said = f"Explicit ratios left alone, to their start: {untamed}. {head}{rest}."
        return f"{said} {self._behind(grid, rows, verdicts.best_of(tamed, 'seed_value'))}".strip()

    def _behind(self, grid: Grid, rows: pd.DataFrame, best: pd.Series) -> str:
        """How the best stands to its start, continued training and the best implicit one."""
        told = [f"To its start: {_short(best)}"]
        for role in ("continued", "implicit"):
            others = rows[rows[self.axis] == self.roles[role]]
            if len(others):
                other = verdicts.best_of(others, "seed_value")
                ours, theirs = ({axis: str(r[axis]) for axis in grid.axes} for r in (best, other))
                gap = self._gap(grid, ours, theirs)
                told.append(
                    f"to {other['arm']}: {_told(gap)}, {wording.verdict(gap.low, gap.high)}"
                )
        return "; ".join(told) + "."

    def _gap(self, grid: Grid, ours: Mapping[str, str], theirs: Mapping[str, str]) -> Estimate:
        first, second = (comparisons.chosen(grid.runs, place) for place in (ours, theirs))
        return comparisons.gap_of(first, second, KEY)


def _told(gap: Estimate) -> str:
    limits = wording.interval(gap.low, gap.high, gap.count, 4)
    return f"{wording.signed(gap.value, 4)} {limits}"


def _interval(row: pd.Series, over: str) -> str:
    return wording.interval(row[f"{over}_low"], row[f"{over}_high"], row[f"{over}_count"], 4)


def _change(row: pd.Series) -> str:
    """Before → after, the difference with both of its intervals, the verdict."""
    before, after = wording.number(row["baseline_bpc"], 4), wording.number(row["value"], 4)
    return (
        f"**{row['arm']}**: {before} → {after} test BPC, {wording.signed(row['seed_value'], 4)} "
        f"{_interval(row, 'seed')} over seeds, {_interval(row, 'sequence')} over sequences: "
        f"{wording.verdict(row['seed_low'], row['seed_high'])}."
    )


def _short(row: pd.Series) -> str:
    return f"{row['arm']} ({wording.signed(row['seed_value'], 4)} {_interval(row, 'seed')})"
