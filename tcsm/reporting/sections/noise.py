"""Noise: where along the path the bits are spent."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from tcsm.reporting import figures, frames, wording
from tcsm.reporting.figures import Axis
from tcsm.reporting.frames import Arms
from tcsm.reporting.runs import Run
from tcsm.reporting.sections.base import Chart, Command, Missing, Section


@dataclass(frozen=True)
class ByNoise:
    """The loss by noise level.

    Attributes:
        arms: experiment → label, in the order shown.
        command: the line that repeats the section.
    """

    arms: Arms
    command: str = ""

    def __call__(self, runs: Sequence[Run]) -> Section:
        """The figure and the level at which the arms part most."""
        title, question = "Loss by noise level", "At which noise level do the arms differ?"
        rows = frames.by_noise(runs, self.arms)
        if rows.empty:
            missing = Missing("", "The loss by noise level", "evaluate")
            return Section("noise", title, question, (missing,))
        x = Axis("noise", "noise level (0 clean text, 1 nothing left)")
        figure = figures.lines(rows, x, Axis("bits", "bits per token"), list(self.arms.values()))
        blocks = (Chart("loss_by_noise", figure), Command("", self.command))
        return Section("noise", title, question, blocks, _answer(rows))


def _answer(rows: pd.DataFrame) -> str:
    """Of the arms that share an estimator: across sources an open site is another thing."""
    most = rows.groupby("bound")["arm"].nunique().idxmax()
    rows = rows[rows["bound"] == most]
    means = rows.groupby(["noise", "arm"])["bits"].mean().unstack()
    shared = means.dropna()
    if shared.empty or len(means.columns) < 2:
        return ""
    spread = shared.max(axis=1) - shared.min(axis=1)
    level = float(spread.index[int(spread.argmax())])
    return (
        f"Arms evaluated by {most} part most at noise level {wording.number(level, 2)}: "
        f"{shared.loc[level].idxmin()} and {shared.loc[level].idxmax()} differ by "
        f"{wording.number(float(spread.max()), 2)} bits per token there."
    )
