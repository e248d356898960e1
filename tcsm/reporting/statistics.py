"""Statistics: means over seeds, paired differences, Student intervals.

    mean ± t(0.975; n − 1) · s / √n                                   over n seeds
    R = ∑ dᵢ / ∑ cᵢ,  Var R ≈ n / (n − 1) · ∑ (dᵢ − R cᵢ)² / (∑ cᵢ)²   over n sequences (ratio)

A single value has no interval: its error and bounds are NaN and its count is 1.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tcsm.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value with its standard error and its 95 % interval from ``count`` observations."""

    value: float
    error: float
    low: float
    high: float
    count: int


NOTHING = Estimate(math.nan, math.nan, math.nan, math.nan, 0)


def over_seeds(values: Sequence[float] | Array, level: float = 0.95) -> Estimate:
    """The mean of independent values with its standard error and t interval."""
    x = np.asarray(values, dtype=np.float64)
    if x.size == 0:
        raise InputError("found no values to average; at least one run is needed")
    error = float(x.std(ddof=1)) / math.sqrt(x.size) if x.size > 1 else math.nan
    return _with_interval(float(x.mean()), error, x.size, level)


def finite(values: Sequence[float] | Array) -> Estimate:
    """The mean of those values that are numbers; NOTHING if none is."""
    x = np.asarray(values, dtype=np.float64)
    known = x[np.isfinite(x)]
    return over_seeds(known) if known.size else NOTHING


def paired(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Estimate:
    """The mean of ours − theirs over the seeds that have both; NOTHING if none has."""
    return finite([ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())])


def ratio(nats: Array, chars: Array, level: float = 0.95) -> Estimate:
    """Bits per character ∑ nats / (∑ chars · ln 2) with the error over sequences.

    Also of a paired difference: hand in the difference of two arms' ``nats``, shape (sequences,).
    """
    if nats.shape != chars.shape or nats.size == 0:
        raise InputError(
            f"found {nats.size} nats for {chars.size} chars; both list every sequence"
        )
    total = float(chars.sum())
    value = float(nats.sum()) / total
    n = nats.size
    residual = float(((nats - value * chars) ** 2).sum())
    error = math.sqrt(n / (n - 1) * residual) / total if n > 1 else math.nan
    return _with_interval(value / math.log(2), error / math.log(2), n, level)


def student_quantile(probability: float, degrees: int) -> float:
    """The t with P(T ≤ t) = ``probability`` > 1/2 for ``degrees`` degrees of freedom."""
    low, high = 0.0, 1.0
    while student_within(high, degrees) < 2 * probability - 1:
        low, high = high, 2 * high
    for _ in range(80):
        middle = (low + high) / 2
        if student_within(middle, degrees) < 2 * probability - 1:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def student_within(t: float, degrees: int) -> float:
    """P(|T| ≤ t), the finite sums for integer degrees (Abramowitz & Stegun 26.7.3, 26.7.4)."""
    angle = math.atan(t / math.sqrt(degrees))
    odd = degrees % 2
    k = np.arange(1 + odd, degrees - 1, 2, dtype=np.float64)  # cos^k → cos^{k+2}: k / (k + 1)
    factors = k / (k + 1) * math.cos(angle) ** 2
    tail = float(np.cumprod(factors).sum())
    if not odd:
        return math.sin(angle) * (1 + tail)
    arch = math.sin(angle) * math.cos(angle) * (1 + tail) if degrees > 1 else 0.0
    return 2 / math.pi * (angle + arch)


def _with_interval(value: float, error: float, count: int, level: float) -> Estimate:
    if count == 1:
        return Estimate(value, math.nan, math.nan, math.nan, 1)
    half = student_quantile((1 + level) / 2, count - 1) * error
    return Estimate(value, error, value - half, value + half, count)
