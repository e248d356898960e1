"""Numbers and estimates as text, the same in the report and on the command line."""

import math
from typing import SupportsFloat, SupportsInt

from tcsm.statistics import Estimate

DASH = "–"
UNITS = ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k"))


def number(value: SupportsFloat, digits: int | None = None, sign: str = "") -> str:
    """Return a number with three significant digits, or so many decimals; a dash for NaN."""
    if math.isnan(value):
        return DASH
    digits = decimals(float(value)) if digits is None else digits
    rounded = round(float(value), digits) if math.isfinite(value) else float(value)
    return f"{rounded or 0.0:{sign},.{max(digits, 0)}f}".replace("-", "−")


def signed(value: SupportsFloat, digits: int | None = None) -> str:
    """Return a number that always carries its sign."""
    return number(value, digits, "+")


def percent(value: SupportsFloat) -> str:
    """Return a relative change as signed percent."""
    return DASH if math.isnan(value) else f"{signed(100 * float(value))} %"


def share(value: SupportsFloat) -> str:
    """Return a fraction in whole percent."""
    return DASH if math.isnan(value) else f"{100 * float(value):.0f} %"


def large(value: SupportsFloat) -> str:
    """Return a count in thousands (k), millions (M), ``6.55 G`` or T."""
    for unit, name in UNITS:
        if float(value) >= unit:
            return number(float(value) / unit) + name
    return number(value, 0)


def brief(value: SupportsFloat) -> str:
    """Return a tick label: no more digits than needed, thousands as k, millions as M."""
    for unit, name in UNITS[-2:]:
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
    """Return seconds as ``8.4 s``, ``40 s``, ``12 min 30 s``, ``3 h 05 min``, ``2.5 days``."""
    if math.isnan(seconds):
        return DASH
    if 0 < float(seconds) < 9.95:
        return f"{number(seconds, 1)} s"
    minutes, rest = divmod(round(float(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    minute = f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
    if hours >= 48:
        return f"{hours / 24:,.1f} days"
    return f"{hours} h {minutes:02d} min" if hours else minute


def counted(count: SupportsInt, noun: str) -> str:
    """Return ``1 seed`` or ``3 seeds``."""
    return f"{int(count):,} {noun}" + ("" if int(count) == 1 else "s")


def mean_ci(estimate: Estimate) -> str:
    """Return ``2.31 ± 0.02``, mean and half the 95 % interval, or ``2.31 (n=1)``."""
    value, half = estimate.value, estimate.high - estimate.value
    if math.isnan(value) or math.isnan(half):
        return DASH if math.isnan(value) else f"{number(value)} (n={int(estimate.count)})"
    digits = decimals(value)
    return f"{number(value)} ± {number(half, max(digits, decimals(half, 1)))}"


def interval(estimate: Estimate) -> str:
    """Return ``[−0.070, −0.030]``, the 95 % interval of a difference, or ``n=1``."""
    if math.isnan(estimate.low):
        return f"n={int(estimate.count)}"
    digits = _digits(estimate)
    return f"[{signed(estimate.low, digits)}, {signed(estimate.high, digits)}]"


def change(estimate: Estimate) -> str:
    """Return ``−0.050 [−0.070, −0.030]``, a difference and its interval; a dash for NaN."""
    if math.isnan(estimate.value):
        return DASH
    known = interval(estimate) if estimate.low == estimate.low else f"(n={int(estimate.count)})"
    return f"{signed(estimate.value, _digits(estimate))} {known}"


def mean_range(estimate: Estimate) -> str:
    """Return ``2.31 [2.29, 2.33]``, a mean and its interval, which may be unknown."""
    digits = _digits(estimate)
    text = number(estimate.value, digits)
    if math.isnan(estimate.low):
        return text
    return f"{text} [{number(estimate.low, digits)}, {number(estimate.high, digits)}]"


def decimals(value: float, digits: int = 3) -> int:
    """Return the decimals at which a number has so many significant digits; negative if large."""
    return digits - 1 - math.floor(math.log10(abs(value))) if value and math.isfinite(value) else 2


def _digits(estimate: Estimate) -> int:
    """Return the decimals of an estimate: three significant digits of its largest number."""
    parts = (estimate.value, estimate.low, estimate.high)
    return decimals(max((abs(part) for part in parts if math.isfinite(part)), default=0.0))
