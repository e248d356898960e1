"""Tables of the models of a report: likelihood, learning, samples, stability.

``labels`` maps experiments to labels, in the order shown; the column variant holds the label.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tcsm.errors import InputError
from tcsm.reporting.frames import Frames, Labels, labeled
from tcsm.reporting.tables import Row
from tcsm.statistics import over_seeds, ratio

TIMES = ("cpu_seconds", "seconds", "tokens_per_second", "peak_memory_mib")


def headline(frames: Frames, labels: Labels) -> pd.DataFrame:
    """Return one row a model: BPC on both splits, size, data and cost of a run."""
    runs, splits = labeled(frames.runs, labels), labeled(frames.splits, labels)
    times = frames.stages[frames.stages["stage"] == "train"]
    rows = []
    for experiment, own_runs in runs.groupby("experiment", sort=False):
        trained = own_runs[own_runs["trained"]]
        bounds = sorted(set(trained["bound"]) - {""})
        row: Row = {"variant": labels[str(experiment)], "runs": len(own_runs)}
        row |= {"seeds": len(trained), "bound": ", ".join(bounds)}
        for split in ("valid", "test"):
            own = (splits["experiment"] == experiment) & (splits["split"] == split)
            row |= over_seeds(splits.loc[own, "bpc"]).columns(split)
        row |= {key: trained[key].mean() for key in ("parameters", "tokens", "steps")}
        time = times[times["experiment"] == experiment]
        rows.append(row | {key: time[key].mean() for key in TIMES})
    return pd.DataFrame(rows)


def differences(
    frames: Frames, labels: Labels, pairs: Sequence[Sequence[str]], split: str = "test"
) -> pd.DataFrame:
    """Return one row a pair (subject, baseline) with shared seeds: subject − baseline in BPC.

    Raises:
        InputError: two runs were not evaluated on the same sequences.
    """
    splits = frames.splits[frames.splits["split"] == split].sort_values("seed", kind="stable")
    rows = []
    for subject, baseline in pairs:
        one, two = (splits[splits["experiment"] == name] for name in (subject, baseline))
        both = one.merge(two, on="seed", suffixes=("", "_baseline"))
        if len(both):
            names = {"subject": labels[subject], "baseline": labels[baseline]}
            rows.append(names | _difference(both))
    return pd.DataFrame(rows)


def learning_table(frames: Frames, labels: Labels) -> pd.DataFrame:
    """Return the learning curves, means over seeds, by tokens, a column a model."""
    points = labeled(frames.curves, labels)
    table = points.pivot_table(index="tokens", columns="variant", values="bits")
    return table[list(pd.unique(points["variant"]))].reset_index()


def stability(frames: Frames, labels: Labels) -> pd.DataFrame:
    """Return one row a model: runs that finished, diverged, met non-finite steps; spikes."""
    runs = labeled(frames.runs, labels).assign(lost=lambda rows: ~rows["finite"])
    counted = {"runs": ("seed", "size"), "finished": ("trained", "sum")}
    counted |= {"nonfinite": ("lost", "sum"), "diverged": ("diverged", "sum")}
    counted |= {"spikes": ("spikes", "sum"), "largest": ("grad_norm", "max")}
    return runs.groupby("variant", sort=False).agg(**counted).reset_index()


def _difference(both: pd.DataFrame) -> dict[str, object]:
    first = both.iloc[0]
    for side in ("", "_baseline"):
        for folder, chars in zip(both[f"folder{side}"], both[f"chars{side}"], strict=True):
            if not np.array_equal(chars, first["chars"]):
                raise InputError(
                    f"{folder}/evaluate.json: its {first['split']} sequences are not those of "
                    f"{first['folder']}; a paired difference needs the same sequences"
                )
    by_seed = over_seeds(both["bpc"] - both["bpc_baseline"])
    nats = np.mean(list(both["nats"] - both["nats_baseline"]), axis=0)
    reference = float(both["bpc_baseline"].mean())
    row: dict[str, object] = {"baseline_bpc": reference, "share": by_seed.value / reference}
    return row | by_seed.columns("seed") | ratio(nats, first["chars"]).columns("sequence")
