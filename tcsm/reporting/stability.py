"""Stability: whether training met numbers that are not finite, or diverged."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from tcsm.reporting.runs import Run

KEY = "valid_nats_per_token"
NONFINITE = "nonfinite"
TOLERANCE = 0.35  # nats a token
SPIKE = 10.0  # times the median gradient norm


def nonfinite(metrics: pd.DataFrame, key: str = NONFINITE) -> bool:
    """Return whether a step was skipped as not finite; ``key`` counts them."""
    return key in metrics and bool(metrics[key].max() > 0)


def stopped(run: Run, key: str = NONFINITE) -> bool:
    """Return whether a step was not finite, or training ended early, as it then does."""
    planned = (run.config.get("trainer") or {}).get("steps", 0)
    early = bool(run.train) and bool(run.train["steps"] < planned)
    return early or nonfinite(run.metrics, key)


def diverged(metrics: pd.DataFrame, key: str = KEY, tolerance: float = TOLERANCE) -> bool:
    """Return whether the mean of the last tenth of the log lies ``tolerance`` above the best."""
    if key not in metrics or metrics[key].dropna().empty:
        return False
    logged = metrics[key].dropna()
    means = logged.rolling(max(1, len(logged) // 10)).mean()
    return bool(means.iloc[-1] - means.min() > tolerance)


def stability(runs: Sequence[Run], labels: Mapping[str, str]) -> pd.DataFrame:
    """Return one row a model: runs that finished, diverged, met non-finite steps; spikes."""
    by_name = {n: [run for run in runs if run.experiment == n] for n in labels}
    return pd.DataFrame([_row(labels[n], part) for n, part in by_name.items() if part])


def _row(label: str, runs: Sequence[Run]) -> dict[str, object]:
    norms = [run.metrics["grad_norm"] for run in runs if "grad_norm" in run.metrics]
    return {
        "arm": label,
        "runs": len(runs),
        "finished": sum(bool(run.train) for run in runs),
        "nonfinite": sum(stopped(run) for run in runs),
        "diverged": sum(diverged(run.metrics) for run in runs),
        "spikes": sum(int((norm > SPIKE * norm.median()).sum()) for norm in norms),
        "largest": max((float(norm.max()) for norm in norms), default=math.nan),
    }
