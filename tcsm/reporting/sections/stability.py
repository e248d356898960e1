"""Stability: runs that met numbers that are not finite, that diverged, or that spiked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from tcsm.reporting import frames, health, wording
from tcsm.reporting.frames import Arms
from tcsm.reporting.runs import Run
from tcsm.reporting.sections.base import Command, Missing, Section
from tcsm.reporting.tables import Column, Table

COLUMNS = (
    Column("Arm", lambda row: row.arm),
    Column("Runs", lambda row: wording.whole(row.runs)),
    Column("Finished", lambda row: wording.whole(row.finished)),
    Column("Non-finite", lambda row: wording.whole(row.nonfinite)),
    Column("Diverged", lambda row: wording.whole(row.diverged)),
    Column("Gradient spikes", lambda row: wording.whole(row.spikes)),
    Column("Largest gradient norm", lambda row: wording.number(row.largest, 2)),
)


@dataclass(frozen=True)
class Stability:
    """What went wrong, by arm.

    Attributes:
        arms: experiment → label, in the order shown.
        key: the metric that judges divergence, in nats a token.
        tolerance: a run diverged if its last tenth of logged steps lies so many nats a token above
            its best tenth.
        spike: a gradient norm so many times the run's median is a spike.
        nonfinite: the metric that counts, since the start, the steps refused as not finite.
        command: the line that repeats the section.
    """

    arms: Arms
    key: str = health.KEY
    tolerance: float = health.TOLERANCE
    spike: float = 10.0
    nonfinite: str = health.NONFINITE
    command: str = ""

    def __call__(self, runs: Sequence[Run]) -> Section:
        """The table and the count of troubled runs."""
        title, question = "Stability", "Did every run stay finite and keep what it had learned?"
        found = [(label, frames.of_arm(runs, name)) for name, label in self.arms.items()]
        rows = pd.DataFrame([self._row(label, mine) for label, mine in found if mine])
        if rows.empty:
            return Section("stability", title, question, (Missing("", "The table", "train"),))
        blocks = (Table("stability", rows, COLUMNS), Command("", self.command))
        return Section("stability", title, question, blocks, _answer(rows))

    def _row(self, label: str, runs: Sequence[Run]) -> dict[str, object]:
        norms = [run.metrics["grad_norm"] for run in runs if "grad_norm" in run.metrics]
        return {
            "arm": label,
            "runs": len(runs),
            "finished": sum(bool(run.train) for run in runs),
            "nonfinite": sum(health.stopped(run, self.nonfinite) for run in runs),
            "diverged": sum(
                health.diverged(run.metrics, self.key, self.tolerance) for run in runs
            ),
            "spikes": sum(int((norm > self.spike * norm.median()).sum()) for norm in norms),
            "largest": max((float(norm.max()) for norm in norms), default=math.nan),
        }


def _answer(rows: pd.DataFrame) -> str:
    total, finished = int(rows["runs"].sum()), int(rows["finished"].sum())
    nonfinite, diverged = int(rows["nonfinite"].sum()), int(rows["diverged"].sum())
    return (
        f"Of {wording.counted(total, 'run')}, {finished} finished, {nonfinite} met a step that "
        f"was not finite and {diverged} diverged."
    )
