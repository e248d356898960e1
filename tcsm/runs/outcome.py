"""Outcomes: everything that one run left in its folder, read and checked.

The stage that writes a file is the stage to repeat when the file is damaged; a file that is not
there yet is no error, the report says which stage would make it. A run with a record of an earlier
version counts as one without results, and a line names it: other runs can be reported.
"""

import hashlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd
import yaml

from tcsm.config.fast_yaml import FAST
from tcsm.errors import InputError
from tcsm.io import renamed
from tcsm.io.layout import CONFIG, FILES, JOURNALS
from tcsm.io.records import Record, metrics_of, read_lines, require
from tcsm.runs.checks import KEYS, EarlierVersionError, check
from tcsm.runs.run import Run

# What the seeds of an experiment share.
ALIKE = (
    "data",
    "world",
    "corpus",
    "tokenizer",
    "model",
    "objective",
    "bound",
    "trainer",
    "batches",
)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one run left behind; a stage that has not run yet left an empty dict or frame.

    Attributes:
        folder: the run's folder.
        experiment: its name, e.g. "kjv/score".
        seed: its seed.
        config: the resolved configuration.
        config_sha256: hash of the bytes of ``config.yaml``.
        metrics: one row a logged step: step, loss, tokens of text, diagnostics.
        telemetry: one row a logged step: step, seconds, … (depends on the machine).
        train … generative: the record of that stage; ``evaluate``, ``distances``, ``tilted``,
            ``targets``, ``rewards`` and ``generative`` are metrics of an evaluation: likelihood,
            distances to a known and to a reward-tilted distribution, errors of targets, rewards
            and quality of samples.
        stages: stage → its telemetry (depends on the machine).
    """

    folder: Path
    experiment: str
    seed: int
    config: Record
    config_sha256: str
    metrics: pd.DataFrame
    telemetry: pd.DataFrame
    train: Record = field(default_factory=dict)
    evaluate: Record = field(default_factory=dict)
    samples: Record = field(default_factory=dict)
    distances: Record = field(default_factory=dict)
    targets: Record = field(default_factory=dict)
    collect: Record = field(default_factory=dict)
    tilted: Record = field(default_factory=dict)
    rewards: Record = field(default_factory=dict)
    generative: Record = field(default_factory=dict)
    stages: dict[str, Record] = field(default_factory=dict)

    @property
    def results(self) -> bool:
        """Whether a stage has left a record."""
        records = (self.train, self.evaluate, self.samples, self.distances, self.targets)
        return any((*records, self.collect, self.tilted, self.rewards, self.generative))


def read_run(folder: Path) -> Outcome:
    """Return the outcome of a run.

    Raises:
        InputError: A record is damaged; file and line.
        EarlierVersionError: A record lacks keys.
    """
    run, empty = Run(folder), _without_results(folder)
    records = {stage: run.record(stage) for stage in FILES}
    telemetry = {stage: run.telemetry(stage) for stage in FILES}
    check(folder, empty.config, records, telemetry)
    metrics = metrics_of(records["evaluate"])
    losses, times = (folder / name for name in JOURNALS)
    return replace(
        empty,
        metrics=_frame(read_lines(losses, KEYS["metrics"]), KEYS["metrics"]),
        telemetry=_frame(read_lines(times, KEYS["speed"]), KEYS["speed"]),
        train=records["train"],
        evaluate=metrics.get("likelihood", {}),
        distances=metrics.get("exact", {}),
        tilted=metrics.get("tilted", {}),
        rewards=metrics.get("rewards", {}),
        generative=metrics.get("generative", {}),
        targets=metrics.get("targets", {}),
        samples=records["sample"],
        collect=records["collect"],
        stages={stage: record for stage, record in telemetry.items() if record},
    )


def _without_results(folder: Path) -> Outcome:
    """Return the outcome of a run of which the configuration alone is read."""
    config, digest = _config(folder / CONFIG)
    return Outcome(
        folder=folder,
        experiment=str(config["experiment"]),
        seed=int(config["seed"]),
        config=config,
        config_sha256=digest,
        metrics=_frame([], KEYS["metrics"]),
        telemetry=_frame([], KEYS["speed"]),
    )


def _read(folder: Path) -> Outcome:
    """Return the outcome of a run, without results where a record is of an earlier version."""
    try:
        return read_run(folder)
    except EarlierVersionError as error:
        print(f"tcsm: report: {error}; {folder} is shown as missing", file=sys.stderr)
        return _without_results(folder)


def read_runs(folders: Iterable[Path]) -> list[Outcome]:
    """Return several runs; one with a record of an earlier version has no results.

    Raises:
        InputError: Two are the same experiment with the same seed; a record is damaged.
    """
    runs = [_read(Path(folder)) for folder in folders]
    seen: dict[tuple[str, int], Path] = {}
    for run in runs:
        owner = run.experiment, run.seed
        if owner in seen:  # also the same folder once more, whatever path leads to it
            raise InputError(
                f"{run.folder}: experiment {run.experiment} with seed {run.seed} was already read "
                f"from {seen[owner]}; a report takes each once, leave one out of runs"
            )
        seen[owner] = run.folder
    for line in _unlike(runs):
        print(f"tcsm: report: {line}", file=sys.stderr)
    return runs


def _unlike(runs: Iterable[Outcome]) -> Iterator[str]:
    """A line for every run that was not trained as the first seed of its experiment was."""
    first: dict[str, Outcome] = {}
    for run in runs:
        other = first.setdefault(run.experiment, run)
        own, known = (dict(_deciding(each.config)) for each in (run, other))
        keys = [key for key in sorted(own.keys() | known.keys()) if own.get(key) != known.get(key)]
        if keys:
            more = f" and {len(keys) - 1} more" if keys[1:] else ""
            yield (
                f"{run.folder} and {other.folder} differ in {keys[0]} ({own.get(keys[0])} and "
                f"{known.get(keys[0])}){more}, yet both count as seeds of {run.experiment}"
            )


def _deciding(config: Record, key: str = "") -> Iterator[tuple[str, object]]:
    """Every value of a configuration that makes seeds of an experiment comparable."""
    for name, value in config.items():
        inner = f"{key}.{name}".lstrip(".")
        if isinstance(value, dict) and (key or name in ALIKE):
            yield from _deciding(value, inner)
        elif key and name not in ("root", "log_every", "checkpoint_every"):
            yield inner, value


def _frame(rows: Sequence[Record], keys: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(keys))


def _config(path: Path) -> tuple[Record, str]:
    if not path.exists():
        raise InputError(
            f"{path}: not found; a run's folder holds the config.yaml of its training"
        )
    content = path.read_bytes()
    try:
        config = yaml.load(renamed.current(content.decode()), Loader=FAST)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error
    if not isinstance(config, dict):
        raise InputError(f"{path}: found {type(config).__name__}, a configuration is a mapping")
    require(config, KEYS["config"], str(path))
    return config, hashlib.sha256(content).hexdigest()
