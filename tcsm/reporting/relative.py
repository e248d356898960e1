"""Measures of a run relative to the baseline's run of the same seed.

gain           = (mean R of a run − mean R of the baseline)/sd R of the baseline's texts
win rate       = P(R(x) > R(y)) + ½ P(R(x) = R(y)),    x of the run, y of the baseline
time to target = first x at which a curve is at or below the baseline's final loss, linear between
                 points; its share is that x / the x at which the baseline ends

Time is CPU time with all targets, cached or not: that of a run, and that together with the
trainings that it needs (of its teacher).
"""

import math

import numpy as np
import pandas as pd

from tcsm.reporting.tables import Row, Rows
from tcsm.statistics import Array, finite, paired, wins

JUDGES = {"judge": "judge_rewards", "reward": "rewards"}
GAINS = ("judge_gain", "reward_gain", "bpc_share", "entropy_share", "repetition", "calls", "beta")
CHANGES = {"wins": "judge_wins", "rewarded": "reward_wins", "bpc": "test_bpc"}
CHANGES |= {"entropy": "text_entropy"}
SHOWN = ("value", "low", "high", "count")
SHARES = {"steps": "step", "own": "own", "time": "seconds"}


def against(runs: pd.DataFrame, baseline: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with gains and win rates against the baseline's run of the same seed.

    Guidance leaves the BPC of the model as it is.
    """
    start = baseline.set_index("seed").reindex(runs["seed"]).set_index(runs.index)
    columns: dict[str, pd.Series] = {}
    for name, rewards in JUDGES.items():
        gap = runs[f"{name}_mean"] - start[f"{name}_mean"]
        pairs = zip(runs[rewards], start[rewards], strict=True)
        columns[f"{name}_gain"] = gap / start[f"{name}_sd"].replace(0, math.nan)
        columns[f"{name}_wins"] = pd.Series([_wins(*pair) for pair in pairs], runs.index)
    bpc = runs["test_bpc"].where(runs["bound"] != "", start["test_bpc"])
    return runs.assign(
        **columns,
        lack=-columns["judge_gain"],
        bpc_share=bpc / start["test_bpc"] - 1,
        entropy_share=runs["text_entropy"] / start["text_entropy"] - 1,
    )


def gains(row: Row, runs: pd.DataFrame) -> Row:
    """Return a variant with the intervals of its gains."""
    for key in ("judge_gain", "reward_gain"):
        mean = finite(runs[key])
        row = {**row, f"{key}_low": mean.low, f"{key}_high": mean.high}
    return row


def win_rates(row: Row, runs: pd.DataFrame, baseline: pd.DataFrame) -> Row:
    """Return a variant with its win rates, and its paired changes of BPC and of entropy."""
    start = baseline.assign(judge_wins=0.0, reward_wins=0.0)  # rates are relative already
    changes = {name: paired(runs, start, key) for name, key in CHANGES.items()}
    columns = {k: v for name, change in changes.items() for k, v in change.columns(name).items()}
    return {**row, **columns, "share": changes["bpc"].value / float(baseline["test_bpc"].mean())}


def shares(points: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Return one row a run whose seed the baseline shares: the shares of steps, own time and time.

    A share is infinite where the run does not reach the target, NaN where its time is unknown.
    """
    ends = points[points["variant"] == baseline].groupby("seed").tail(1).set_index("seed")
    rows = []
    for (variant, seed), curve in points.groupby(["variant", "seed"], sort=False):
        if seed in ends.index:
            y, end = curve["bits"].to_numpy(dtype=float), ends.loc[int(str(seed))]
            x = {share: curve[key].to_numpy(dtype=float) for share, key in SHARES.items()}
            reached = {
                share: crossing(x[share], y, float(np.asarray(end["bits"]))) for share in SHARES
            }
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


def _wins(values: list[float] | None, baseline: list[float] | None) -> float:
    """Return the rate at which rewards win; NaN if either side was not judged."""
    if not (isinstance(values, list) and isinstance(baseline, list)):
        return math.nan
    return wins(np.array(values, dtype=np.float64), np.array(baseline, dtype=np.float64))
