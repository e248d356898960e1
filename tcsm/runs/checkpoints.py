"""Checkpoints of a training while it runs, and the files that it writes at its end."""

import json
import sys
from collections.abc import Callable, Mapping

from torch import Tensor

from tcsm.io.layout import JOURNALS, WEIGHTS
from tcsm.io.records import Record, write_text
from tcsm.runs.models import architecture
from tcsm.runs.run import Run
from tcsm.training.checkpoint import digest, save_weights
from tcsm.training.devices import Devices
from tcsm.training.hooks import NotFiniteError
from tcsm.training.identity import Identity
from tcsm.training.resume import CheckpointManager
from tcsm.training.shards import Shards
from tcsm.training.state import TrainState


def manager(run: Run, identity: Identity, devices: Devices) -> CheckpointManager:
    """Return the checkpoint manager of the scratch folder."""
    kept = (run.scratch, identity, devices.main, devices.any)
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


def write_artifacts(run: Run, state: TrainState, weights: Mapping[str, Tensor]) -> Record:
    """Write the weights and the journals of a training, each atomically; return its record."""
    run.folder.mkdir(parents=True, exist_ok=True)
    save_weights(run.folder / WEIGHTS, weights, architecture(run.config))
    for name in JOURNALS:
        write_text(run.folder / name, (run.scratch / name).read_text("utf-8"))
    rows = (run.folder / JOURNALS[0]).read_text("utf-8").splitlines()
    return {
        "parameters": sum(p.numel() for p in state.model.parameters()),
        "steps": state.step,
        "tokens": state.tokens,
        "final": json.loads(rows[-1]) if rows else {},
        "weights": "averaged" if state.averages else "last",  # the curve validates the same ones
        "weights_sha256": digest(weights),
    }
