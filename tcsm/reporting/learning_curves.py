"""The time to a baseline's final loss, in steps and in CPU time.

    time to target = first x at which a curve is at or below the target, linear between points
    its share      = that x / the x at which the baseline of the same seed ends

Time is CPU time with all targets, cached or not: that of a run, and that together with the
trainings that it needs (of its teacher).
"""

import math

import numpy as np
import pandas as pd

from tcsm.reporting.statistics import Array, finite
from tcsm.reporting.tables import Rows

SHOWN = ("value", "low", "high")
SHARES = {"steps": "step", "own": "own", "time": "seconds"}


def shares(points: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Return one row a run whose seed the baseline shares: the shares of steps, own time and time.

    A share is infinite where the run does not reach the target, NaN where its time is unknown.
    """
    ends = points[points["variant"] == baseline].groupby("seed").tail(1).set_index("seed")
    rows = []
    for (variant, seed), curve in points.groupby(["variant", "seed"], sort=False):
        if seed in ends.index:
            y, end = curve["bits"].to_numpy(dtype=float), ends.loc[seed]
            x = {share: curve[key].to_numpy(dtype=float) for share, key in SHARES.items()}
            reached = {share: crossing(x[share], y, end["bits"]) for share in SHARES}
            row = {share: reached[share] / end[key] for share, key in SHARES.items()}
            rows.append({"variant": variant, "seed": seed, **row})
    return pd.DataFrame(rows, columns=["variant", "seed", *SHARES])


def time_to_target(rows: Rows, points: pd.DataFrame, baseline: str) -> Rows:
    """Return variants with the means of their shares, and how many runs reached the target."""
    runs, base = shares(points, baseline), points[points["variant"] == baseline]
    seconds = float(base.groupby("seed")["seconds"].max().mean())
    shown = []
    for row in rows:
        own = runs[runs["variant"] == row["variant"]]
        columns: dict[str, float | int] = {"baseline_seconds": seconds}
        for share in SHARES:
            values = own[share].to_numpy(dtype=float)
            mean = finite(values)
            columns |= {f"{share}_reached": int(np.isfinite(values).sum())}
            columns |= {f"{share}_of": len(own)}
            columns |= {f"{share}_{part}": getattr(mean, part) for part in SHOWN}
        shown.append({**row, **columns})
    return Rows(shown)


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
