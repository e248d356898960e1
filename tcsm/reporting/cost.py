"""Tables of cost and provenance: the CPU time of all runs, their code, data and machine."""

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from tcsm.reporting.frames import Frames, Labels

Names = Sequence[str]
HASHES = ("config_sha256", "data_sha256", "weights_sha256")
OTHERS = "runs that others need"  # teachers, references


def budget(
    frames: Frames,
    labels: Labels,
    limit: float | None,
    within: Names | None = None,
    without: Names = (),
) -> pd.DataFrame:
    """Return one row a model or an ablation, and one for runs of none: CPU-seconds of all stages.

    Experiments, or folders of them, that are not ``within`` (by default all are) or are in
    ``without`` are left out.
    """
    kept = [
        (within is None or _is_in(name, within)) and not _is_in(name, without)
        for name in frames.runs["experiment"]
    ]
    runs = frames.runs[pd.Series(kept, index=frames.runs.index, dtype=bool)]
    runs = runs.sort_values(["experiment", "seed"])
    order = [*labels.values(), *sorted(set(runs["ablation"]) - {""}), OTHERS]
    own = runs["ablation"].replace("", OTHERS)
    groups = runs.assign(variant=runs["experiment"].map(dict(labels)).fillna(own))
    table = groups.groupby("variant").agg(
        variants=("experiment", "nunique"),
        runs=("seed", "size"),
        most=("all_seconds", "max"),
        total=("all_seconds", lambda spent: spent.sum(skipna=False)),
    )
    rows = table.reindex([name for name in order if name in table.index]).reset_index()
    return rows.assign(share=rows["total"] / (limit or math.nan))


def provenance(frames: Frames, _: Labels) -> pd.DataFrame:
    """Return one row an experiment, the values of its seeds joined by spaces."""
    runs, rows = frames.runs.sort_values("seed"), []
    for name, part in runs.groupby("experiment"):
        stages = frames.stages[frames.stages["experiment"] == name]
        made = (stages["commit"] + stages["dirty"].eq(True).map({True: "+", False: ""})).unique()
        row = {"experiment": name, "runs": len(part), "seeds": _joined(part["seed"])}
        row |= {"commits": _joined(sorted(made)), **{key: _joined(part[key]) for key in HASHES}}
        versions = [one for one in stages["versions"] if isinstance(one, dict)][:1]
        named = (f"{name} {of}" for one in versions for name, of in sorted(one.items()))
        row |= {"device": ", ".join(sorted(stages["device"].astype(str).unique()))}
        rows.append(row | {"versions": ", ".join(named)})
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
