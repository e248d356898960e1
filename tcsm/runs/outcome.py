"""Outcomes: everything that one run left in its folder, read and checked.

The stage that writes a file is the stage to repeat when the file is damaged; a file that is not
there yet is no error, the report says which stage would make it.
"""

import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import yaml

from tcsm.config.fast_yaml import FAST
from tcsm.errors import InputError
from tcsm.io.layout import CONFIG, FILES, JOURNALS
from tcsm.io.records import Record, metrics_of, read_lines, require
from tcsm.runs.run import Run

# What the seeds of an experiment share.
ALIKE = ("data", "world", "corpus", "tokenizer", "model", "objective", "bound", "trainer", "feed")
KEYS: dict[str, tuple[str, ...]] = {
    "config": ("experiment", "seed"),
    "metrics": ("step", "loss"),
    "speed": ("step", "seconds"),
    "train": ("experiment", "seed", "parameters", "steps", "tokens"),
    "evaluate": ("experiment", "seed"),
    "rewards": ("reward", "rewards", "texts"),
    "likelihood": ("bound", "splits", "by_noise"),
    "split": ("bpc", "nats", "chars"),
    "sample": ("experiment", "seed", "runs"),
    "sampler run": ("sampler", "steps", "network_calls", "texts", "statistics"),
    "exact": ("kl", "finite", "diverged"),
    "targets": ("tv", "tv_se", "sequences", "missing", "entropy"),
    "collect": ("experiment", "seed", "count"),
    "tilted": ("tv", "kl", "reward_calls"),
    "telemetry": ("seconds", "cpu_seconds", "device", "threads", "versions", "commit", "dirty"),
}
# Records of stages of earlier versions, which are metrics of an evaluation now.
FORMER = {
    "exact.json": "exact",
    "tilt.json": "tilted",
    "grade.json": "rewards",
    "targets.json": "targets",
}


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
        train … rewards: the record of that stage; ``evaluate``, ``distances``, ``tilted``,
            ``targets`` and ``rewards`` are metrics of an evaluation: likelihood, distances to a
            known and to a reward-tilted distribution, errors of targets, and rewards of samples.
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
    stages: dict[str, Record] = field(default_factory=dict)

    @property
    def results(self) -> bool:
        """Whether a stage has left a record."""
        records = (self.train, self.evaluate, self.samples, self.distances, self.targets)
        return any((*records, self.collect, self.tilted, self.rewards))


def read_run(folder: Path) -> Outcome:
    """Reads a run's folder; raises InputError that names file and line of a damaged record."""
    run = Run(folder)
    records = {stage: run.record(stage, KEYS[stage]) for stage in FILES}
    telemetry = {stage: run.telemetry(stage, KEYS["telemetry"]) for stage in FILES}
    config, digest = _config(folder / CONFIG)
    for stage, name in FILES.items():
        _check_owner(records[stage], config, folder / name)
    _check_weights(records, config, folder)
    _check_parts(records, folder)
    metrics = metrics_of(records["evaluate"])
    losses, times = (folder / name for name in JOURNALS)
    return Outcome(
        folder=folder,
        experiment=str(config["experiment"]),
        seed=int(config["seed"]),
        config=config,
        config_sha256=digest,
        metrics=_frame(losses, KEYS["metrics"]),
        telemetry=_frame(times, KEYS["speed"]),
        train=records["train"],
        evaluate=metrics.get("likelihood", {}),
        distances=metrics.get("exact", {}),
        tilted=metrics.get("tilted", {}),
        rewards=metrics.get("rewards", {}),
        targets=metrics.get("targets", {}),
        samples=records["sample"],
        collect=records["collect"],
        stages={stage: record for stage, record in telemetry.items() if record},
    )


def read_runs(folders: Iterable[Path]) -> list[Outcome]:
    """Reads several runs; raises InputError if two are the same experiment with the same seed."""
    runs = [read_run(Path(folder)) for folder in folders]
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


def _frame(path: Path, keys: tuple[str, ...]) -> pd.DataFrame:
    rows = read_lines(path, keys)
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(keys))


def _config(path: Path) -> tuple[Record, str]:
    if not path.exists():
        raise InputError(
            f"{path}: not found; a run's folder holds the config.yaml of its training"
        )
    content = path.read_bytes()
    try:
        config = yaml.load(content, Loader=FAST)
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error
    if not isinstance(config, dict):
        raise InputError(f"{path}: found {type(config).__name__}, a configuration is a mapping")
    require(config, KEYS["config"], str(path))
    return config, hashlib.sha256(content).hexdigest()


def _check_owner(record: Record, config: Record, path: Path) -> None:
    for key in KEYS["config"] if record else ():
        if record[key] != config[key]:
            raise InputError(
                f"{path}: {key} is {record[key]}, config.yaml beside it says {config[key]}; "
                "repeat the stage"
            )


def _check_weights(records: Mapping[str, Record], config: Record, folder: Path) -> None:
    """Refuse a record of other weights than those in the run that it was made of."""
    sources = {"evaluate": config.get("evaluation", {}).get("run"), "sample": None}
    sources |= {"collect": config.get("reference")}
    for stage, source in sources.items():
        own = records["train"] if source is None else Run(Path(source)).record()
        known = own.get("weights_sha256") if records[stage] else None
        weights = records[stage].get("weights_sha256")
        if known is not None and weights != known:
            of = (
                f"of weights {str(weights)[:12]}" if weights else "without the hash of its weights"
            )
            raise InputError(
                f"{folder / FILES[stage]}: {of}, those in {source or folder} are {known[:12]}; "
                f"repeat the stage (tcsm {stage} out={folder})"
            )


def _check_parts(records: Mapping[str, Record], folder: Path) -> None:
    place = folder / FILES["evaluate"]
    metrics = metrics_of(records["evaluate"])
    for file, name in FORMER.items():
        if (folder / file).exists() and name not in metrics:
            raise InputError(
                f"{folder / file}: is a record of an earlier version; run tcsm evaluate "
                f"out={folder} metric=[{name}] again"
            )
    for name, fields in metrics.items():
        require(fields, KEYS.get(name, ()), f"{place}: metric {name}")
    for name, split in metrics.get("likelihood", {}).get("splits", {}).items():
        where = f"{place}: split {name}"
        require(split, KEYS["split"], where)
        _check_lengths(split["nats"], split["chars"], where)
    for index, run in enumerate(records["sample"].get("runs", [])):
        require(run, KEYS["sampler run"], f"{folder / FILES['sample']}: run {index}")


def _check_lengths(nats: Sequence[float | None], chars: Sequence[int], where: str) -> None:
    if len(nats) != len(chars) or not nats:
        raise InputError(
            f"{where}: {len(nats)} nats for {len(chars)} chars; both list every sequence once"
        )
