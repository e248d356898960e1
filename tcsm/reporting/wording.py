"""Wording: how numbers are spoken of in tables and sentences, the same everywhere."""

import math
from collections.abc import Sequence
from typing import SupportsFloat, SupportsInt

DASH = "–"
MET, MISSED, OPEN = "met", "missed", "open"  # what an interval says of a goal


def number(value: SupportsFloat, digits: int = 3) -> str:
    """A number with a true minus sign; a dash if it is not known."""
    return DASH if math.isnan(value) else f"{float(value):,.{digits}f}".replace("-", "−")


def signed(value: SupportsFloat, digits: int = 3) -> str:
    """A number that always carries its sign."""
    return DASH if math.isnan(value) else f"{float(value):+,.{digits}f}".replace("-", "−")


def percent(value: SupportsFloat) -> str:
    """A share as percent, signed."""
    return DASH if math.isnan(value) else f"{signed(100 * float(value), 2)} %"


def share(value: SupportsFloat) -> str:
    """A part of a whole in whole percent."""
    return DASH if math.isnan(value) else f"{100 * float(value):.0f} %"


def plus_minus(
    value: SupportsFloat, error: SupportsFloat, count: SupportsInt, digits: int = 3
) -> str:
    """``value ± standard error``, or ``value (n=1)`` where there is no error to tell."""
    if math.isnan(value):
        return DASH
    error_known = not math.isnan(error)
    return number(value, digits) + (
        f" ± {number(error, digits)}" if error_known else f" (n={int(count)})"
    )


def interval(low: SupportsFloat, high: SupportsFloat, count: SupportsInt, digits: int = 3) -> str:
    """``[low, high]`` with signs, or ``n=1``."""
    if math.isnan(low):
        return f"n={int(count)}"
    return f"[{signed(low, digits)}, {signed(high, digits)}]"


def whole(value: SupportsFloat) -> str:
    """A count with thousands separated."""
    return number(value, 0)


def large(value: SupportsFloat) -> str:
    """A count in thousands (k) or millions (M)."""
    for unit, name in ((1e6, " M"), (1e3, " k")):
        if float(value) >= unit:
            return number(float(value) / unit, 2) + name
    return whole(value)


def brief(value: SupportsFloat) -> str:
    """A place on an axis: no more digits than it has, thousands as k, millions as M."""
    for unit, name in ((1e6, " M"), (1e3, " k")):
        if abs(float(value)) >= unit:
            return f"{float(value) / unit:g}{name}"
    return f"{float(value):.6g}"


def short(value: SupportsFloat) -> str:
    """Two digits that count: ``0.0012``, ``3.4e−5``, ``120``; a dash if it is not known."""
    if math.isnan(value):
        return DASH
    text = f"{float(value):#.2g}".rstrip(".") if abs(float(value)) < 100 else f"{float(value):.0f}"
    digits, _, power = text.replace("-", "−").partition("e")
    return f"{digits}e{power[0]}{power[1:].lstrip('0')}".replace("+", "") if power else digits


def duration(seconds: SupportsFloat) -> str:
    """Seconds as ``8.4 s``, ``40 s``, ``12 min 30 s`` or ``3 h 05 min``."""
    if math.isnan(seconds):
        return DASH
    if 0 < float(seconds) < 9.95:
        return f"{number(seconds, 1)} s"
    minutes, rest = divmod(round(float(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def counted(count: SupportsInt, noun: str) -> str:
    """``1 seed``, ``3 seeds``."""
    return f"{int(count):,} {noun}" + ("" if int(count) == 1 else "s")


def verdict(low: SupportsFloat, high: SupportsFloat) -> str:
    """What a 95 % interval of a difference in BPC (lower is better) allows to say."""
    if math.isnan(low):
        return "one seed is not enough to tell the two apart"
    if float(low) > 0:
        return "worse, beyond the spread of the seeds"
    if float(high) < 0:
        return "better, beyond the spread of the seeds"
    return "the interval holds zero: no difference can be told"


def outcome(low: SupportsFloat, high: SupportsFloat, count: SupportsInt) -> str:
    """The verdict in few words, for a table."""
    if math.isnan(low):
        return "one seed" if int(count) == 1 else DASH
    if float(low) > 0:
        return "worse"
    return "better" if float(high) < 0 else "no difference found"


def goal(low: SupportsFloat, high: SupportsFloat, limit: SupportsFloat) -> str:
    """Whether a number is to be ``limit`` or less, by its whole 95 % interval: MET, MISSED, OPEN.

    One seed has no interval and leaves it open.
    """
    if float(high) <= float(limit):
        return MET
    return MISSED if float(low) > float(limit) else OPEN


def listed(names: Sequence[str]) -> str:
    """``A``, ``A and B``, ``A, B and C``."""
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)
