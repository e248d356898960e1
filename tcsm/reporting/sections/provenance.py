"""Provenance: from which code, configuration and data each run came, and on what machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tcsm.reporting import frames, wording
from tcsm.reporting.frames import Arms
from tcsm.reporting.runs import Run
from tcsm.reporting.sections.base import Block, Command, Missing, Section
from tcsm.reporting.tables import Column, Table

COLUMNS = (
    Column("Run", lambda row: f"{row.experiment}, seed {row.seed}"),
    Column("Trained at", lambda row: _commit(row.train_commit, row.train_dirty)),
    Column("Evaluated at", lambda row: _commit(row.evaluate_commit, row.evaluate_dirty)),
    Column("Sampled at", lambda row: _commit(row.sample_commit, row.sample_dirty)),
    Column("Configuration", lambda row: _short(row.config_sha256)),
    Column("Data", lambda row: _short(row.data_sha256)),
    Column("Weights", lambda row: _short(row.weights_sha256)),
    Column("Device", lambda row: row.device or wording.DASH),
    Column("Threads", lambda row: str(row.threads) or wording.DASH),
    Column("Versions", lambda row: row.versions or wording.DASH),
)
OTHERS = (
    Column("Experiment", lambda row: row.experiment),
    Column("Runs", lambda row: wording.whole(row.runs)),
    Column("Made at", lambda row: _commits(row.commits)),
    Column("Configurations", lambda row: _each(row.config_sha256)),
    Column("Data", lambda row: _each(row.data_sha256)),
    Column("Weights", lambda row: _each(row.weights_sha256)),
    Column("Device", lambda row: row.device or wording.DASH),
)


@dataclass(frozen=True)
class Provenance:
    """Where every run came from; the CSV holds the whole hashes.

    Runs of ablations, and those that others need, are told by experiment, behind a fold.

    Attributes:
        arms: experiment → label, in the order shown.
        command: the line that repeats the section.
    """

    arms: Arms
    command: str = ""

    def __call__(self, runs: Sequence[Run]) -> Section:
        """The tables and whether one clean commit made it all."""
        title, question = "Provenance", "From which code, data and machine does each run come?"
        if not runs:
            return Section("provenance", title, question, (Missing("", "The table", "train"),))
        mine = [run for name in self.arms for run in frames.of_arm(runs, name)]
        rest = {run.experiment: frames.of_arm(runs, run.experiment) for run in runs}
        others = [_others(rest[name]) for name in sorted(rest) if name not in self.arms]
        blocks: list[Block] = []
        if mine:
            blocks.append(Table("provenance", pd.DataFrame([_row(run) for run in mine]), COLUMNS))
        if others:
            rows, fold = (
                pd.DataFrame(others),
                f"{len(others)} experiments of ablations and needed runs",
            )
            blocks.append(Table("provenance_ablations", rows, OTHERS, folded=fold))
        blocks.append(Command("", self.command))
        return Section("provenance", title, question, tuple(blocks), _answer(runs))


def _row(run: Run) -> dict[str, object]:
    train = run.stages.get("train", {})
    return {
        "experiment": run.experiment,
        "seed": run.seed,
        **_made(run, "train"),
        **_made(run, "evaluate"),
        **_made(run, "sample"),
        "config_sha256": run.config_sha256,
        "data_sha256": _data(run),
        "weights_sha256": _product(run),
        "device": train.get("device", ""),
        "threads": train.get("threads", ""),
        "versions": _versions(train.get("versions", {})),
    }


def _made(run: Run, stage: str) -> dict[str, object]:
    """The commit at which a stage of a run was computed, and whether the tree was changed."""
    told = run.stages.get(stage, {})
    commit, dirty = told.get("commit") or "", bool(told.get("dirty", False))
    return {f"{stage}_commit": commit, f"{stage}_dirty": dirty}


def _data(run: Run) -> str:
    """The checksum of the text that a run reads; a world that is known whole reads none."""
    records = (run.train, run.targets)
    return next((found["data_sha256"] for found in records if "data_sha256" in found), "")


def _product(run: Run) -> str:
    """The checksum of what a run leaves for others: weights, a classifier or a collection."""
    weights = [record.get("weights_sha256") for record in (run.train, run.exact, run.reward)]
    found = [*weights, run.collect.get("sha256"), run.pair.get("sha256")]
    return next((str(digest) for digest in found if digest), "")


def _versions(versions: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))


def _short(digest: str) -> str:
    return digest[:10] or wording.DASH


def _commit(commit: str, dirty: bool) -> str:
    return _short(commit) + (" + changes" if dirty else "")


def _others(runs: Sequence[Run]) -> dict[str, object]:
    """The runs of one experiment: what each came from, a word a seed."""
    stages = [stage for run in runs for stage in run.stages.values()]
    made = {(stage.get("commit") or "", bool(stage.get("dirty"))) for stage in stages}
    return {
        "experiment": runs[0].experiment,
        "runs": len(runs),
        "seeds": " ".join(str(run.seed) for run in runs),
        "commits": " ".join(sorted(commit + "+" * dirty for commit, dirty in made)),
        "config_sha256": " ".join(run.config_sha256 for run in runs),
        "data_sha256": " ".join(map(_data, runs)),
        "weights_sha256": " ".join(map(_product, runs)),
        "device": ", ".join(sorted({str(stage.get("device", "")) for stage in stages})),
    }


def _commits(commits: str) -> str:
    return ", ".join(_commit(c.rstrip("+"), c.endswith("+")) for c in commits.split())


def _each(hashes: str) -> str:
    """The first of several hashes, and how many others there are."""
    found = sorted(set(hashes.split()))
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return _short(found[0] if found else "") + more


def _answer(runs: Sequence[Run]) -> str:
    stages = [[stage for stage in run.stages.values() if stage] for run in runs]
    commits = {stage["commit"] for mine in stages for stage in mine if stage.get("commit")}
    if not commits:
        count = wording.counted(len(runs), "run")
        return f"{count}; the files that name their commits are not here: DVC does not carry them."
    dirty = sum(any(stage.get("dirty") for stage in mine) for mine in stages)
    changed = f"{wording.counted(dirty, 'run')} with uncommitted changes"
    return (
        f"{wording.counted(len(runs), 'run')} from {wording.counted(len(commits), 'commit')}, "
        f"{changed if dirty else 'none with uncommitted changes'}."
    )
