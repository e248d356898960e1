"""Headline: bits per character by arm, with what each run cost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tcsm.reporting import figures, frames, wording
from tcsm.reporting.figures import Axis
from tcsm.reporting.frames import Arms
from tcsm.reporting.runs import Run
from tcsm.reporting.sections.base import Block, Chart, Command, Missing, Section
from tcsm.reporting.tables import Column, Table

COLUMNS = (
    Column("Arm", lambda row: row.arm),
    Column("Test BPC", lambda r: wording.plus_minus(r.test_value, r.test_error, r.test_count)),
    Column("Valid BPC", lambda r: wording.plus_minus(r.valid_value, r.valid_error, r.valid_count)),
    Column("Seeds", lambda row: wording.whole(row.seeds)),
    Column("Likelihood", lambda row: row.bound or wording.DASH),
    Column("Parameters", lambda row: wording.large(row.parameters)),
    Column("Tokens", lambda row: wording.large(row.tokens)),
    Column("Steps", lambda row: wording.whole(row.steps)),
    Column("CPU a run", lambda row: wording.duration(row.cpu_seconds)),
    Column("Wall a run", lambda row: wording.duration(row.seconds)),
)


@dataclass(frozen=True)
class Headline:
    """The table that one looks for first.

    Attributes:
        arms: experiment → label, in the order shown.
        split: the split of the figure and the answer.
        command: the line that repeats the section.
    """

    arms: Arms
    split: str = "test"
    command: str = ""

    def __call__(self, runs: Sequence[Run]) -> Section:
        """The table, the figure, the best arm."""
        title, question = "Headline", "How many bits does each arm need for a character of text?"
        rows = frames.headline(runs, self.arms)
        if rows.empty:
            return Section(
                "headline", title, question, (Missing("", "The headline table", "train"),)
            )
        blocks: list[Block] = [Table("headline", rows, COLUMNS), self._figure(runs)]
        blocks.append(Command("", self.command))
        numbers = {row["arm"]: _bpc(row) for row in rows.to_dict("records")}
        answer = self._answer(rows)
        return Section("headline", title, question, tuple(blocks), answer, numbers=numbers)

    def _figure(self, runs: Sequence[Run]) -> Block:
        points = frames.points(runs, self.arms, self.split)
        if points.empty:
            return Missing("", "The figure of bits per character", "evaluate")
        axis = Axis("bpc", f"{self.split} bits per character (lower is better)")
        return Chart("bpc_by_arm", figures.by_arm(points, axis, list(self.arms.values())))

    def _answer(self, rows: pd.DataFrame) -> str:
        known = rows.dropna(subset=[f"{self.split}_value"])
        if known.empty:
            return ""
        best = known.sort_values(f"{self.split}_value", kind="stable").iloc[0]
        value, error, count = (best[f"{self.split}_{key}"] for key in ("value", "error", "count"))
        return (
            f"{best.arm} needs the fewest: {wording.plus_minus(value, error, count)} "
            f"{self.split} bits per character over {wording.counted(count, 'seed')}."
        )


def _bpc(row: Mapping[Any, Any]) -> dict[str, float]:
    """What is known of an arm's bits per character, by split."""
    keys = {f"{split}_bpc": f"{split}_value" for split in ("test", "valid")}
    return {name: row[key] for name, key in keys.items() if math.isfinite(row[key])}
