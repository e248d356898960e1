"""Verdicts: how a comparison of arms is told, as columns of a table and as sentences.

They read the rows of ``comparisons.arms``; less is better.
"""

import math
from collections.abc import Callable
from typing import Any

import pandas as pd

from tcsm.reporting import comparisons, wording
from tcsm.reporting.ablations import Grid
from tcsm.reporting.tables import Column

HEALTH = (
    Column("Non-finite", lambda row: f"{row.nonfinite} of {row.runs}"),
    Column("Diverged", lambda row: f"{row.diverged} of {row.runs}"),
)
COSTS = (
    ("CPU a run", "cpu_seconds"),
    ("Targets", "targets_seconds"),
    ("Needed runs", "needed_seconds"),
    ("Together", "total_seconds"),
)


def measured(header: str) -> tuple[Column, ...]:
    """Arm, measure ± half its interval, gap to the baseline with its interval, verdict."""
    return (
        Column("Arm", lambda row: row.arm),
        Column(header[:1].upper() + header[1:], reach),
        Column("Δ to the baseline", lambda row: "baseline" if is_baseline(row) else gap(row)),
        Column("Verdict", lambda row: "" if is_baseline(row) else outcome(row)),
    )


def costs(rows: pd.DataFrame) -> tuple[Column, ...]:
    """Steps and CPU time of a run; the cost of others only where there is any."""
    plain = bool((rows["total_seconds"] == rows["cpu_seconds"]).all())
    shown = COSTS[:1] if plain else COSTS
    times = [Column(header, _time(key)) for header, key in shown]
    return (Column("Steps", lambda row: wording.whole(row.steps)), *times)


def _time(key: str) -> Callable[[Any], str]:
    return lambda row: wording.duration(row[key])


def reach(row: pd.Series, digits: int = 3) -> str:
    """``2.310 ± 0.020``: the mean and half its 95 % interval; ``2.310 (2 of 3)`` if runs lack."""
    if 0 < row["count"] < row["runs"]:
        some = f"({int(row['count'])} of {int(row['runs'])})"
        return f"{wording.number(row['value'], digits)} {some}"
    return wording.plus_minus(row["value"], row["high"] - row["value"], row["count"], digits)


def goals(rows: pd.DataFrame, limit: float, digits: int = 3) -> dict[str, str]:
    """The arms by what their intervals say of a goal, each list in words, empty if none."""
    told: dict[str, list[str]] = {wording.MET: [], wording.OPEN: [], wording.MISSED: []}
    for _, row in rows.iterrows():
        told[wording.goal(row["low"], row["high"], limit)].append(_bounds(row, digits))
    return {verdict: wording.listed(arms) for verdict, arms in told.items()}


def gap(row: pd.Series, digits: int = 3) -> str:
    """``−0.050 [−0.070, −0.030]``: the paired gap and its 95 % interval."""
    if math.isnan(row["gap_value"]):
        return wording.DASH
    limits = wording.interval(row["gap_low"], row["gap_high"], row["gap_count"], digits)
    return f"{wording.signed(row['gap_value'], digits)} {limits}"


def outcome(row: pd.Series) -> str:
    """What the interval of the gap allows to say, in few words."""
    return wording.outcome(row["gap_low"], row["gap_high"], row["gap_count"])


def answer(grid: Grid, rows: pd.DataFrame, measure: str, words: str) -> str:
    """For the arms of each baseline: who is best, by how much, who is level, who failed."""
    parts = [
        _lead(grid, part, measure, words)
        for _, part in rows.groupby("group", sort=False)
        if part["value"].notna().any()
    ]
    return " ".join([*parts, failures(rows)]).strip()


def brief(rows: pd.DataFrame, words: str) -> str:
    """The best arm of each baseline in a few words."""
    parts = []
    for _, part in rows.dropna(subset=["value"]).groupby("group", sort=False):
        best = best_of(part)
        held = f"{gap(best)} to {best['baseline']}: {outcome(best)}"
        said = _undefeated(part) if is_baseline(best) else held
        low = _lowest(part, best)
        parts.append(f"**{best['arm']}** is {low} with {reach(best)} {words} ({said})")
    return "; ".join(parts) + "." if parts else ""


def _undefeated(rows: pd.DataFrame) -> str:
    """How many arms cannot be told from a baseline that is lowest itself."""
    others = rows[rows["arm"] != rows["baseline"]].dropna(subset=["gap_low"])
    level = int((others["gap_low"] <= 0).sum())
    if others.empty:
        return "the baseline; one seed tells nothing apart"
    return f"the baseline; no difference found to {level} of {wording.counted(len(others), 'arm')}"


def best_of(rows: pd.DataFrame, key: str = "value") -> pd.Series:
    """The row of the least mean, of those whose mean is over as many seeds as any's."""
    fullest = rows[rows["count"] == rows["count"].max()]
    least: pd.Series = fullest.iloc[int(fullest[key].argmin())]
    return least


def failures(rows: pd.DataFrame) -> str:
    """The arms with runs that were not finite or diverged; empty if there is none."""
    failed = rows[(rows["nonfinite"] > 0) | (rows["diverged"] > 0)]
    said = [
        f"{row.arm} ({max(row.nonfinite, row.diverged)} of {wording.counted(row.runs, 'run')})"
        for _, row in failed.iterrows()
    ]
    return f"Not finite or diverged: {', '.join(said)}." if said else ""


def _lead(grid: Grid, rows: pd.DataFrame, measure: str, words: str) -> str:
    best = best_of(rows)
    name = f"**{best['arm']}**" + (", the baseline," if is_baseline(best) else "")
    text = f"{name} is {_lowest(rows, best)}: {reach(best)} {words}"
    if not is_baseline(best) and best["baseline"]:
        verdict = wording.verdict(best["gap_low"], best["gap_high"])
        text += f", {gap(best)} against {best['baseline']}: {verdict}"
    return f"{text}. {_level(grid, rows, measure, best)}".strip()


def _lowest(rows: pd.DataFrame, best: pd.Series) -> str:
    """That an arm is lowest, and of which arms if the mean of fewer seeds is lower."""
    if (rows["value"] < best["value"]).any():
        return f"lowest of the arms with {wording.counted(best['count'], 'finite seed')}"
    return "lowest"


def _level(grid: Grid, rows: pd.DataFrame, measure: str, best: pd.Series) -> str:
    """Who cannot be told from the best arm, given the seeds, and for whom there are too few."""
    others = [str(arm) for arm in rows["arm"] if arm != best["arm"]]
    if not others:
        return ""
    if int(best["count"]) < 2:
        return "One seed is not enough to tell arms apart."
    gaps = comparisons.gaps_to(grid, measure, str(best["arm"]), others)
    worse = [arm for arm, gap in gaps.items() if gap.low > 0]
    level = [arm for arm, gap in gaps.items() if gap.low <= 0 <= gap.high]
    better = [arm for arm, gap in gaps.items() if gap.high < 0]
    unknown = [arm for arm, gap in gaps.items() if gap.count < 2]
    if len(worse) == len(others):
        return "Every other arm is worse, beyond the spread of the seeds."
    if len(level) == len(others) > 1:
        return f"No difference found between it and the {len(others)} other arms."
    told = {
        "Worse, beyond the spread of the seeds:": [] if level else worse,
        "No difference found between it and": level,
        "Better in the seeds that they share:": better,
        "Too few seeds to tell it from": unknown,
    }
    return " ".join(f"{words} {wording.listed(arms)}." for words, arms in told.items() if arms)


def _bounds(row: pd.Series, digits: int) -> str:
    """``KL (2.310 [2.290, 2.330])``: an arm, its mean and its 95 % interval."""
    limits = ", ".join(wording.number(row[key], digits) for key in ("low", "high"))
    limits = f"n={int(row['count'])}" if math.isnan(row["low"]) else f"[{limits}]"
    return f"{row['arm']} ({wording.number(row['value'], digits)} {limits})"


def is_baseline(row: pd.Series) -> bool:
    """Whether an arm is the one that others of its group are held against."""
    return bool(row["arm"] == row["baseline"])
