"""Gains: the numbers of graded texts beside those of the model that a run started from.

gain = (mean R of a run − mean R of the baseline)/sd R of the baseline's texts, of one seed
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from tcsm.reporting.runs import Run

LACK, JUDGE, REWARD, BPC = "lack", "judge_gain", "reward_gain", "bpc_share"
KEYS = (JUDGE, REWARD, BPC, "entropy_share", "repetition", "calls", "beta")


def beside(
    run: Run | None, row: pd.Series, base: Run | None, base_row: pd.Series
) -> dict[str, float]:
    """The numbers of one run beside those of the baseline; a guide leaves the model's BPC."""
    judged = [one is not None and one.grade["judge_reward"] for one in (run, base)]
    if run is None or base is None or not all(judged):
        return dict.fromkeys((LACK, *KEYS), np.nan)
    ours, theirs = run.grade, base.grade
    gains = {
        name: (number(ours[key]["mean"]) - number(theirs[key]["mean"]))
        / (theirs[key]["sd"] or np.nan)
        for name, key in ((JUDGE, "judge_reward"), (REWARD, "reward"))
    }
    bpc = row["test_bpc"] if run.evaluate else base_row["test_bpc"]
    return gains | {
        LACK: -gains[JUDGE],
        BPC: bpc / base_row["test_bpc"] - 1,
        "entropy_share": ours["entropy"] / theirs["entropy"] - 1,
        "repetition": ours["repetition"],
        "beta": _tilt(run).get("beta", np.nan),
    }


def number(value: float | None) -> float:
    """NaN for one that overflowed, null in the record."""
    return np.nan if value is None else value


def _tilt(run: Run) -> Mapping[str, float]:
    tilt: Mapping[str, float] = (run.config.get("feed") or {}).get("tilt") or {}
    return tilt


def calls(run: Run | None, folders: Mapping[Path, Run]) -> float:
    """Texts that the reward has judged for a run: in its collection, its training, its guide."""
    if run is None:
        return np.nan
    guided = float(run.grade.get("reward_calls", 0))
    feed = run.config.get("feed") or {}
    if "reward" in feed:
        return guided + float(run.train.get("steps", 0) * run.config["data"]["batch"])
    drawn = folders.get(Path(str(run.config.get("collected")))) if "tilt" in feed else None
    return guided + float(drawn.collect.get("reward_calls", 0) if drawn else 0)
