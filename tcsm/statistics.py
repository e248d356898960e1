"""Statistics: means over seeds, paired differences, Student intervals, win rates.

    mean ± t(0.975; n − 1) · s / √n                                   over n seeds
    R = ∑ dᵢ / ∑ cᵢ,  Var R ≈ n / (n − 1) · ∑ (dᵢ − R cᵢ)² / (∑ cᵢ)²   over n sequences (ratio)

A single value has no interval: its error and bounds are NaN and its count is 1. A verdict is that
of Student's test with p-values by Holm, who controls the probability of one false verdict among m:

    p₍ᵢ₎ ← max over j ≤ i of (m − j + 1) p₍ⱼ₎, at most 1
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from tcsm.student import half_width

Array = NDArray[np.float64]
Values = Sequence[float] | Array | pd.Series
LEVEL = 0.05


@dataclass(frozen=True)
class Estimate:
    """A value with its standard error and its 95 % interval from ``count`` observations."""

    value: float
    error: float
    low: float
    high: float
    count: int

    def columns(self, prefix: str) -> dict[str, float | int]:
        """Return the fields as columns: ``PREFIX_value``, ``PREFIX_error`` and so on."""
        return {f"{prefix}_{key}": value for key, value in vars(self).items()}


NOTHING = Estimate(math.nan, math.nan, math.nan, math.nan, 0)


def over_seeds(values: Values) -> Estimate:
    """Return the mean of independent values with its standard error and t interval."""
    x = np.asarray(values, dtype=np.float64)
    if x.size == 0:
        return NOTHING
    error = float(x.std(ddof=1)) / math.sqrt(x.size) if x.size > 1 else math.nan
    return _with_interval(float(x.mean()), error, x.size)


def finite(values: Values) -> Estimate:
    """Return the mean of the finite values; NOTHING if there are none."""
    x = np.asarray(values, dtype=np.float64)
    return over_seeds(x[np.isfinite(x)])


def paired(runs: pd.DataFrame, baseline: pd.DataFrame, measure: str) -> Estimate:
    """Return the mean of a measure minus the baseline's over the seeds of both frames."""
    one, two = (
        part.drop_duplicates("seed", keep="last").set_index("seed")[measure]
        for part in (runs, baseline)
    )
    return finite((one - two).sort_index().to_numpy(dtype=np.float64))


def ratio(nats: Array, chars: Array) -> Estimate:
    """Return bits per character ∑ nats / (∑ chars · ln 2) with the error over sequences.

    For a paired difference, ``nats`` is the difference of two models, shape (sequences,).
    """
    total = float(chars.sum())
    value = float(nats.sum()) / total
    n, squares = nats.size, float(((nats - value * chars) ** 2).sum())
    error = math.sqrt(n / (n - 1) * squares) / total if n > 1 else math.nan
    return _with_interval(value / math.log(2), error / math.log(2), n)


def wins(values: Array, baseline: Array) -> float:
    """Return P(value > baseline) + ½ P(value = baseline) over all pairs."""
    order = np.sort(baseline)
    below = np.searchsorted(order, values, "left") + np.searchsorted(order, values, "right")
    return float(below.mean() / (2 * len(order)))


def detectable(difference: Estimate) -> float:
    """Return the true difference that n such observations find significant in four cases of five.

    (t(0.975; n − 1) + t(0.8; n − 1)) · s/√n, two-sided at 5 %; NaN for fewer than two.
    """
    degrees = difference.count - 1
    if degrees < 1:
        return math.nan
    t = stdtrit(degrees, [0.975, 0.8])
    return float(t.sum() / t[0]) * (difference.high - difference.value)


def p_value(mean: Estimate, goal: float = 0.0) -> float:
    """Return the two-sided p-value of a mean against a goal; NaN without an interval."""
    half, distance = mean.high - mean.value, abs(mean.value - goal)
    if math.isnan(half) or half == 0:
        return 0.0 if half == 0 < distance else math.nan
    degrees = mean.count - 1
    return float(2 * stdtr(degrees, -distance / half * stdtrit(degrees, 0.975)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number by Holm; NaN stays and does not count."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)[: int(np.isfinite(p).sum())]
    steps = p[order] * np.arange(len(order), 0, -1)
    p[order] = np.minimum(1, np.maximum.accumulate(steps))
    return [float(value) for value in p]


def side(mean: Estimate, p: float, goal: float = 0.0) -> float:
    """Return −1 or 1 where a mean is significantly below or above a goal, 0 where neither.

    NaN where its p-value is unknown.
    """
    return math.nan if math.isnan(p) else math.copysign(p <= LEVEL, mean.value - goal)


def _with_interval(value: float, error: float, count: int) -> Estimate:
    if count == 1:
        return Estimate(value, math.nan, math.nan, math.nan, 1)
    half = half_width(error, count)
    return Estimate(value, error, value - half, value + half, count)
