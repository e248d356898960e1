"""Post-training: judged samples of a model against those of the model that it started from.

gain     = (mean R of a run − mean R of the baseline)/sd R of the baseline's texts, of one seed
win rate = P(R(x) > R(y)) + ½ P(R(x) = R(y)),    x of the run, y of the baseline, of one seed
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float64

from tcsm.reporting import ablations, comparisons
from tcsm.reporting.ablations import Grid
from tcsm.reporting.runs import Run
from tcsm.reporting.statistics import finite

JUDGE, REWARD = "judge_gain", "reward_gain"
GAINS = (JUDGE, REWARD, "bpc_share", "entropy_share", "repetition", "calls", "beta")
RATES = {"wins": "judge_wins", "rewarded": "reward_wins"}


def graded(runs: Sequence[Run], grid: Grid, baseline: Mapping[str, str]) -> Grid:
    """Return the grid with the reward gains of each run; runs without a judge are left out."""
    folders = {run.folder: run for run in runs}
    by_place = {(run.experiment, run.seed): run for run in runs if run.grade}

    def measure(row: pd.Series, base_row: pd.Series | None) -> dict[str, float]:
        run = by_place.get(ablations.place(row))
        base = None if base_row is None else by_place.get(ablations.place(base_row))
        gains: dict[str, float] = dict.fromkeys(GAINS, math.nan)
        if run and base and base_row is not None and _judged(run) and _judged(base):
            gains |= _gains(run, row, base, base_row)
        return {"lack": -gains[JUDGE], **gains, "calls": calls(run, folders)}

    return comparisons.beside(grid, baseline, measure, JUDGE)


def gains(grid: Grid, baseline: Mapping[str, str]) -> pd.DataFrame:
    """Return one row a variant of a graded grid: means, and the intervals of both gains."""
    rows = comparisons.variants(grid, "lack", baseline)
    by_arm = dict(list(grid.runs.groupby("arm", sort=False)))
    columns = []
    for arm in rows["arm"]:
        means = {key: finite(by_arm[arm][key].to_numpy(dtype=float)) for key in GAINS}
        row = {key: mean.value for key, mean in means.items()}
        for key in (JUDGE, REWARD):
            row |= {f"{key}_low": means[key].low, f"{key}_high": means[key].high}
        columns.append(row)
    return rows.assign(**pd.DataFrame(columns))


def calls(run: Run | None, folders: Mapping[Path, Run]) -> float:
    """Return the texts that the reward judged for a run: collected, in training, in guidance."""
    if run is None:
        return math.nan
    guided = float(run.grade.get("reward_calls", 0))
    feed = run.config.get("feed") or {}
    if "reward" in feed:
        return guided + float(run.train.get("steps", 0) * run.config["data"]["batch"])
    collected = folders.get(Path(str(run.config.get("collected")))) if "tilt" in feed else None
    return guided + float(collected.collect.get("reward_calls", 0) if collected else 0)


def compared(runs: Sequence[Run], grid: Grid, baseline: Mapping[str, str]) -> Grid:
    """Return the grid with win rates against the baseline; runs without a judge are left out."""
    grades = {(run.experiment, run.seed): run.grade for run in runs if run.grade}

    def measure(row: pd.Series, base_row: pd.Series | None) -> dict[str, float]:
        grade = grades.get(ablations.place(row), {})
        base = {} if base_row is None else grades.get(ablations.place(base_row), {})
        judged, rewarded = (_rate(grade, base, key) for key in ("judge_rewards", "rewards"))
        rates = {"judge_wins": judged, "reward_wins": rewarded, "judge_losses": 1 - judged}
        return {**rates, "entropy": grade.get("entropy", math.nan)}

    return comparisons.beside(grid, baseline, measure, "judge_wins")


def win_rates(grid: Grid, baseline: Mapping[str, str]) -> pd.DataFrame:
    """Return one row a variant: win rates, and paired changes of BPC and of entropy."""
    if grid.runs.empty:
        return pd.DataFrame()
    rows = comparisons.variants(grid, "judge_wins", baseline)
    rows = rows[rows["arm"] != rows["baseline"]].reset_index(drop=True)
    base = comparisons.chosen(grid.runs, baseline)
    by_arm = dict(list(grid.runs.groupby("arm", sort=False)))
    return rows.assign(**pd.DataFrame([_win_rates(by_arm[arm], base) for arm in rows["arm"]]))


def wins(values: Float64[np.ndarray, "N"], baseline: Float64[np.ndarray, "M"]) -> float:
    """Return P(value > baseline) + ½ P(value = baseline) over all pairs."""
    order = np.sort(baseline)
    below = np.searchsorted(order, values, "left") + np.searchsorted(order, values, "right")
    return float(below.mean() / (2 * len(order)))


def number(value: float | None) -> float:
    """Return a number of a record; NaN for null, one that overflowed."""
    return math.nan if value is None else value


def _judged(run: Run) -> bool:
    return bool(run.grade["judge_reward"])


def _gains(run: Run, row: pd.Series, base: Run, base_row: pd.Series) -> dict[str, float]:
    """Return the gains of one run; guidance leaves the BPC of the model as it is."""
    grade, start = run.grade, base.grade
    found = {
        name: (number(grade[key]["mean"]) - number(start[key]["mean"]))
        / (start[key]["sd"] or math.nan)
        for name, key in ((JUDGE, "judge_reward"), (REWARD, "reward"))
    }
    bpc = row["test_bpc"] if run.evaluate else base_row["test_bpc"]
    tilt = (run.config.get("feed") or {}).get("tilt") or {}
    return found | {
        "bpc_share": bpc / base_row["test_bpc"] - 1,
        "entropy_share": grade["entropy"] / start["entropy"] - 1,
        "repetition": grade["repetition"],
        "beta": tilt.get("beta", math.nan),
    }


def _rate(grade: Mapping[str, Any], base: Mapping[str, Any], key: str) -> float:
    if not (grade.get(key) and base.get(key)):
        return math.nan
    return wins(np.array(grade[key], dtype=np.float64), np.array(base[key], dtype=np.float64))


def _win_rates(runs: pd.DataFrame, base: pd.DataFrame) -> dict[str, float]:
    zero = base.assign(**dict.fromkeys(RATES.values(), 0.0))  # the rates themselves
    found = {name: comparisons.gap_of(runs, zero, key) for name, key in RATES.items()}
    found |= {
        "bpc": comparisons.gap_of(runs, base, "test_bpc"),
        "entropy": comparisons.gap_of(runs, base, "entropy"),
    }
    columns = {f"{name}_{key}": v for name, e in found.items() for key, v in vars(e).items()}
    return {**columns, "share": found["bpc"].value / float(base["test_bpc"].mean())}
