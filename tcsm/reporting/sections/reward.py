"""Reward: what a model gains by a reward and by an independent judge, and what its text pays.

    gain = (mean R of an arm − mean R of the baseline)/sd R of the baseline's texts, of one seed

The goal is a judge's gain of 1 at no more than 5 % of BPC and of entropy. A reward alone that goes
up is over-optimization.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
from matplotlib.figure import Figure

from tcsm.reporting import ablations, comparisons, figures, fronts, gains, verdicts, wording
from tcsm.reporting.ablations import Grid, Words
from tcsm.reporting.figures import Axis
from tcsm.reporting.gains import BPC, JUDGE, KEYS, LACK, REWARD
from tcsm.reporting.runs import Run
from tcsm.reporting.sections.base import (
    Block,
    Chart,
    Command,
    Passage,
    Passages,
    Question,
    Section,
)
from tcsm.reporting.statistics import finite
from tcsm.reporting.tables import Column, Table

GAIN, LIMIT = 1.0, 0.05  # deviations of the judge, share of BPC and of entropy
FRONT = (Axis(BPC, "test BPC, share above the baseline"), Axis(LACK, "judge's gain, negative"))


def _gain(row: pd.Series, key: str) -> str:
    """``+0.52 [+0.31, +0.73]``, in deviations."""
    limits = wording.interval(row[f"{key}_low"], row[f"{key}_high"], row["count"], 2)
    return f"{wording.signed(row[key], 2)} {limits}"


COLUMNS = (
    Column("Arm", lambda row: row.arm),
    Column("Judge's gain, sd", lambda row: _gain(row, JUDGE)),
    Column("Reward's gain, sd", lambda row: _gain(row, REWARD)),
    Column("ΔBPC", lambda row: wording.percent(row[BPC])),
    Column("ΔEntropy", lambda row: wording.percent(row.entropy_share)),
    Column("Repetition", lambda row: wording.number(row.repetition)),
    Column("Reward calls", lambda row: wording.whole(row.calls)),
)


@dataclass(frozen=True)
class Reward(Question):
    """Every arm against the model that all start from. Without grades there is no section.

    Attributes:
        baseline: axis → value of that model's arm.
        sweep: values of the same axis, in the order of their β.
        words: axis → value → words, in the order shown.
        texts: shown of the baseline and of the arm that gains most.
        command: the line that repeats the section.
    """

    baseline: Mapping[str, str]
    sweep: Sequence[str] = ()
    words: Words = field(default_factory=dict)
    texts: int = 4
    command: str = ""

    def __call__(self, runs: Sequence[Run]) -> Section:
        """The section; it has no blocks, and so no place, if nothing was graded."""
        grid = self._graded(runs)
        if grid.runs.empty:
            return self.section()
        rows = _rows(grid, self.baseline)
        swept = self._swept(grid)
        shown = (*COLUMNS, *verdicts.costs(rows), *verdicts.HEALTH)
        blocks: list[Block] = [Table(self.name, rows, shown)]
        blocks.append(Chart(f"{self.name}_front", fronts.pareto(grid.runs, *FRONT)))
        if swept["beta"].nunique() > 1:
            blocks.append(Chart(f"{self.name}_sweep", _sweep(swept)))
        blocks += [self._samples(runs, grid, rows), Command("", self.command)]
        lead = _lead(rows)
        parts = (lead, _cliff(swept), verdicts.failures(rows))
        return self.section(blocks, " ".join(part for part in parts if part), lead)

    def _graded(self, runs: Sequence[Run]) -> Grid:
        """The grid with what the grades say beside the baseline of the same seed."""
        grid = ablations.read(runs, self.name, self.words)
        named = {(run.experiment, run.seed): run for run in runs if run.grade}
        folders = {run.folder: run for run in runs}

        def tell(row: pd.Series, base: pd.Series | None) -> dict[str, float]:
            run = named.get(ablations.place(row))
            other = None if base is None else named.get(ablations.place(base))
            found = gains.beside(run, row, other, row if base is None else base)
            return found | {"calls": gains.calls(run, folders)}

        return comparisons.beside(grid, self.baseline, tell, JUDGE)

    def _swept(self, grid: Grid) -> pd.DataFrame:
        """The runs of the arms whose β is told one by one."""
        axis = next(iter(self.baseline))
        return grid.runs[grid.runs[axis].isin(list(self.sweep))].dropna(subset=["beta"])

    def _samples(self, runs: Sequence[Run], grid: Grid, rows: pd.DataFrame) -> Passages:
        """Texts of the baseline and of the arm that gains most, of one seed."""
        best = rows.iloc[int(rows[JUDGE].argmax())]
        arms = dict.fromkeys([str(best["baseline"]), str(best["arm"])])
        passages = []
        for arm in arms:
            row = grid.runs[grid.runs["arm"] == arm].iloc[0]
            grade = next(
                run.grade for run in runs if (run.experiment, run.seed) == ablations.place(row)
            )
            note = f"judge {wording.number(gains.number(grade['judge_reward']['mean']), 2)}"
            passages.append(Passage(arm, note, tuple(grade["texts"][: self.texts])))
        return Passages("", "Samples", tuple(passages))


def _rows(grid: Grid, baseline: Mapping[str, str]) -> pd.DataFrame:
    """One row an arm, with the means over seeds and the intervals of both gains."""
    rows = comparisons.arms(grid, LACK, baseline)
    by_arm = dict(list(grid.runs.groupby("arm", sort=False)))
    told = []
    for arm in rows["arm"]:
        found = {key: finite(by_arm[arm][key].to_numpy(dtype=float)) for key in KEYS}
        row = {key: estimate.value for key, estimate in found.items()}
        for key in (JUDGE, REWARD):
            row |= {f"{key}_low": found[key].low, f"{key}_high": found[key].high}
        told.append(row)
    return rows.assign(**pd.DataFrame(told))


def _sweep(swept: pd.DataFrame) -> Figure:
    """Both gains against β."""
    parts = {"by the judge": JUDGE, "by the reward": REWARD}
    frame = pd.concat(
        [swept.assign(arm=name, gain=swept[key]) for name, key in parts.items()],
        ignore_index=True,
    )
    x = Axis("beta", "β, nats of log-odds; smaller is greedier", log=True)
    y = Axis("gain", "gain, deviations")
    return figures.lines(frame, x, y, list(parts), band=("se", 1))


def _lead(rows: pd.DataFrame) -> str:
    """Who gains most within the bounds, and whether that is the goal."""
    kept = (rows[BPC] <= LIMIT) & (rows["entropy_share"].abs() <= LIMIT)
    if not kept.any():
        return "No arm keeps BPC and entropy within 5 %."
    best = rows[kept].sort_values(JUDGE).iloc[-1]
    goal = f"a gain of {GAIN:g} by the judge at no more than 5 % of BPC and entropy"
    return (
        f"**{best['arm']}** gains most within 5 % of BPC and entropy: {_gain(best, JUDGE)} "
        f"deviations by the judge, {_gain(best, REWARD)} by the reward, at "
        f"{wording.percent(best[BPC])} BPC and {wording.percent(best['entropy_share'])} entropy. "
        + _met(best).format(goal)
    )


def _met(best: pd.Series) -> str:
    """What the interval of the judge's gain says of the goal; more is better."""
    told = {
        wording.MET: "This reaches {}.",
        wording.MISSED: "The goal is missed: {}.",
        wording.OPEN: "Whether this reaches the goal, {}, cannot be told from these seeds.",
    }
    return told[wording.goal(-best[f"{JUDGE}_high"], -best[f"{JUDGE}_low"], -GAIN)]


def _cliff(swept: pd.DataFrame) -> str:
    """The gains and the price, from the largest β to the smallest."""
    means = swept.groupby("beta")[[JUDGE, REWARD, BPC]].mean().sort_index(ascending=False)
    if len(means) < 2:
        return ""
    told = [
        f"β = {wording.brief(beta)}: {wording.signed(row[JUDGE], 2)} by the judge, "
        f"{wording.signed(row[REWARD], 2)} by the reward, {wording.percent(row[BPC])} BPC"
        for beta, (_, row) in zip(means.index.astype(float), means.iterrows(), strict=True)
    ]
    return f"As β falls, {'; '.join(told)}."
