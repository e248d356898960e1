"""Formatting: numbers, estimates and lists as text, the same in tables, figures and chapters."""

import math
from typing import SupportsFloat, SupportsInt

from tcsm.reporting.statistics import Estimate

DASH = "–"


def number(value: SupportsFloat, digits: int = 3) -> str:
    """Return a number with a true minus sign; a dash for NaN."""
    return DASH if math.isnan(value) else f"{float(value):,.{digits}f}".replace("-", "−")


def signed(value: SupportsFloat, digits: int = 3) -> str:
    """Return a number that always carries its sign."""
    return DASH if math.isnan(value) else f"{float(value):+,.{digits}f}".replace("-", "−")


def percent(value: SupportsFloat) -> str:
    """Return a relative change as signed percent."""
    return DASH if math.isnan(value) else f"{signed(100 * float(value), 2)} %"


def share(value: SupportsFloat) -> str:
    """Return a fraction in whole percent."""
    return DASH if math.isnan(value) else f"{100 * float(value):.0f} %"


def large(value: SupportsFloat) -> str:
    """Return a count in thousands (k) or millions (M)."""
    for unit, name in ((1e6, " M"), (1e3, " k")):
        if float(value) >= unit:
            return number(float(value) / unit, 2) + name
    return number(value, 0)


def brief(value: SupportsFloat) -> str:
    """Return a tick label: no more digits than needed, thousands as k, millions as M."""
    for unit, name in ((1e6, " M"), (1e3, " k")):
        if abs(float(value)) >= unit:
            return f"{float(value) / unit:g}{name}"
    return f"{float(value):.6g}"


def short(value: SupportsFloat) -> str:
    """Return two significant digits: ``0.0012``, ``3.4e−5``, ``120``; a dash for NaN."""
    if math.isnan(value):
        return DASH
    text = f"{float(value):#.2g}".rstrip(".") if abs(float(value)) < 100 else f"{float(value):.0f}"
    digits, _, power = text.replace("-", "−").partition("e")
    return f"{digits}e{power[0]}{power[1:].lstrip('0')}".replace("+", "") if power else digits


def duration(seconds: SupportsFloat) -> str:
    """Return seconds as ``8.4 s``, ``40 s``, ``12 min 30 s`` or ``3 h 05 min``."""
    if math.isnan(seconds):
        return DASH
    if 0 < float(seconds) < 9.95:
        return f"{number(seconds, 1)} s"
    minutes, rest = divmod(round(float(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    minute = f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
    return f"{hours} h {minutes:02d} min" if hours else minute


def counted(count: SupportsInt, noun: str) -> str:
    """Return ``1 seed`` or ``3 seeds``."""
    return f"{int(count):,} {noun}" + ("" if int(count) == 1 else "s")


def mean_se(estimate: Estimate, digits: int = 3) -> str:
    """Return ``2.310 ± 0.010``, mean and standard error, or ``2.310 (n=1)``."""
    return _plus_minus(estimate, estimate.error, digits)


def mean_ci(estimate: Estimate, digits: int = 3) -> str:
    """Return ``2.310 ± 0.020``, mean and half the 95 % interval, or ``2.310 (n=1)``."""
    return _plus_minus(estimate, estimate.high - estimate.value, digits)


def interval(estimate: Estimate, digits: int = 3) -> str:
    """Return ``[−0.070, −0.030]``, the 95 % interval of a difference, or ``n=1``."""
    if math.isnan(estimate.low):
        return f"n={int(estimate.count)}"
    return f"[{signed(estimate.low, digits)}, {signed(estimate.high, digits)}]"


def change(estimate: Estimate, digits: int = 3) -> str:
    """Return ``−0.050 [−0.070, −0.030]``, a difference and its interval; a dash for NaN."""
    if math.isnan(estimate.value):
        return DASH
    return f"{signed(estimate.value, digits)} {interval(estimate, digits)}"


def mean_range(estimate: Estimate, digits: int = 3) -> str:
    """Return ``2.310 [2.290, 2.330]``, a mean and its interval, which may be unknown."""
    text = number(estimate.value, digits)
    if math.isnan(estimate.low):
        return text
    return f"{text} [{number(estimate.low, digits)}, {number(estimate.high, digits)}]"


def _plus_minus(estimate: Estimate, error: float, digits: int) -> str:
    if math.isnan(estimate.value):
        return DASH
    if math.isnan(error):
        return f"{number(estimate.value, digits)} (n={int(estimate.count)})"
    return f"{number(estimate.value, digits)} ± {number(error, digits)}"
