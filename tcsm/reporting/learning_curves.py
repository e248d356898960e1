"""Learning curves against tokens and time, and the time to a baseline's final loss.

    time to target = first x at which a curve is at or below the target, linear between points
    its share      = that x / the x at which the baseline of the same seed ends

Time is CPU time with all targets, cached or not: that of a run, and that together with the
trainings that it needs (of its teacher).
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tcsm.reporting import ablations
from tcsm.reporting.ablations import Labels
from tcsm.reporting.runs import Run
from tcsm.reporting.stability import KEY
from tcsm.reporting.statistics import Array, finite

CURVE = ["arm", "seed", "step", "tokens", "own", "seconds", "bits"]
SHARES = ("steps", "own", "time")


def curves(runs: Sequence[Run], name: str, labels: Labels, key: str = KEY) -> pd.DataFrame:
    """Return one row a point of a run's curve: step, tokens, CPU-seconds, those in all, bits."""
    grid, by_place = ablations.read(runs, name, labels), {(r.experiment, r.seed): r for r in runs}
    parts = [
        _points(run, key).assign(arm=row["arm"], seed=run.seed, others=row["needed_seconds"])
        for _, row in grid.runs.iterrows()
        if key in (run := by_place[ablations.place(row)]).metrics
    ]
    if not parts:
        return pd.DataFrame(columns=CURVE)
    points = pd.concat(parts, ignore_index=True)
    return points.assign(seconds=points["own"] + points["others"])[CURVE]


def shares(points: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Return one row a run whose seed the baseline shares: the shares of steps, own time and time.

    A share is infinite where the run does not reach the target, NaN where its time is unknown.
    """
    ends = {str(seed): curve.iloc[-1] for seed, curve in _of(points, baseline).groupby("seed")}
    rows = []
    for (arm, seed), curve in points.groupby(["arm", "seed"], sort=False):
        if str(seed) in ends:
            end = ends[str(seed)]
            y = curve["bits"].to_numpy(dtype=float)
            row = {"arm": arm, "seed": seed}
            for share, key in zip(SHARES, ("step", "own", "seconds"), strict=True):
                x = crossing(curve[key].to_numpy(dtype=float), y, float(end["bits"]))
                row[share] = x / float(end[key])
            rows.append(row)
    return pd.DataFrame(rows, columns=["arm", "seed", *SHARES])


def time_to_target(rows: pd.DataFrame, points: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Return the variants with the means of their shares, and how many runs reached the target."""
    found = shares(points, baseline)
    columns: dict[str, Any] = {
        "baseline_seconds": float(_of(points, baseline).groupby("seed")["seconds"].max().mean())
    }
    for share in SHARES:
        by_arm = [_of(found, arm)[share].to_numpy(dtype=float) for arm in rows["arm"]]
        means = [finite(values) for values in by_arm]
        columns[f"{share}_reached"] = [int(np.isfinite(values).sum()) for values in by_arm]
        columns[f"{share}_of"] = [values.size for values in by_arm]
        for part in ("value", "low", "high"):
            columns[f"{share}_{part}"] = [getattr(mean, part) for mean in means]
    return rows.assign(**columns)


def crossing(x: Array, y: Array, target: float) -> float:
    """Return the first x at which y ≤ target, linear between points; infinity without any."""
    below = np.flatnonzero(y <= target)
    if below.size == 0:
        return math.inf
    after = int(below[0])
    if after == 0:
        return float(x[0])
    part = (y[after - 1] - target) / (y[after - 1] - y[after])
    return float(x[after - 1] + part * (x[after] - x[after - 1]))


def even(points: pd.DataFrame, key: str) -> pd.DataFrame:
    """Return the points with ``key`` as its mean over seeds at each step, so curves share x."""
    means = points.groupby(["arm", "step"])[key].transform("mean")
    return points.assign(**{key: means})


def _points(run: Run, key: str) -> pd.DataFrame:
    """Return the steps at which ``key`` (nats a token) was logged; NaN where time was not."""
    logged = run.metrics.dropna(subset=[key])
    telemetry = run.telemetry.set_index("step")
    times = telemetry.get("cpu_seconds", pd.Series(dtype=float))
    times = times + telemetry.get("targets_spared_cpu_seconds", 0.0)
    return pd.DataFrame(
        {
            "step": logged["step"],
            "tokens": logged["tokens"],
            "own": logged["step"].map(times).astype(float),
            "bits": logged[key] / math.log(2),
        }
    )


def _of(rows: pd.DataFrame, arm: str) -> pd.DataFrame:
    return rows[rows["arm"] == arm]
