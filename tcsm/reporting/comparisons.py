"""Comparisons: the variants of an ablation against their baseline, paired over seeds.

    gap of a variant = mean over shared seeds of (its measure − the measure of its baseline)

Each interval is Student's at 95 % for one comparison, without a correction for their number.
"""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from tcsm.reporting.ablations import Grid
from tcsm.reporting.statistics import Estimate, finite, paired

COSTS = ("steps", "cpu_seconds", "targets_seconds", "needed_seconds", "total_seconds")


def variants(
    grid: Grid, measure: str, baseline: Mapping[str, str], means: Sequence[str] = ()
) -> pd.DataFrame:
    """Return one row a variant: the measure, the gap to its baseline, cost, health, other means.

    The baseline of a variant has the values of ``baseline``, and the variant's own on the axes
    that ``baseline`` does not name. Variants of one baseline share the column ``group``.
    """
    free = [axis for axis in grid.axes if axis not in baseline]
    rows = []
    for arm, runs in grid.runs.groupby("arm", sort=False):
        own = {axis: str(runs[axis].iloc[0]) for axis in free}
        base = chosen(grid.runs, {**own, **baseline})
        gap = gap_of(runs, base, measure)
        row: dict[str, object] = {
            "arm": arm,
            "group": "|".join(own.values()),
            "baseline": base["arm"].iloc[0] if len(base) else "",
            **{axis: runs[axis].iloc[0] for axis in grid.axes},
            **vars(finite(runs[measure].to_numpy(dtype=float))),
            **{f"gap_{key}": value for key, value in vars(gap).items()},
            **{key: float(runs[key].mean()) for key in COSTS},
            "runs": len(runs),
            "nonfinite": int((~runs["finite"]).sum()),
            "diverged": int(runs["diverged"].sum()),
        }
        rows.append(row)
    table, by_arm = pd.DataFrame(rows), grid.runs.groupby("arm", sort=False)
    return table.assign(**{key: table["arm"].map(by_arm[key].mean()) for key in means})


def chosen(runs: pd.DataFrame, values: Mapping[str, str]) -> pd.DataFrame:
    """Return the runs that have these values on these axes."""
    kept = [
        all(row[axis] == value for axis, value in values.items()) for _, row in runs.iterrows()
    ]
    return runs[pd.Series(kept, index=runs.index, dtype=bool)]


def beside(
    grid: Grid,
    baseline: Mapping[str, str],
    measure: Callable[[pd.Series, pd.Series | None], Mapping[str, float]],
    needed: str,
) -> Grid:
    """Return the grid with measures that compare each run to the baseline's run of its seed.

    Args:
        grid: the runs.
        baseline: axis → value of the baseline.
        measure: (row, the baseline's row or None) ↦ columns.
        needed: the column without which a run is left out.
    """
    if grid.runs.empty:
        return grid
    base = {int(row["seed"]): row for _, row in chosen(grid.runs, baseline).iterrows()}
    columns = [measure(row, base.get(int(row["seed"]))) for _, row in grid.runs.iterrows()]
    runs = grid.runs.assign(**pd.DataFrame(columns, index=grid.runs.index))
    return Grid(grid.axes, runs.dropna(subset=[needed]))


def gap_of(runs: pd.DataFrame, baseline: pd.DataFrame, measure: str) -> Estimate:
    """Return the mean of a measure minus that of the baseline, paired over seeds."""
    first, second = (
        dict(zip(part["seed"], part[measure], strict=True)) for part in (runs, baseline)
    )
    return paired(first, second)
