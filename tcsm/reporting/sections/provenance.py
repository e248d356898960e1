"""Provenance: from which code, configuration and data each run came, and on what machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tcsm.reporting import frames, wording
from tcsm.reporting.frames import Arms
from tcsm.reporting.runs import Run
from tcsm.reporting.sections.base import Command, Missing, Section
from tcsm.reporting.tables import Column, Table

COLUMNS = (
    Column("Run", lambda row: f"{row.experiment}, seed {row.seed}"),
    Column("Trained at", lambda row: _commit(row.train_commit, row.train_dirty)),
    Column("Evaluated at", lambda row: _commit(row.evaluate_commit, row.evaluate_dirty)),
    Column("Configuration", lambda row: _short(row.config_sha256)),
    Column("Data", lambda row: _short(row.data_sha256)),
    Column("Weights", lambda row: _short(row.weights_sha256)),
    Column("Device", lambda row: row.device or wording.DASH),
    Column("Threads", lambda row: str(row.threads) or wording.DASH),
    Column("Versions", lambda row: row.versions or wording.DASH),
)


@dataclass(frozen=True)
class Provenance:
    """Where every run came from; the CSV holds the whole hashes.

    Attributes:
        arms: experiment → label, in the order shown.
        command: the line that repeats the section.
    """

    arms: Arms
    command: str = ""

    def __call__(self, runs: Sequence[Run]) -> Section:
        """The table and whether one clean commit made it all."""
        title, question = "Provenance", "From which code, data and machine does each run come?"
        mine = [run for name in self.arms for run in frames.of_arm(runs, name)]
        if not mine:
            return Section("provenance", title, question, (Missing("", "The table", "train"),))
        rows = pd.DataFrame([_row(run) for run in mine])
        blocks = (Table("provenance", rows, COLUMNS), Command("", self.command))
        return Section("provenance", title, question, blocks, _answer(rows))


def _row(run: Run) -> dict[str, object]:
    train, evaluate = run.stages.get("train", {}), run.stages.get("evaluate", {})
    return {
        "experiment": run.experiment,
        "seed": run.seed,
        "train_commit": train.get("commit") or "",
        "train_dirty": bool(train.get("dirty", False)),
        "evaluate_commit": evaluate.get("commit") or "",
        "evaluate_dirty": bool(evaluate.get("dirty", False)),
        "config_sha256": run.config_sha256,
        "data_sha256": run.train.get("data_sha256", ""),
        "weights_sha256": run.train.get("weights_sha256", ""),
        "device": train.get("device", ""),
        "threads": train.get("threads", ""),
        "versions": _versions(train.get("versions", {})),
    }


def _versions(versions: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))


def _short(digest: str) -> str:
    return digest[:10] or wording.DASH


def _commit(commit: str, dirty: bool) -> str:
    return _short(commit) + (" + changes" if dirty else "")


def _answer(rows: pd.DataFrame) -> str:
    commits = {str(commit) for commit in rows["train_commit"] if commit}
    dirty = int((rows["train_dirty"] | rows["evaluate_dirty"]).sum())
    changed = f"{wording.counted(dirty, 'run')} with uncommitted changes"
    return (
        f"{wording.counted(len(rows), 'run')} from {wording.counted(len(commits), 'commit')}, "
        f"{changed if dirty else 'none with uncommitted changes'}."
    )
