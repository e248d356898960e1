"""Tables of cost and provenance: the CPU time of all runs, their code, data and machine."""

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from tcsm.reporting.frames import Frames, Labels, labeled

Limit = float | int | None
Names = Sequence[str]
HASHES = ("config_sha256", "data_sha256", "weights_sha256")
STAGES = ("train", "evaluate", "sample")
OTHERS = "runs that others need"  # teachers, references


def budget(frames: Frames, labels: Labels, limit: Limit) -> pd.DataFrame:
    """Return one row a model: CPU-seconds by stage, in all, and as a share of the budget."""
    rows = labeled(frames.stages, labels)
    rows = rows[rows["stage"].isin(STAGES)]
    by_stage = rows.groupby(["variant", "stage"], sort=False)["cpu_seconds"].mean().unstack()
    training = rows[rows["stage"] == "train"].groupby("variant", sort=False)
    total = rows.groupby("variant", sort=False)["cpu_seconds"].sum()
    table = by_stage.reindex(index=list(training.groups), columns=list(STAGES)).assign(
        train_most=training["cpu_seconds"].max(),
        total=total,
        share=total / (limit or math.nan),
        tokens_per_second=training["tokens_per_second"].mean(),
        peak_memory_mib=training["peak_memory_mib"].mean(),
    )
    table.insert(0, "runs", training.size())
    return table.rename_axis("variant").reset_index()


def other_budget(
    frames: Frames,
    labels: Labels,
    limit: Limit,
    within: Names | None = None,
    without: Names = (),
) -> pd.DataFrame:
    """Return one row an ablation, and one for runs of none: CPU-seconds of all stages.

    The headline models are left out, and so are experiments, or folders of them, that are not
    ``within`` (by default all are) or are in ``without``.
    """
    runs = frames.runs[~frames.runs["experiment"].isin(list(labels))]
    kept = [
        (within is None or _is_in(name, within)) and not _is_in(name, without)
        for name in runs["experiment"]
    ]
    runs = runs[pd.Series(kept, index=runs.index, dtype=bool)].sort_values(["experiment", "seed"])
    own = runs["ablation"].replace("", OTHERS)
    groups = runs.assign(ablation=own, last=own == OTHERS).groupby(["last", "ablation"])
    table = groups.agg(
        variants=("experiment", "nunique"),
        runs=("seed", "size"),
        most=("all_seconds", "max"),
        total=("all_seconds", lambda spent: spent.sum(skipna=False)),
    ).reset_index()
    return table.drop(columns="last").assign(share=table["total"] / (limit or math.nan))


def provenance(frames: Frames, labels: Labels) -> pd.DataFrame:
    """Return one row a run of these experiments: commits, hashes, machine and versions."""
    stages = frames.stages.set_index(["experiment", "seed", "stage"]).to_dict("index")
    rows = []
    for run in labeled(frames.runs, labels).to_dict("records"):
        row = {key: run[key] for key in ("experiment", "seed")}
        own = {stage: stages.get((*row.values(), stage), {}) for stage in STAGES}
        for stage, record in own.items():
            row |= {f"{stage}_commit": record.get("commit", "")}
            row |= {f"{stage}_dirty": bool(record.get("dirty", False))}
        versions = sorted(own["train"].get("versions", {}).items())
        row |= {key: run[key] for key in HASHES}
        row |= {key: own["train"].get(key, "") for key in ("device", "threads")}
        rows.append(row | {"versions": ", ".join(f"{name} {of}" for name, of in versions)})
    return pd.DataFrame(rows)


def other_provenance(frames: Frames, labels: Labels) -> pd.DataFrame:
    """Return one row for each other experiment, the values of its seeds joined by spaces."""
    runs = frames.runs[~frames.runs["experiment"].isin(list(labels))].sort_values("seed")
    rows = []
    for name, part in runs.groupby("experiment"):
        stages = frames.stages[frames.stages["experiment"] == name]
        made = (stages["commit"] + stages["dirty"].map({True: "+", False: ""})).unique()
        row = {"experiment": name, "runs": len(part), "seeds": _joined(part["seed"])}
        row |= {"commits": _joined(sorted(made)), **{key: _joined(part[key]) for key in HASHES}}
        rows.append(row | {"device": ", ".join(sorted(stages["device"].astype(str).unique()))})
    return pd.DataFrame(rows)


def commits(frames: Frames) -> dict[str, int]:
    """Return how many runs, commits, and runs with uncommitted changes there are."""
    dirty = frames.stages[frames.stages["dirty"].astype(bool)]
    changed = len(dirty[["experiment", "seed"]].drop_duplicates())
    known = frames.stages["commit"].replace("", None).nunique()
    return {"runs": len(frames.all_runs), "commits": known, "dirty": changed}


def _joined(values: Iterable[object]) -> str:
    return " ".join(map(str, values))


def _is_in(experiment: str, names: Names) -> bool:
    return any(f"{experiment}/".startswith(f"{name}/") for name in names)
