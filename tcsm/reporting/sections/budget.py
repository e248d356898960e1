"""Budget: the processor time that the runs were allowed together, against what they took."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tcsm.reporting import ablations, frames, wording
from tcsm.reporting.frames import Arms
from tcsm.reporting.runs import Run
from tcsm.reporting.sections.base import Block, Command, Missing, Section
from tcsm.reporting.tables import Column, Table

STAGES = ("train", "evaluate", "sample")
COLUMNS = (
    Column("Arm", lambda row: row.arm),
    Column("Runs", lambda row: wording.whole(row.runs)),
    Column("Training a run", lambda row: wording.duration(row.train)),
    Column("most", lambda row: wording.duration(row.train_most)),
    Column("Evaluation a run", lambda row: wording.duration(row.evaluate)),
    Column("Sampling a run", lambda row: wording.duration(row["sample"])),
    Column("All runs", lambda row: wording.duration(row.total)),
    Column("of the budget", lambda row: wording.share(row.share)),
    Column("Tokens a second", lambda row: wording.whole(row.tokens_per_second)),
    Column("Peak memory, MiB", lambda row: wording.whole(row.peak_memory_mib)),
)
ABLATIONS = (
    Column("Ablation", lambda row: row.ablation),
    Column("Arms", lambda row: wording.whole(row.arms)),
    Column("Runs", lambda row: wording.whole(row.runs)),
    Column("A run", lambda row: wording.duration(row.total / row.runs)),
    Column("most", lambda row: wording.duration(row.most)),
    Column("All runs", lambda row: wording.duration(row.total)),
    Column("of the budget", lambda row: wording.share(row.share)),
)
OTHERS = "runs that others need"  # teachers, references


@dataclass(frozen=True)
class Budget:
    """Budget against actual.

    Attributes:
        arms: experiment → label, in the order shown.
        seconds: CPU-seconds that all runs of these arms may take together; None: no budget.
        ablations: CPU-seconds that all other runs may take together; None: no budget.
        tuned: experiments, or the first part of their names, whose runs tune what was trained.
        post_training: CPU-seconds that these may take together; None: no budget.
        command: the line that repeats the section.
    """

    arms: Arms
    seconds: float | int | None = None
    ablations: float | int | None = None
    tuned: Sequence[str] = ()
    post_training: float | int | None = None
    command: str = ""

    def __call__(self, runs: Sequence[Run]) -> Section:
        """A table of the arms, one of the ablations, and the totals."""
        title, question = "Budget", "What were the runs allowed to cost, and what did they cost?"
        found = [(label, _timed(runs, name)) for name, label in self.arms.items()]
        rows = pd.DataFrame([self._row(label, mine) for label, mine in found if mine])
        rest = [run for run in runs if run.experiment not in self.arms]
        others = _others([run for run in rest if not self._tuned(run)], self.ablations)
        tuned = _others([run for run in rest if self._tuned(run)], self.post_training)
        tables = (
            Table("budget", rows, COLUMNS),
            Table("budget_ablations", others, ABLATIONS),
            Table("budget_post_training", tuned, ABLATIONS, "budget_ablations"),
        )
        blocks: list[Block] = [table for table in tables if not table.frame.empty]
        if not blocks:
            return Section("budget", title, question, (Missing("", "The budget", "train"),))
        blocks.append(Command("", self.command))
        parts = (
            ("Together", rows, self.seconds),
            ("For ablations", others, self.ablations),
            ("For post-training", tuned, self.post_training),
        )
        answer = " ".join(_answer(*part) for part in parts if not part[1].empty)
        return Section("budget", title, question, tuple(blocks), answer)

    def _tuned(self, run: Run) -> bool:
        return any(
            run.experiment == name or run.experiment.startswith(f"{name}/") for name in self.tuned
        )

    def _row(self, label: str, runs: Sequence[Run]) -> dict[str, object]:
        cpu = {stage: _known(runs, stage, "cpu_seconds") for stage in STAGES}
        total = sum(sum(values) for values in cpu.values())
        return {
            "arm": label,
            "runs": len(runs),
            **{stage: _mean(values) for stage, values in cpu.items()},
            "train_most": max(cpu["train"]),
            "total": total,
            "share": total / self.seconds if self.seconds else math.nan,
            "tokens_per_second": _mean(_known(runs, "train", "tokens_per_second")),
            "peak_memory_mib": _mean(_known(runs, "train", "peak_memory_mib")),
        }


def _others(runs: Sequence[Run], budget: float | int | None) -> pd.DataFrame:
    """One row an ablation, and one for the runs of no ablation; every stage counts."""
    groups: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: (run.experiment, run.seed)):
        name = run.experiment.partition("/")[0] if ablations.values(run) else OTHERS
        groups.setdefault(name, []).append(run)
    last = sorted(groups, key=lambda name: (name == OTHERS, name))
    return pd.DataFrame([_group(name, groups[name], budget) for name in last])


def _group(name: str, runs: Sequence[Run], budget: float | int | None) -> dict[str, object]:
    spent = [ablations.spent(run, run.stages) for run in runs]
    return {
        "ablation": name,
        "arms": len({run.experiment for run in runs}),
        "runs": len(runs),
        "most": max(spent),
        "total": sum(spent),
        "share": sum(spent) / budget if budget else math.nan,
    }


def _answer(opening: str, rows: pd.DataFrame, seconds: float | int | None) -> str:
    total = float(rows["total"].sum(skipna=False))
    if math.isnan(total):
        return f"{opening} the times of some runs are not here: DVC does not carry them."
    took = f"{wording.counted(rows['runs'].sum(), 'run')} took {wording.duration(total)}"
    if not seconds:
        return f"{opening} {took} of CPU time; no budget was set."
    return (
        f"{opening} {took} of CPU time, {wording.share(total / seconds)} of the "
        f"{wording.duration(seconds)} allowed."
    )


def _timed(runs: Sequence[Run], experiment: str) -> list[Run]:
    return [run for run in frames.of_arm(runs, experiment) if "train" in run.stages]


def _known(runs: Sequence[Run], stage: str, key: str) -> list[float]:
    found = [run.stages.get(stage, {}).get(key) for run in runs]
    return [float(value) for value in found if value is not None]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan
