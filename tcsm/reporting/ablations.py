"""Ablations: the runs of a grid as a frame, one row a run.

A variant is a value on every axis of the grid, each shown by its label. The cost of a run is its
own, that of its targets and that of the runs it needs (a teacher, a collection).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import pandas as pd

from tcsm.io.records import Record
from tcsm.reporting import stability
from tcsm.reporting.runs import Run

Labels = Mapping[str, Mapping[str, str]]
NEEDS = ("teacher_run", "reference", "initial", "collected", "reward_run")
MADE = ("train", "exact", "tilt")
SHARED = ("train", "exact", "reward", "collect", "pair")  # stages of runs that others need
TARGETS = ("targets_cpu_seconds", "targets_spared_cpu_seconds")  # computed, and saved by a cache
SPLITS = ("test", "valid")
IDENTITY = ("stage", "experiment", "seed")


@dataclass(frozen=True, eq=False)
class Grid:
    """An ablation as it was run.

    Attributes:
        axes: the names of its axes, in the order of the variants' labels.
        runs: one row a run: arm (the label of its variant), experiment, seed, the value on every
            axis, test_bpc and valid_bpc, steps, tokens, CPU-seconds (cpu_seconds of its own,
            targets_seconds, needed_seconds, and total_seconds, their sum), finite, diverged, and
            the numbers of ``exact.json``, ``targets.json`` and ``tilt.json``; NaN where unknown.
    """

    axes: tuple[str, ...]
    runs: pd.DataFrame


def read(runs: Sequence[Run], name: str, labels: Labels) -> Grid:
    """Return the runs of the experiments ``name/…``, in the order in which labels list values."""
    rows = sorted(
        (run for run in runs if is_part(run, name)),
        key=lambda run: (*_places(run, labels), run.seed),
    )
    folders = {run.folder: run for run in runs}
    axes = dict.fromkeys(axis for run in rows for axis in values(run))
    frame = pd.DataFrame([_row(run, labels, folders) for run in rows])
    if not frame.empty:  # of training without its evaluations, where that was measured
        spent = (frame["step_seconds"] * frame["steps"]).fillna(frame["cpu_seconds"])
        frame = frame.assign(spent=spent)
    return Grid(tuple(axes), frame)


def is_part(run: Run, name: str) -> bool:
    """Return whether a run belongs to the ablation ``name``."""
    return run.experiment.startswith(f"{name}/") and bool(values(run))


def values(run: Run) -> dict[str, str]:
    """Return axis → value of a run; empty if it belongs to no ablation."""
    return {str(axis): str(value) for axis, value in (run.config.get("axes") or {}).items()}


def label(labels: Labels, values: Mapping[str, str], between: str = " · ") -> str:
    """Return the labels of values on several axes; a value without a label is its own."""
    names = (labels.get(a, {}).get(v, v.replace("_", " ")) for a, v in values.items())
    return between.join(names)


def place(row: pd.Series) -> tuple[str, int]:
    """Return the experiment and the seed of a row."""
    return str(row["experiment"]), int(row["seed"])


def needed(run: Run, folders: Mapping[Path, Run]) -> list[Run | None]:
    """Return the runs that a run needs, directly or not, each once; None where not at hand."""
    others: dict[Path, Run | None] = {}
    waiting: list[Run | None] = [run]
    while waiting:
        one = waiting.pop()
        names = [one.config.get(key) for key in NEEDS] if one else []
        for folder in (Path(name) for name in names if name):
            if folder not in others:
                others[folder] = folders.get(folder)
                waiting.append(others[folder])
    return list(others.values())


def number(value: str) -> float:
    """Return a value as a number; infinity for a word."""
    try:
        return float(value)
    except ValueError:
        return math.inf


def spent(run: Run, stages: Iterable[str], key: str = "cpu_seconds") -> float:
    """Return the CPU-seconds of some stages of a run together; NaN without any telemetry."""
    if not run.stages:
        return math.nan
    return float(sum(run.stages.get(stage, {}).get(key, 0.0) for stage in stages))


def _places(run: Run, labels: Labels) -> list[tuple[int, float, str]]:
    """Sort values as the labels list them, then numbers by size, then letters."""
    places = []
    for axis, value in values(run).items():
        listed = list(labels.get(axis, {}))
        position = listed.index(value) if value in listed else len(listed)
        places.append((position, number(value), value))
    return places


def _row(run: Run, labels: Labels, folders: Mapping[Path, Run]) -> dict[str, object]:
    splits = run.evaluate.get("splits", {})
    seconds = run.stages.get("exact", {}).get("cpu_seconds_per_step", math.nan)
    world_tv = run.tilt.get("world", {}).get("tv")
    return {
        "arm": label(labels, values(run)),
        "experiment": run.experiment,
        "seed": run.seed,
        **{f"{split}_bpc": splits.get(split, {}).get("bpc", math.nan) for split in SPLITS},
        **{key: run.train.get(key, math.nan) for key in ("steps", "tokens", "parameters")},
        **_numbers(run.exact),
        **_numbers(run.targets),
        **_numbers(run.tilt),
        **_cost(run, folders),
        "step_seconds": float(seconds),
        "world_tv": math.nan if world_tv is None else float(world_tv),
        "finite": not stability.stopped(run)
        and bool({**run.exact, **run.tilt}.get("finite", True)),
        "diverged": stability.diverged(run.metrics) or bool(run.exact.get("diverged", False)),
        **values(run),
    }


def _numbers(record: Record) -> dict[str, float]:
    """Return the plain numbers of a record; null stands for one that was not finite."""
    return {
        key: math.nan if value is None else float(value)
        for key, value in record.items()
        if key not in IDENTITY and (value is None or _is_number(value))
    }


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _cost(run: Run, folders: Mapping[Path, Run]) -> dict[str, float]:
    """Return the CPU-seconds of a run, of its targets, cached or not, and of the runs it needs."""
    own = spent(run, MADE) - spent(run, MADE, "targets_cpu_seconds")
    targets = sum(spent(run, run.stages, key) for key in TARGETS)
    others = sum(
        math.nan if other is None else spent(other, SHARED) for other in needed(run, folders)
    )
    return {
        "cpu_seconds": own,
        "targets_seconds": targets,
        "needed_seconds": others,
        "total_seconds": own + targets + others,
    }
