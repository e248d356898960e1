"""Provenance and cost: the code, data and machine of every run, and its CPU time."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tcsm.reporting import ablations
from tcsm.reporting.frames import Experiments, seeds_of
from tcsm.reporting.runs import Run

STAGES = ("train", "evaluate", "sample")
OTHERS = "runs that others need"  # teachers, references


def corpora(runs: Iterable[Run]) -> list[str]:
    """Return the titles of the corpora that runs were trained on."""
    return sorted({corpus for run in runs if (corpus := _corpus(run))})


def provenance(runs: Sequence[Run], labels: Experiments) -> pd.DataFrame:
    """Return one row a run of these experiments: commits, hashes, machine and versions."""
    return pd.DataFrame([_origin(run) for name in labels for run in seeds_of(runs, name)])


def other_provenance(runs: Sequence[Run], labels: Experiments) -> pd.DataFrame:
    """Return one row for each other experiment, the values of its seeds joined by spaces."""
    names = sorted({run.experiment for run in runs} - set(labels))
    return pd.DataFrame([_origins(seeds_of(runs, name)) for name in names])


def commits(runs: Sequence[Run]) -> dict[str, int]:
    """Return how many runs, commits, and runs with uncommitted changes there are."""
    stages = [[stage for stage in run.stages.values() if stage] for run in runs]
    known = {stage["commit"] for run in stages for stage in run if stage.get("commit")}
    dirty = sum(any(stage.get("dirty") for stage in run) for run in stages)
    return {"runs": len(runs), "commits": len(known), "dirty": dirty}


def budget(runs: Sequence[Run], labels: Experiments, seconds: float | int | None) -> pd.DataFrame:
    """Return one row a model: CPU-seconds by stage, in all, and as a share of the budget."""
    rows = []
    for name, label in labels.items():
        trained = [run for run in seeds_of(runs, name) if "train" in run.stages]
        cpu = {stage: _known(trained, stage, "cpu_seconds") for stage in STAGES}
        total = sum(sum(values) for values in cpu.values())
        row = {
            "arm": label,
            "runs": len(trained),
            **{stage: _mean(values) for stage, values in cpu.items()},
            "train_most": max(cpu["train"], default=math.nan),
            "total": total,
            "share": total / seconds if seconds else math.nan,
            "tokens_per_second": _mean(_known(trained, "train", "tokens_per_second")),
            "peak_memory_mib": _mean(_known(trained, "train", "peak_memory_mib")),
        }
        rows += [row] if trained else []
    return pd.DataFrame(rows)


def other_budget(
    runs: Sequence[Run],
    labels: Experiments,
    seconds: float | int | None,
    within: Sequence[str] | None = None,
    without: Sequence[str] = (),
) -> pd.DataFrame:
    """Return one row an ablation, and one for runs of none: CPU-seconds of all stages.

    Args:
        runs: all runs; those of ``labels`` are left out.
        labels: experiment → label of the headline models.
        seconds: the budget, if there is one.
        within: experiments, or folders of them, to take; all by default.
        without: those to leave out.
    """
    runs = [run for run in runs if run.experiment not in labels and not _is_in(run, without)]
    runs = [run for run in runs if within is None or _is_in(run, within)]
    groups: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: (run.experiment, run.seed)):
        name = run.experiment.partition("/")[0] if ablations.values(run) else OTHERS
        groups.setdefault(name, []).append(run)
    rows = []
    for name in sorted(groups, key=lambda name: (name == OTHERS, name)):
        spent = [ablations.spent(run, run.stages) for run in groups[name]]
        row = {
            "ablation": name,
            "arms": len({run.experiment for run in groups[name]}),
            "runs": len(spent),
            "most": max(spent),
            "total": sum(spent),
            "share": sum(spent) / seconds if seconds else math.nan,
        }
        rows.append(row)
    return pd.DataFrame(rows)


def _is_in(run: Run, names: Sequence[str]) -> bool:
    return any(f"{run.experiment}/".startswith(f"{name}/") for name in names)


def _origin(run: Run) -> dict[str, object]:
    train = run.stages.get("train", {})
    row: dict[str, object] = {"experiment": run.experiment, "seed": run.seed}
    for stage in STAGES:
        record = run.stages.get(stage, {})
        row[f"{stage}_commit"] = record.get("commit") or ""
        row[f"{stage}_dirty"] = bool(record.get("dirty", False))
    versions = sorted(train.get("versions", {}).items())
    return row | {
        "config_sha256": run.config_sha256,
        "data_sha256": _data(run),
        "weights_sha256": _product(run),
        "device": train.get("device", ""),
        "threads": train.get("threads", ""),
        "versions": ", ".join(f"{name} {version}" for name, version in versions),
    }


def _origins(runs: Sequence[Run]) -> dict[str, object]:
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


def _data(run: Run) -> str:
    """Return the checksum of the text that a run reads; "" without a text."""
    records = (run.train, run.targets)
    return next((record["data_sha256"] for record in records if "data_sha256" in record), "")


def _product(run: Run) -> str:
    """Return the checksum of what a run leaves for others: weights, classifier, collection."""
    weights = [record.get("weights_sha256") for record in (run.train, run.exact, run.reward)]
    digests = [*weights, run.collect.get("sha256"), run.pair.get("sha256")]
    return next((str(digest) for digest in digests if digest), "")


def _corpus(run: Run) -> str:
    """Return the title of a run's corpus; without it in the record, what its config names."""
    title, node = run.train.get("corpus"), run.config.get("corpus", {}) if run.train else {}
    names = (node.get(key) for key in ("path", "name", "member", "_target_"))
    name = next((str(name) for name in names if name), "")
    return str(title or (Path(name).name if "path" in node else name.rpartition(".")[2].lower()))


def _known(runs: Sequence[Run], stage: str, key: str) -> list[float]:
    values = [run.stages.get(stage, {}).get(key) for run in runs]
    return [float(value) for value in values if value is not None]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan
