"""Comparisons: the arms of an ablation, each held against its baseline, paired over seeds.

    gap of an arm = mean over shared seeds of (measure of the arm − measure of its baseline)

Intervals are Student's at 95 %, each for itself: of twenty arms that do not differ, one may seem
to.
"""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from tcsm.reporting.ablations import Grid
from tcsm.reporting.statistics import Estimate, finite, paired

COSTS = ("steps", "cpu_seconds", "targets_seconds", "needed_seconds", "total_seconds")


def arms(grid: Grid, measure: str, baseline: Mapping[str, str]) -> pd.DataFrame:
    """One row an arm: the measure, the gap to its baseline, cost, health.

    The baseline of an arm has the values of ``baseline``, and the arm's own on the axes that
    ``baseline`` does not name. The column ``group`` tells arms of one baseline from others.
    """
    free = [axis for axis in grid.axes if axis not in baseline]
    rows = []
    for arm, mine in grid.runs.groupby("arm", sort=False):
        own = {axis: str(mine[axis].iloc[0]) for axis in free}
        base = chosen(grid.runs, {**own, **baseline})
        gap = gap_of(mine, base, measure)
        rows.append(
            {
                "arm": arm,
                "group": "|".join(own.values()),
                "baseline": base["arm"].iloc[0] if len(base) else "",
                **{axis: mine[axis].iloc[0] for axis in grid.axes},
                **vars(finite(mine[measure].to_numpy(dtype=float))),
                **{f"gap_{key}": value for key, value in vars(gap).items()},
                **_cost(mine),
                **_health(mine),
            }
        )
    return pd.DataFrame(rows)


def chosen(runs: pd.DataFrame, values: Mapping[str, str]) -> pd.DataFrame:
    """The runs that have these values on these axes."""
    kept = [
        all(row[axis] == value for axis, value in values.items()) for _, row in runs.iterrows()
    ]
    return runs[pd.Series(kept, index=runs.index, dtype=bool)]


def beside(
    grid: Grid,
    baseline: Mapping[str, str],
    tell: Callable[[pd.Series, pd.Series | None], Mapping[str, float]],
    needed: str,
) -> Grid:
    """The grid with what is told of each run beside the baseline's run of the same seed.

    Args:
        grid: the runs.
        baseline: axis → value of the baseline's arm.
        tell: (row, the baseline's row or None) ↦ columns.
        needed: the column without which a run is left out.
    """
    if grid.runs.empty:
        return grid
    base = {int(row["seed"]): row for _, row in chosen(grid.runs, baseline).iterrows()}
    found = [tell(row, base.get(int(row["seed"]))) for _, row in grid.runs.iterrows()]
    told = grid.runs.assign(**pd.DataFrame(found, index=grid.runs.index))
    return Grid(grid.axes, told.dropna(subset=[needed]))


def gap_of(ours: pd.DataFrame, theirs: pd.DataFrame, measure: str) -> Estimate:
    """Ours − theirs, paired over seeds."""
    first, second = (
        dict(zip(runs["seed"], runs[measure], strict=True)) for runs in (ours, theirs)
    )
    return paired(first, second)


def gaps_to(grid: Grid, measure: str, arm: str, others: Sequence[str]) -> dict[str, Estimate]:
    """The gap of each of ``others`` to ``arm``."""
    by_arm = dict(list(grid.runs.groupby("arm", sort=False)))
    return {other: gap_of(by_arm[other], by_arm[arm], measure) for other in others}


def level_with(grid: Grid, measure: str, arm: str, others: Sequence[str]) -> list[str]:
    """Those of ``others`` whose gap to ``arm`` has an interval that holds zero."""
    gaps = gaps_to(grid, measure, arm, others)
    return [other for other, gap in gaps.items() if gap.low <= 0 <= gap.high]


def _cost(mine: pd.DataFrame) -> dict[str, float]:
    return {key: float(mine[key].mean()) for key in COSTS}


def _health(mine: pd.DataFrame) -> dict[str, int]:
    return {
        "runs": len(mine),
        "nonfinite": int((~mine["finite"]).sum()),
        "diverged": int(mine["diverged"].sum()),
    }
