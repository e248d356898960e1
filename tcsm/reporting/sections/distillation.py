"""Distillation: what an autoregressive teacher gives a student, and what its quality is worth."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import pandas as pd

from tcsm.reporting import ablations, comparisons, wording
from tcsm.reporting.ablations import Grid
from tcsm.reporting.runs import Run
from tcsm.reporting.sections.race import Race
from tcsm.reporting.statistics import Estimate, finite
from tcsm.reporting.tables import Column

TEACHER = Column("BPC of the teacher", lambda row: wording.number(row.teacher_bpc))


@dataclass(frozen=True)
class Distillation(Race):
    """A race whose arms are also held against their teachers.

    Attributes:
        worse: value of the baseline's axis → the same arm with a worse teacher.
    """

    worse: Mapping[str, str] = field(default_factory=dict)
    caption: ClassVar[str] = "distillation"

    def more(
        self, runs: Sequence[Run], grid: Grid, rows: pd.DataFrame
    ) -> tuple[pd.DataFrame, tuple[Column, ...]]:
        """The test BPC of those models that an arm learned from."""
        folders = {run.folder: run for run in runs}
        by_arm: dict[str, list[float]] = {}
        for run in runs:
            if ablations.is_part(run, self.name):
                found = by_arm.setdefault(ablations.label(self.words, run), [])
                found += [_bpc(other) for other in ablations.needed(run, folders) if other]
        levels = [finite(by_arm[arm]).value for arm in rows["arm"]]
        return rows.assign(teacher_bpc=levels), (TEACHER,)

    def remarks(self, grid: Grid, rows: pd.DataFrame) -> Sequence[str]:
        """How a worse teacher moves its students."""
        (axis,) = self.baseline
        said = []
        for value, other in self.worse.items():
            better, worse = (comparisons.chosen(grid.runs, {axis: v}) for v in (value, other))
            gap = comparisons.gap_of(worse, better, "test_bpc")
            if gap.count:
                first, second = (str(part["arm"].iloc[0]) for part in (better, worse))
                said.append(_worse(rows, first, second, gap))
        return said


def _bpc(run: Run) -> float:
    return float(run.evaluate.get("splits", {}).get("test", {}).get("bpc", math.nan))


def _worse(rows: pd.DataFrame, first: str, second: str, gap: Estimate) -> str:
    """``With a teacher of 2.9 instead of 2.1 BPC …``."""
    level = rows.set_index("arm")["teacher_bpc"]
    better, worse = (wording.number(level[arm], 2) for arm in (first, second))
    reach = wording.interval(gap.low, gap.high, gap.count)
    return (
        f"With a teacher of {worse} instead of {better} test BPC, {second} ends "
        f"{wording.signed(gap.value)} {reach} from {first}: "
        f"{wording.outcome(gap.low, gap.high, gap.count)}."
    )
