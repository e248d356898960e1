"""Checkpoints of a training while it runs, and the files that it writes at its end."""

import json
import sys
from collections.abc import Callable, Mapping

from torch import Tensor

from tcsm.io.records import write_json, write_text
from tcsm.runs.train_config import TrainConfig
from tcsm.training.checkpoint import digest, save_weights
from tcsm.training.devices import Devices
from tcsm.training.hooks import NotFiniteError
from tcsm.training.identity import Identity
from tcsm.training.resume import JOURNALS, CheckpointManager
from tcsm.training.shards import Shards
from tcsm.training.state import TrainState


def manager(config: TrainConfig, run: Identity) -> CheckpointManager:
    """Return the checkpoint manager of the scratch folder."""
    devices = config.devices
    kept = (config.scratch, run, devices.main, devices.any)
    if devices.is_sharded:
        return Shards(*kept, rank=devices.rank, world=devices.world)
    return CheckpointManager(*kept)


def resume(checkpoints: CheckpointManager, state: TrainState, devices: Devices) -> None:
    """Resume the state of a run.

    Raises:
        InputError: The processes do not see the same folder.
    """
    checkpoints.resume(state)
    where = f"scratch: {checkpoints.folder} must be one folder for all processes; last step"
    devices.require_same(state.step, where)


def train_until_nonfinite(
    descend: Callable[[], object], state: TrainState, checkpoints: CheckpointManager
) -> None:
    """Train; a loss that is not finite ends the run at its last checkpoint, as a result."""
    if state.step == 0:
        checkpoints.save(state)
    try:
        descend()
    except NotFiniteError as error:
        if checkpoints.main:
            print(f"tcsm: {error}", file=sys.stderr)
        checkpoints.resume(state)


def write_artifacts(
    config: TrainConfig,
    state: TrainState,
    weights: Mapping[str, Tensor],
    facts: Mapping[str, object],
) -> None:
    """Write the run's files, each atomically; ``facts`` describe the training data."""
    out = config.out
    out.mkdir(parents=True, exist_ok=True)
    save_weights(out / "weights.safetensors", weights, config.architecture)
    for name in JOURNALS:
        write_text(out / name, (config.scratch / name).read_text("utf-8"))
    write_text(out / "config.yaml", config.text)
    rows = (out / "metrics.jsonl").read_text("utf-8").splitlines()
    summary = {
        "stage": "train",
        "experiment": config.experiment,
        "seed": config.seed,
        "parameters": sum(p.numel() for p in state.model.parameters()),
        "steps": state.step,
        "tokens": state.tokens,
        "final": json.loads(rows[-1]) if rows else {},
        # the learning curve validates the same weights
        "weights": "averaged" if state.averages else "last",
        "weights_sha256": digest(weights),
        **facts,
    }
    write_json(out / "train.json", summary, ("metrics.jsonl",))
