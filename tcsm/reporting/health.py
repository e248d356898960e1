"""Health of one run: did it meet numbers that are not finite, did it lose what it had learned."""

import pandas as pd

from tcsm.reporting.runs import Run

KEY = "valid_nats_per_token"
NONFINITE = "nonfinite"
TOLERANCE = 0.35  # nats a token


def nonfinite(metrics: pd.DataFrame, key: str = NONFINITE) -> bool:
    """Whether a step was refused because it was not finite; ``key`` counts them."""
    return key in metrics and bool(metrics[key].max() > 0)


def stopped(run: Run, key: str = NONFINITE) -> bool:
    """Whether a step was refused, or training ended before its plan, as it then does."""
    planned = (run.config.get("trainer") or {}).get("steps", 0)
    early = bool(run.train) and bool(run.train["steps"] < planned)
    return early or nonfinite(run.metrics, key)


def diverged(metrics: pd.DataFrame, key: str = KEY, tolerance: float = TOLERANCE) -> bool:
    """Whether the last tenth of what was logged lies so far above the best tenth."""
    if key not in metrics or metrics[key].dropna().empty:
        return False
    judged = metrics[key].dropna()
    means = judged.rolling(max(1, len(judged) // 10)).mean()
    return bool(means.iloc[-1] - means.min() > tolerance)
