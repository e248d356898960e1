"""Story: what TCSM is (caption ``story.md``) and what these runs show, computed from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from tcsm.reporting import ablations, frames, wording
from tcsm.reporting.frames import Arms
from tcsm.reporting.runs import Run
from tcsm.reporting.sections.base import Answers, Section, Text


@dataclass(frozen=True)
class Story:
    """The opening.

    Attributes:
        arms: experiment → label, in the order shown.
        pairs: (subject, baseline) experiments to speak of.
        split: the split of the numbers.
    """

    arms: Arms
    pairs: Sequence[Sequence[str]]
    split: str = "test"

    def __call__(self, runs: Sequence[Run]) -> Section:
        """Two paragraphs, the method and the finding; then the other sections' answers."""
        blocks = (Text("story", self._finding(runs)), Answers())
        return Section("story", "In short", "", blocks)

    def _finding(self, runs: Sequence[Run]) -> str:
        gaps = frames.differences(runs, self.arms, self.pairs, self.split)
        opening = self._opening(runs)
        if gaps.empty:
            return f"{opening} No pair of arms has been evaluated yet."
        return " ".join([opening, *(_sentence(row, self.split) for _, row in gaps.iterrows())])

    def _opening(self, runs: Sequence[Run]) -> str:
        mine = [run.experiment for run in runs if run.experiment in self.arms]
        asked = [run.experiment.partition("/")[0] for run in runs if ablations.values(run)]
        text = f"{wording.counted(len(mine), 'run')} of {wording.counted(len(set(mine)), 'arm')}"
        if asked:
            text += (
                f" and {wording.counted(len(asked), 'run')} of "
                f"{wording.counted(len(set(asked)), 'ablation')}"
            )
        return f"This page is made from {text}."


def _sentence(row: pd.Series, split: str) -> str:
    side = "above" if row.share > 0 else "below"
    gap = wording.number(100 * abs(row.share), 2)
    reach = wording.interval(row.seed_low, row.seed_high, row.seed_count)
    seeds = wording.counted(row.seed_count, "seed")
    return (
        f"**{row.subject} lands {gap} % {side} {row.baseline}** in {split} bits per character "
        f"({wording.number(row.baseline_bpc + row.seed_value)} against "
        f"{wording.number(row.baseline_bpc)}; 95 % interval of the difference {reach}, "
        f"{seeds}): {wording.verdict(row.seed_low, row.seed_high)}."
    )
