"""Differences: each subject against its baseline, paired over seeds and over sequences."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from tcsm.reporting import frames, wording
from tcsm.reporting.frames import Arms
from tcsm.reporting.runs import Run
from tcsm.reporting.sections.base import Command, Missing, Section
from tcsm.reporting.tables import Column, Table


def _reach(row: pd.Series, over: str) -> str:
    return wording.interval(row[f"{over}_low"], row[f"{over}_high"], row[f"{over}_count"])


COLUMNS = (
    Column("Comparison", lambda row: f"{row.subject} − {row.baseline}"),
    Column("ΔBPC", lambda row: wording.signed(row.seed_value)),
    Column("in %", lambda row: wording.percent(row.share)),
    Column("95 % over seeds", lambda row: _reach(row, "seed")),
    Column("Seeds", lambda row: wording.whole(row.seed_count)),
    Column("95 % over sequences", lambda row: _reach(row, "sequence")),
    Column("Sequences", lambda row: wording.whole(row.sequence_count)),
)


@dataclass(frozen=True)
class Differences:
    """The paired comparisons.

    Attributes:
        arms: experiment → label.
        pairs: (subject, baseline) experiments, in the order shown.
        split: the split that is compared.
        command: the line that repeats the section.
    """

    arms: Arms
    pairs: Sequence[Sequence[str]]
    split: str = "test"
    command: str = ""

    def __call__(self, runs: Sequence[Run]) -> Section:
        """The table and one sentence a pair."""
        title, question = "Differences", "Does matching the target score pay against the baseline?"
        rows = frames.differences(runs, self.arms, self.pairs, self.split)
        if rows.empty:
            missing = Missing("", "The paired differences", "evaluate")
            return Section("differences", title, question, (missing,))
        answer = " ".join(_sentence(row) for _, row in rows.iterrows())
        blocks = (Table("differences", rows, COLUMNS), Command("", self.command))
        return Section("differences", title, question, blocks, answer)


def _sentence(row: pd.Series) -> str:
    return (
        f"{row.subject} against {row.baseline}: {wording.signed(row.seed_value)} BPC "
        f"({wording.percent(row.share)}); {wording.verdict(row.seed_low, row.seed_high)}."
    )
