"""Pace: learning curves against tokens and time, and when they reach a baseline's last value.

    reach of a run = first x at which its curve is at or below the level, linear between points
    its share      = that x / the x at which the baseline of the same seed ends

Time is the processor's, with all of the targets, cached or not: a run's own, and that together
with the trainings that it needs (its teacher's).
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from tcsm.reporting import ablations
from tcsm.reporting.ablations import Words
from tcsm.reporting.runs import Run
from tcsm.reporting.statistics import Array, Estimate, finite

CURVE = ["arm", "seed", "step", "tokens", "own", "seconds", "bits"]
SHARES = ("steps", "own", "time")


def curves(runs: Sequence[Run], name: str, words: Words, key: str) -> pd.DataFrame:
    """One row a point of a run's curve: step, tokens, CPU-seconds, those with others, bits."""
    grid = ablations.read(runs, name, words)
    if grid.runs.empty:
        return pd.DataFrame(columns=CURVE)
    places = list(map(ablations.place, (row for _, row in grid.runs.iterrows())))
    before = dict(zip(places, grid.runs["needed_seconds"], strict=True))
    found = {
        (run.experiment, run.seed): _points(run, key).assign(
            arm=ablations.label(words, run), seed=run.seed, others=before[run.experiment, run.seed]
        )
        for run in runs
        if ablations.is_part(run, name) and key in run.metrics
    }
    parts = [found[place] for place in places if place in found]
    if not parts:
        return pd.DataFrame(columns=CURVE)
    points = pd.concat(parts, ignore_index=True)
    return points.assign(seconds=points["own"] + points["others"])[CURVE]


def shares(points: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """One row a run whose seed the baseline shares: the shares of steps, own time and time.

    A share is infinite where the run does not reach the level, NaN where its time is unknown.
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


def crossing(x: Array, y: Array, level: float) -> float:
    """The first x at which y ≤ level, linear between points; infinite if there is none."""
    below = np.flatnonzero(y <= level)
    if below.size == 0:
        return math.inf
    after = int(below[0])
    if after == 0:
        return float(x[0])
    part = (y[after - 1] - level) / (y[after - 1] - y[after])
    return float(x[after - 1] + part * (x[after] - x[after - 1]))


def reached(found: pd.DataFrame, arm: str, share: str) -> tuple[int, int, Estimate]:
    """How many runs of an arm reached the level, of how many, and their mean share."""
    mine = _of(found, arm)[share].to_numpy(dtype=float)
    return int(np.isfinite(mine).sum()), mine.size, finite(mine)


def even(points: pd.DataFrame, key: str) -> pd.DataFrame:
    """The points with ``key`` as its mean over seeds at each step: curves then share their x."""
    means = points.groupby(["arm", "step"])[key].transform("mean")
    return points.assign(**{key: means})


def _points(run: Run, key: str) -> pd.DataFrame:
    """The steps at which ``key`` (nats a token) was logged; their time is NaN if it was not."""
    logged = run.metrics.dropna(subset=[key])
    journal = run.telemetry.set_index("step")
    times = journal.get("cpu_seconds", pd.Series(dtype=float))
    times = times + journal.get("targets_spared_cpu_seconds", 0.0)
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
