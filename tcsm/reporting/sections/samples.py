"""Samples: what the arms write, and how its quality follows the number of network calls."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from tcsm.reporting import figures, frames, wording
from tcsm.reporting.figures import Axis
from tcsm.reporting.frames import Arms
from tcsm.reporting.records import Record
from tcsm.reporting.runs import Run
from tcsm.reporting.sections.base import Block, Chart, Command, Missing, Passage, Passages, Section
from tcsm.reporting.tables import Column, Table

JUDGED = "judge_bpc"
GROUP = ["arm", "sampler", "steps", "network_calls"]


@dataclass(frozen=True)
class Samples:
    """Texts side by side, their statistics, quality against network calls.

    Attributes:
        arms: experiment → label, in the order shown.
        statistics: key → header of the statistics in the table.
        charts: key → axis label of the statistics drawn against network calls.
        texts: texts shown of each sampler run.
        characters: length at which a text is cut.
        judge: the experiment whose run is the judge, and so no independent case, or None.
        command: the line that repeats the section.
    """

    arms: Arms
    statistics: Mapping[str, str] = field(
        default_factory=lambda: {
            JUDGED: "Judge BPC",
            "entropy": "Entropy, bits",
            "distinct_4": "Distinct-4",
            "repetition": "Repetition",
        }
    )
    charts: Mapping[str, str] = field(
        default_factory=lambda: {
            JUDGED: "bits per character under the judge",
            "entropy": "entropy of the tokens, bits",
        }
    )
    texts: int = 1
    characters: int = 320
    judge: str | None = None
    command: str = ""

    def __call__(self, runs: Sequence[Run]) -> Section:
        """Charts, the table of statistics, the texts of each arm's first seed."""
        title, question = "Samples", "What do the arms write, and how many calls does it take?"
        rows = frames.samples(runs, self.arms)
        if rows.empty:
            return Section("samples", title, question, (Missing("", "The samples", "sample"),))
        blocks = (
            *self._charts(rows),
            self._table(rows),
            *self._passages(runs),
            Command("", self.command),
        )
        return Section("samples", title, question, blocks, self._answer(rows))

    def _charts(self, rows: pd.DataFrame) -> Iterator[Block]:
        x = Axis("network_calls", "network calls", log=True)
        for key, label in self.charts.items():
            known = rows.dropna(subset=[key]) if key in rows else rows.iloc[:0]
            if not known.empty:
                order = list(self.arms.values())
                yield Chart(f"samples_{key}", figures.lines(known, x, Axis(key, label), order))

    def _table(self, rows: pd.DataFrame) -> Table:
        shown = {key: header for key, header in self.statistics.items() if key in rows}
        means = rows.groupby(GROUP, sort=False)[list(shown)].mean().reset_index()
        numbers = [Column(header, _cell(key)) for key, header in shown.items()]
        columns = (
            Column("Arm", lambda row: row.arm),
            Column("Sampler", lambda row: row.sampler),
            Column("Steps", lambda row: wording.whole(row.steps)),
            Column("Network calls", lambda row: wording.whole(row.network_calls)),
        )
        return Table("samples", means, (*columns, *numbers))

    def _passages(self, runs: Sequence[Run]) -> Iterator[Block]:
        for experiment, label in self.arms.items():
            drawn = [run for run in frames.of_arm(runs, experiment) if run.samples]
            if drawn:
                passages = tuple(self._passage(one) for one in drawn[0].samples["runs"])
                yield Passages("", f"{label}, seed {drawn[0].seed}", passages)

    def _passage(self, drawn: Record) -> Passage:
        texts = drawn["texts"][: self.texts]
        cut = tuple(t if len(t) <= self.characters else t[: self.characters] + " …" for t in texts)
        calls = f"{drawn['network_calls']} network calls"
        return Passage(f"{drawn['steps']} steps", f"{drawn['sampler']}, {calls}", cut)

    def _answer(self, rows: pd.DataFrame) -> str:
        key = next((key for key in self.charts if key in rows and rows[key].notna().any()), None)
        if key is None:
            return ""
        judge = self.arms.get(self.judge or "") if key == JUDGED else None
        own = rows["arm"] == judge
        means = rows[~own].groupby(GROUP, sort=False)[key].mean().dropna()
        if means.empty:
            return ""
        best = means.reset_index().sort_values(key, kind="stable").iloc[0]
        header, value = self.statistics.get(key, self.charts[key]), wording.number(best[key])
        the = f"Apart from {judge}, the judge itself, the" if own.any() else "The"
        return f"{the} lowest {header}, {value}, is {best.arm}'s at {best.network_calls} calls."


def _cell(key: str) -> Callable[[Any], str]:
    return lambda row: wording.number(row[key])
