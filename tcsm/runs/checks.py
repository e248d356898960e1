"""Checks of a run's records: whole, of this run, and of the weights in it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tcsm.errors import InputError
from tcsm.io.layout import FILES, telemetry_of
from tcsm.io.records import Record, metrics_of, require
from tcsm.runs.run import Run

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


class EarlierVersionError(InputError):
    """A record lacks what the present version writes; the stage must be repeated."""


Records = Mapping[str, Record]


def check(folder: Path, config: Record, records: Records, telemetry: Records) -> None:
    """Check the records of all stages of a run.

    Raises:
        InputError: A record of another run, or of other weights.
        EarlierVersionError: A record lacks keys.
    """
    for stage, name in FILES.items():
        if records[stage]:
            _require(records[stage], KEYS[stage], folder / name)
            _check_owner(records[stage], config, folder / name)
        if telemetry[stage]:
            _require(telemetry[stage], KEYS["telemetry"], folder / telemetry_of(stage))
    _check_weights(records, config, folder)
    _check_parts(records, folder)


def _require(record: Record, keys: Sequence[str], where: object) -> None:
    """Refuse a record without some keys, which an earlier version did not write."""
    try:
        require(record, keys, str(where))
    except InputError as error:
        raise EarlierVersionError(str(error)) from error


def _check_owner(record: Record, config: Record, path: Path) -> None:
    for key in KEYS["config"]:
        if record[key] != config[key]:
            raise InputError(
                f"{path}: {key} is {record[key]}, config.yaml beside it says {config[key]}; "
                "repeat the stage"
            )


def _check_weights(records: Records, config: Record, folder: Path) -> None:
    """Refuse a record of other weights than those in the run that it was made of."""
    sources = {"evaluate": config.get("evaluation", {}).get("run"), "sample": None}
    sources |= {"collect": config.get("reference")}
    for stage, source in sources.items():
        own = records["train"] if source is None else Run(Path(source)).record()
        known = own.get("weights_sha256") if records[stage] else None
        weights = records[stage].get("weights_sha256")
        if known is not None and weights != known:
            kind = InputError if weights else EarlierVersionError
            of = f"of weights {weights[:12]}" if weights else "without the hash of its weights"
            raise kind(
                f"{folder / FILES[stage]}: {of}, those in {source or folder} are {known[:12]}; "
                f"repeat the stage (tcsm {stage} out={folder})"
            )


def _check_parts(records: Records, folder: Path) -> None:
    place = folder / FILES["evaluate"]
    metrics = metrics_of(records["evaluate"])
    for file, name in FORMER.items():
        if (folder / file).exists() and name not in metrics:
            raise EarlierVersionError(
                f"{folder / file}: is a record of an earlier version; run tcsm evaluate "
                f"out={folder} metric=[{name}] again"
            )
    for name, fields in metrics.items():
        _require(fields, KEYS.get(name, ()), f"{place}: metric {name}")
    for name, split in metrics.get("likelihood", {}).get("splits", {}).items():
        where = f"{place}: split {name}"
        _require(split, KEYS["split"], where)
        _check_lengths(split["nats"], split["chars"], where)
    for index, run in enumerate(records["sample"].get("runs", [])):
        _require(run, KEYS["sampler run"], f"{folder / FILES['sample']}: run {index}")


def _check_lengths(nats: Sequence[float | None], chars: Sequence[int], where: str) -> None:
    if len(nats) != len(chars) or not nats:
        raise InputError(
            f"{where}: {len(nats)} nats for {len(chars)} chars; both list every sequence once"
        )
