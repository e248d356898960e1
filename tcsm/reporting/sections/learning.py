"""Learning: the likelihood bound in bits a token, while training, against the tokens seen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from tcsm.reporting import figures, frames, wording
from tcsm.reporting.figures import Axis
from tcsm.reporting.frames import Arms
from tcsm.reporting.runs import Run
from tcsm.reporting.sections.base import Chart, Command, Missing, Section
from tcsm.reporting.tables import Column, Table


@dataclass(frozen=True)
class Learning:
    """The learning curves.

    Attributes:
        arms: experiment → label, in the order shown.
        key: the metric that every arm logs in nats a token, at some of its steps.
        window: records in the running mean.
        command: the line that repeats the section.
    """

    arms: Arms
    key: str = "valid_nats_per_token"
    window: int = 1
    command: str = ""

    def __call__(self, runs: Sequence[Run]) -> Section:
        """The curves and where they end."""
        title, question = "Learning", "How fast does each arm learn, token for token?"
        rows = frames.curves(runs, self.arms, self.key, self.window)
        if rows.empty:
            return Section("learning", title, question, (Missing("", "The curves", "train"),))
        x = Axis("tokens", "training tokens seen")
        figure = figures.lines(rows, x, Axis("bits", "bits per token"), list(self.arms.values()))
        blocks = (Chart("learning_curves", figure), _points(rows), Command("", self.command))
        return Section("learning", title, question, blocks, _answer(rows))


def _points(rows: pd.DataFrame) -> Table:
    """A row a number of tokens, a column an arm, means over seeds: what tools can draw."""
    arms = list(pd.unique(rows["arm"]))
    wide = rows.pivot_table(index="tokens", columns="arm", values="bits")[arms].reset_index()
    shown = [Column("Tokens", lambda row: wording.large(row["tokens"]))]
    shown += [_column(arm) for arm in arms]
    return Table("learning", wide, tuple(shown), folded="The points of the curves")


def _column(arm: str) -> Column:
    return Column(arm, lambda row: wording.number(row[arm]))


def _answer(rows: pd.DataFrame) -> str:
    ends = (
        rows.groupby(["arm", "seed"], sort=False).last().groupby("arm", sort=False)["bits"].mean()
    )
    best = str(ends.idxmin())
    others = [float(value) for arm, value in ends.items() if arm != best]
    behind = min(others) if others else math.nan
    gap = "" if math.isnan(behind) else f", {wording.number(behind - ends[best])} below the next"
    return (
        f"At the end of training {best} stands lowest, at "
        f"{wording.number(float(ends[best]))} bits per token{gap}."
    )
