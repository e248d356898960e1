"""Ablations: the runs of a grid as a frame, one row a run.

An arm is a place in the grid, a value on every axis; params say each value in words. The cost of a
run is its own, that of its targets and that of the runs it needs (a teacher, a collection).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import pandas as pd

from tcsm.reporting import health
from tcsm.reporting.records import Record
from tcsm.reporting.runs import Run

Words = Mapping[str, Mapping[str, str]]
NEEDS = ("teacher_run", "reference", "initial", "collected", "reward_run")
MADE = ("train", "exact", "tilt")
SHARED = ("train", "exact", "reward", "collect", "pair")  # what a run that others need was made by
TARGETS = ("targets_cpu_seconds", "targets_spared_cpu_seconds")  # made, spared by a cache
SPLITS = ("test", "valid")
IDENTITY = ("stage", "experiment", "seed")


@dataclass(frozen=True, eq=False)
class Grid:
    """An ablation as it was run.

    Attributes:
        axes: what its arms differ in, in the order of their names.
        runs: one row a run: arm (its label), experiment, seed, the value on every axis, test_bpc
            and valid_bpc, steps, tokens, CPU-seconds (cpu_seconds of its own, targets_seconds,
            needed_seconds, and total_seconds, their sum), finite, diverged, and the numbers of
            ``exact.json`` and ``targets.json``; what was not measured is NaN.
    """

    axes: tuple[str, ...]
    runs: pd.DataFrame


def read(runs: Sequence[Run], name: str, words: Words) -> Grid:
    """The runs of the experiments ``name/…``, in the order in which ``words`` has the values."""
    mine = sorted(
        (run for run in runs if is_part(run, name)),
        key=lambda run: (*_places(run, words), run.seed),
    )
    folders = {run.folder: run for run in runs}
    axes = dict.fromkeys(axis for run in mine for axis in values(run))
    return Grid(tuple(axes), pd.DataFrame([_row(run, words, folders) for run in mine]))


def is_part(run: Run, name: str) -> bool:
    """Whether a run belongs to the ablation ``name``."""
    return run.experiment.startswith(f"{name}/") and bool(values(run))


def values(run: Run) -> dict[str, str]:
    """Axis → value of a run; empty if it belongs to no ablation."""
    return {str(axis): str(value) for axis, value in (run.config.get("axes") or {}).items()}


def say(words: Words, axis: str, value: str) -> str:
    """A value of an axis in words; one that params do not name says itself."""
    return words.get(axis, {}).get(value, value.replace("_", " "))


def say_all(words: Words, place: Mapping[str, str] | pd.Series, between: str = " · ") -> str:
    """The words for the values on several axes."""
    return between.join(say(words, str(axis), str(value)) for axis, value in place.items())


def place(row: pd.Series) -> tuple[str, int]:
    """The experiment and the seed of a row: which run it is."""
    return str(row["experiment"]), int(row["seed"])


def label(words: Words, run: Run) -> str:
    """The words for the arm of a run."""
    return say_all(words, values(run))


def needed(run: Run, folders: Mapping[Path, Run]) -> list[Run | None]:
    """The runs that a run was made with, and those that they were, each once.

    None stands for those whose records are not at hand.
    """
    found: dict[Path, Run | None] = {}
    waiting: list[Run | None] = [run]
    while waiting:
        one = waiting.pop()
        names = [one.config.get(key) for key in NEEDS] if one else []
        for folder in (Path(name) for name in names if name):
            if folder not in found:
                found[folder] = folders.get(folder)
                waiting.append(found[folder])
    return list(found.values())


def _places(run: Run, words: Words) -> list[tuple[int, float, str]]:
    """The place of each value: as params list it, then numbers by size, then letters."""
    found = []
    for axis, value in values(run).items():
        listed = list(words.get(axis, {}))
        place = listed.index(value) if value in listed else len(listed)
        found.append((place, number(value), value))
    return found


def number(value: str) -> float:
    """A value that is a number; infinity for a word."""
    try:
        return float(value)
    except ValueError:
        return math.inf


def _row(run: Run, words: Words, folders: Mapping[Path, Run]) -> dict[str, object]:
    splits = run.evaluate.get("splits", {})
    return {
        "arm": label(words, run),
        "experiment": run.experiment,
        "seed": run.seed,
        **{f"{split}_bpc": splits.get(split, {}).get("bpc", math.nan) for split in SPLITS},
        **{key: run.train.get(key, math.nan) for key in ("steps", "tokens", "parameters")},
        **_numbers(run.exact),
        **_numbers(run.targets),
        **_numbers(run.tilt),
        **_cost(run, folders),
        **_health(run),
        **values(run),
    }


def _health(run: Run) -> dict[str, bool]:
    return {
        "finite": not health.stopped(run) and bool({**run.exact, **run.tilt}.get("finite", True)),
        "diverged": health.diverged(run.metrics) or bool(run.exact.get("diverged", False)),
    }


def _numbers(record: Record) -> dict[str, float]:
    """The plain numbers of a record; a null is a number that was not finite."""
    return {
        key: math.nan if value is None else float(value)
        for key, value in record.items()
        if key not in IDENTITY and (value is None or _is_number(value))
    }


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _cost(run: Run, folders: Mapping[Path, Run]) -> dict[str, float]:
    """Its own, apart from its targets; all of its targets, cached or not; the runs it needs."""
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


def spent(run: Run, stages: Iterable[str], key: str = "cpu_seconds") -> float:
    """CPU-seconds of some stages of a run together; NaN if no stage has its telemetry here."""
    if not run.stages:
        return math.nan
    return float(sum(run.stages.get(stage, {}).get(key, 0.0) for stage in stages))
