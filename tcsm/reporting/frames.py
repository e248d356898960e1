"""Frames: runs turned into pandas frames, one row an arm, a pair, a logged step or a sampler run.

An arm is an experiment with its label; ``arms`` maps the one to the other, in the order shown.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tcsm.errors import InputError
from tcsm.reporting.records import Record
from tcsm.reporting.runs import Run
from tcsm.reporting.statistics import NOTHING, Array, Estimate, over_seeds, ratio

Arms = Mapping[str, str]


def of_arm(runs: Sequence[Run], experiment: str) -> list[Run]:
    """The runs of one experiment by seed."""
    return sorted((run for run in runs if run.experiment == experiment), key=lambda run: run.seed)


def headline(runs: Sequence[Run], arms: Arms) -> pd.DataFrame:
    """One row an arm that was trained: BPC on both splits, size, data and cost of a run."""
    rows = []
    for experiment, label in arms.items():
        mine = [run for run in of_arm(runs, experiment) if run.train]
        if mine:
            rows.append({"arm": label, **_likelihood_row(mine), **_cost_row(mine)})
    return pd.DataFrame(rows)


def points(runs: Sequence[Run], arms: Arms, split: str) -> pd.DataFrame:
    """One row an evaluated run: arm, seed, BPC."""
    rows = [
        {"arm": label, "seed": run.seed, "bpc": float(_numbers(run, split, "bpc"))}
        for experiment, label in arms.items()
        for run in _evaluated(of_arm(runs, experiment), split)
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "bpc"])


def differences(
    runs: Sequence[Run], arms: Arms, pairs: Sequence[Sequence[str]], split: str
) -> pd.DataFrame:
    """One row a pair (subject, baseline) with shared seeds: subject − baseline in BPC."""
    rows = []
    for subject, baseline in pairs:
        shared = _shared(_evaluated(of_arm(runs, subject), split), runs, baseline, split)
        if shared:
            label = {"subject": arms[subject], "baseline": arms[baseline]}
            rows.append(label | _difference(shared, split))
    return pd.DataFrame(rows)


def curves(runs: Sequence[Run], arms: Arms, key: str, window: int) -> pd.DataFrame:
    """One row a logged step: the metric ``key`` (nats a token) in bits, a mean over ``window``."""
    parts = [
        _smooth(run.metrics, key, window).assign(arm=label, seed=run.seed)
        for experiment, label in arms.items()
        for run in of_arm(runs, experiment)
        if key in run.metrics
    ]
    return _joined(parts, ["tokens", "bits", "arm", "seed"])


def by_noise(runs: Sequence[Run], arms: Arms) -> pd.DataFrame:
    """One row a noise level of an evaluated run: 0 clean … 1 pure noise, bits a token."""
    rows = [
        {
            "arm": label,
            "seed": run.seed,
            "bound": run.evaluate["bound"],
            "noise": _noise(level),
            "bits": level["nats_per_token"] / math.log(2),
        }
        for experiment, label in arms.items()
        for run in of_arm(runs, experiment)
        for level in run.evaluate.get("by_noise", [])
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "bound", "noise", "bits"])


def samples(runs: Sequence[Run], arms: Arms) -> pd.DataFrame:
    """One row a sampler run: arm, seed, sampler, steps, network calls and its statistics."""
    rows = [
        {
            "arm": label,
            "seed": run.seed,
            **{key: drawn[key] for key in ("sampler", "steps", "network_calls")},
            **{key: math.nan if v is None else v for key, v in drawn["statistics"].items()},
        }
        for experiment, label in arms.items()
        for run in of_arm(runs, experiment)
        for drawn in run.samples.get("runs", [])
    ]
    return pd.DataFrame(rows)


def _noise(level: Mapping[str, float]) -> float:
    return level["masked_fraction"] if "masked_fraction" in level else round(1 - level["alpha"], 9)


def _joined(parts: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(columns))


def _smooth(metrics: pd.DataFrame, key: str, window: int) -> pd.DataFrame:
    """Tokens and bits averaged over the same whole windows, so that steep beginnings stay put."""
    logged = metrics[["tokens", key]].dropna()
    means = logged.rolling(min(window, len(logged))).mean().dropna()
    return pd.DataFrame({"tokens": means["tokens"], "bits": means[key] / math.log(2)})


def _evaluated(runs: Sequence[Run], split: str) -> list[Run]:
    return [run for run in runs if split in run.evaluate.get("splits", {})]


def _bpc(runs: Sequence[Run], split: str) -> Estimate:
    values = [float(_numbers(run, split, "bpc")) for run in _evaluated(runs, split)]
    return over_seeds(values) if values else NOTHING


def _likelihood_row(runs: Sequence[Run]) -> dict[str, object]:
    bounds = sorted({_bound(run.evaluate) for run in runs if run.evaluate})
    row: dict[str, object] = {"seeds": len(runs), "bound": ", ".join(bounds)}
    for split in ("valid", "test"):
        found = _bpc(runs, split)
        row |= {f"{split}_{key}": value for key, value in vars(found).items()}
    return row


def _bound(evaluate: Record) -> str:
    """The estimator, and the clamp of time that it needed."""
    clamp = evaluate.get("epsilon")
    return str(evaluate["bound"]) + (f", ε = {clamp:g}" if clamp else "")


def _cost_row(runs: Sequence[Run]) -> dict[str, float]:
    costs = [run.stages.get("train", {}) for run in runs]
    return {
        "parameters": float(np.mean([run.train["parameters"] for run in runs])),
        "tokens": float(np.mean([run.train["tokens"] for run in runs])),
        "steps": float(np.mean([run.train["steps"] for run in runs])),
        "cpu_seconds": float(np.mean([cost.get("cpu_seconds", math.nan) for cost in costs])),
        "seconds": float(np.mean([cost.get("seconds", math.nan) for cost in costs])),
    }


def _shared(
    mine: Sequence[Run], runs: Sequence[Run], baseline: str, split: str
) -> list[tuple[Run, Run]]:
    theirs = {run.seed: run for run in _evaluated(of_arm(runs, baseline), split)}
    return [(run, theirs[run.seed]) for run in mine if run.seed in theirs]


def _difference(shared: Sequence[tuple[Run, Run]], split: str) -> dict[str, object]:
    nats, chars = _paired_nats(shared, split)
    change = [
        float(_numbers(one, split, "bpc") - _numbers(two, split, "bpc")) for one, two in shared
    ]
    by_seed = over_seeds(change)
    by_sequence = ratio(nats, chars)
    reference = float(np.mean([_numbers(two, split, "bpc") for _, two in shared]))
    return {
        "baseline_bpc": reference,
        "share": by_seed.value / reference,
        **{f"seed_{key}": value for key, value in vars(by_seed).items()},
        **{f"sequence_{key}": value for key, value in vars(by_sequence).items()},
    }


def _paired_nats(shared: Sequence[tuple[Run, Run]], split: str) -> tuple[Array, Array]:
    """The difference in nats of each sequence, a mean over seeds, and its characters."""
    chars = _numbers(shared[0][0], split, "chars")
    for run in (run for pair in shared for run in pair):
        if not np.array_equal(chars, _numbers(run, split, "chars")):
            raise InputError(
                f"{run.folder}/evaluate.json: its {split} sequences are not those of "
                f"{shared[0][0].folder}; a paired difference needs the same sequences"
            )
    gaps = [_numbers(one, split, "nats") - _numbers(two, split, "nats") for one, two in shared]
    return np.mean(gaps, axis=0), chars


def _numbers(run: Run, split: str, key: str) -> Array:
    """Of an evaluated split; NaN for a number that overflowed, null in the record."""
    return np.asarray(run.evaluate["splits"][split][key], dtype=np.float64)
