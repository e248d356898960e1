"""Significance: what 95 % intervals of differences and of goals allow to say."""

import math
from collections.abc import Iterable

from tcsm.reporting.statistics import Estimate
from tcsm.reporting.tables import Row, estimate

LOWER, HIGHER, NONE, UNKNOWN = "lower", "higher", "not significant", "unknown"
MET, MISSED, OPEN = "met", "missed", "inconclusive"


def significance(difference: Estimate) -> str:
    """Return on which side of zero the whole interval lies; UNKNOWN for fewer than two seeds."""
    if math.isnan(difference.low):
        return UNKNOWN
    if difference.low > 0:
        return HIGHER
    return LOWER if difference.high < 0 else NONE


def goal(value: Estimate, limit: float | int) -> str:
    """Return whether the whole interval lies at or below a limit; a single seed leaves it open."""
    if value.high <= limit:
        return MET
    return MISSED if value.low > limit else OPEN


def by_significance(rows: Iterable[Row], prefix: str = "gap") -> dict[str, list[Row]]:
    """Return the rows by the significance of an estimate, those without one left out."""
    groups: dict[str, list[Row]] = {side: [] for side in (LOWER, HIGHER, NONE)}
    for row in rows:
        groups.get(significance(estimate(row, prefix)), []).append(row)
    return groups


def by_goal(rows: Iterable[Row], limit: float | int, prefix: str = "") -> dict[str, list[Row]]:
    """Return the rows by whether their estimate meets a limit."""
    groups: dict[str, list[Row]] = {state: [] for state in (MET, OPEN, MISSED)}
    for row in rows:
        groups[goal(estimate(row, prefix), limit)].append(row)
    return groups
