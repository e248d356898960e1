"""Post-training: judged samples of a model against those of the model that it started from.

gain     = (mean R of a run − mean R of the baseline)/sd R of the baseline's texts, of one seed
win rate = P(R(x) > R(y)) + ½ P(R(x) = R(y)),    x of the run, y of the baseline, of one seed
"""

import math

import numpy as np
import pandas as pd

from tcsm.reporting.statistics import finite, paired, wins
from tcsm.reporting.tables import Row

JUDGES = {"judge": "judge_rewards", "reward": "rewards"}
GAINS = ("judge_gain", "reward_gain", "bpc_share", "entropy_share", "repetition", "calls", "beta")
CHANGES = {"wins": "judge_wins", "rewarded": "reward_wins", "bpc": "test_bpc"}
CHANGES |= {"entropy": "text_entropy"}


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
        judge_losses=1 - columns["judge_wins"],
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


def _wins(values: list[float] | None, baseline: list[float] | None) -> float:
    """Return the rate at which rewards win; NaN if either side was not judged."""
    if not (isinstance(values, list) and isinstance(baseline, list)):
        return math.nan
    return wins(np.array(values, dtype=np.float64), np.array(baseline, dtype=np.float64))
