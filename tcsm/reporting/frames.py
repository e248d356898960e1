"""Frames: runs as pandas frames, one row a model, a pair, a logged step or a sampler run.

``labels`` maps experiments to labels, in the order shown; the column ``arm`` holds the label.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tcsm.errors import InputError
from tcsm.io.records import Record
from tcsm.reporting.runs import Run
from tcsm.reporting.stability import KEY
from tcsm.reporting.statistics import NOTHING, Array, Estimate, over_seeds, ratio

Experiments = Mapping[str, str]


def seeds_of(runs: Sequence[Run], experiment: str) -> list[Run]:
    """Return the runs of one experiment by seed."""
    return sorted((run for run in runs if run.experiment == experiment), key=lambda run: run.seed)


def headline(runs: Sequence[Run], labels: Experiments) -> pd.DataFrame:
    """Return one row a trained model: BPC on both splits, size, data and cost of a run."""
    rows = []
    for experiment, label in labels.items():
        trained = [run for run in seeds_of(runs, experiment) if run.train]
        if trained:
            rows.append({"arm": label, **_likelihood_row(trained), **_cost_row(trained)})
    return pd.DataFrame(rows)


def points(runs: Sequence[Run], labels: Experiments, split: str = "test") -> pd.DataFrame:
    """Return one row an evaluated run: arm, seed, BPC."""
    rows = [
        {"arm": label, "seed": run.seed, "bpc": float(_numbers(run, split, "bpc"))}
        for experiment, label in labels.items()
        for run in _evaluated(seeds_of(runs, experiment), split)
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "bpc"])


def differences(
    runs: Sequence[Run],
    labels: Experiments,
    pairs: Sequence[Sequence[str]],
    split: str = "test",
) -> pd.DataFrame:
    """Return one row a pair (subject, baseline) with shared seeds: subject − baseline in BPC."""
    rows = []
    for subject, baseline in pairs:
        shared = _shared(_evaluated(seeds_of(runs, subject), split), runs, baseline, split)
        if shared:
            names = {"subject": labels[subject], "baseline": labels[baseline]}
            rows.append(names | _difference(shared, split))
    return pd.DataFrame(rows)


def learning(runs: Sequence[Run], labels: Experiments, key: str = KEY) -> pd.DataFrame:
    """Return one row a logged step: the metric ``key`` (nats a token) in bits."""
    parts = [
        run.metrics[["tokens", key]].dropna().assign(arm=label, seed=run.seed)
        for experiment, label in labels.items()
        for run in seeds_of(runs, experiment)
        if key in run.metrics
    ]
    if not parts:
        return pd.DataFrame(columns=["tokens", "bits", "arm", "seed"])
    points = pd.concat(parts, ignore_index=True).astype({"tokens": float})
    return points.assign(bits=points.pop(key) / math.log(2))


def learning_table(runs: Sequence[Run], labels: Experiments) -> pd.DataFrame:
    """Return the learning curves, means over seeds, by tokens, a column a model."""
    points = learning(runs, labels)
    arms = list(pd.unique(points["arm"]))
    return points.pivot_table(index="tokens", columns="arm", values="bits")[arms].reset_index()


def learning_ends(runs: Sequence[Run], labels: Experiments) -> pd.DataFrame:
    """Return one row a model, the best first: bits per token at the end, a mean over seeds."""
    last = learning(runs, labels).groupby(["arm", "seed"], sort=False).last()
    ends = last.groupby("arm", sort=False)["bits"].mean()
    return ends.sort_values(kind="stable").reset_index()


def widest_noise(runs: Sequence[Run], labels: Experiments) -> pd.DataFrame:
    """Return the noise level at which models with one estimator differ most, if there is one."""
    rows = by_noise(runs, labels)
    bound = rows.groupby("bound")["arm"].nunique().idxmax()
    means = rows[rows["bound"] == bound].groupby(["noise", "arm"])["bits"].mean().unstack()
    shared = means.dropna()
    if shared.empty or len(means.columns) < 2:
        return pd.DataFrame()
    spread = shared.max(axis=1) - shared.min(axis=1)
    row = shared.iloc[int(spread.argmax())]
    found = {"bound": bound, "noise": row.name, "best": row.idxmin(), "worst": row.idxmax()}
    return pd.DataFrame([found | {"gap": spread.max()}])


def by_noise(runs: Sequence[Run], labels: Experiments) -> pd.DataFrame:
    """Return one row a noise level of an evaluated run: 0 clean … 1 pure noise, bits a token."""
    rows = [
        {
            "arm": label,
            "seed": run.seed,
            "bound": run.evaluate["bound"],
            "noise": _noise(level),
            "bits": level["nats_per_token"] / math.log(2),
        }
        for experiment, label in labels.items()
        for run in seeds_of(runs, experiment)
        for level in run.evaluate.get("by_noise", [])
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "bound", "noise", "bits"])


def samples(runs: Sequence[Run], labels: Experiments) -> pd.DataFrame:
    """Return one row a sampler run: arm, seed, sampler, steps, network calls, statistics."""
    rows = [
        {
            "arm": label,
            "seed": run.seed,
            **{key: drawn[key] for key in ("sampler", "steps", "network_calls")},
            **{key: math.nan if v is None else v for key, v in drawn["statistics"].items()},
        }
        for experiment, label in labels.items()
        for run in seeds_of(runs, experiment)
        for drawn in run.samples.get("runs", [])
    ]
    return pd.DataFrame(rows)


def _noise(level: Mapping[str, float]) -> float:
    return level["masked_fraction"] if "masked_fraction" in level else round(1 - level["alpha"], 9)


def _evaluated(runs: Sequence[Run], split: str) -> list[Run]:
    return [run for run in runs if split in run.evaluate.get("splits", {})]


def _bpc(runs: Sequence[Run], split: str) -> Estimate:
    values = [float(_numbers(run, split, "bpc")) for run in _evaluated(runs, split)]
    return over_seeds(values) if values else NOTHING


def _likelihood_row(runs: Sequence[Run]) -> dict[str, object]:
    bounds = sorted({_bound(run.evaluate) for run in runs if run.evaluate})
    row: dict[str, object] = {"seeds": len(runs), "bound": ", ".join(bounds)}
    for split in ("valid", "test"):
        row |= {f"{split}_{key}": value for key, value in vars(_bpc(runs, split)).items()}
    return row


def _bound(evaluate: Record) -> str:
    """Return the estimator, and the clamp of time that it needed."""
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
    runs: Sequence[Run], others: Sequence[Run], baseline: str, split: str
) -> list[tuple[Run, Run]]:
    by_seed = {run.seed: run for run in _evaluated(seeds_of(others, baseline), split)}
    return [(run, by_seed[run.seed]) for run in runs if run.seed in by_seed]


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
    """Return the difference in nats of each sequence, a mean over seeds, and its characters."""
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
    """Return the values of an evaluated split; NaN for null, a number that overflowed."""
    return np.asarray(run.evaluate["splits"][split][key], dtype=np.float64)
