"""What a training leaves on disk: its checkpoints, its artifacts, and those of a former training.

The results of a former training in the same folder are kept, or set aside.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from tcsm.errors import InputError
from tcsm.io.layout import CONFIG, FILES, JOURNALS, WEIGHTS, telemetry_of
from tcsm.io.records import Record, write_text
from tcsm.runs.identity import identity
from tcsm.runs.models import architecture
from tcsm.runs.run import Run
from tcsm.training import checkpoint
from tcsm.training.aside import aside, keep, set_aside, take_back
from tcsm.training.devices import Devices
from tcsm.training.hooks import NotFiniteError
from tcsm.training.identity import Identity, Value
from tcsm.training.resume import STEPS, CheckpointManager
from tcsm.training.shards import Shards
from tcsm.training.state import TrainState

RECORD = FILES["train"]
# All files of a run's folder; the file that completes a training comes last.
RECORDS = [name for stage, file in FILES.items() for name in (file, telemetry_of(stage))]
ALL = (*(name for name in RECORDS if name != RECORD), *JOURNALS, CONFIG, WEIGHTS, RECORD)


def manager(run: Run, identity: Identity, devices: Devices) -> CheckpointManager:
    """Return the checkpoint manager of the scratch folder."""
    kept = (run.scratch, identity, devices.main, devices.any)
    if devices.is_sharded:
        return Shards(*kept, rank=devices.rank, world=devices.world)
    return CheckpointManager(*kept)


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
    checkpoint.save_weights(run.folder / WEIGHTS, weights, architecture(run.part("model")))
    for name in JOURNALS:
        write_text(run.folder / name, (run.scratch / name).read_text("utf-8"))
    rows = (run.folder / JOURNALS[0]).read_text("utf-8").splitlines()
    return {
        "parameters": sum(p.numel() for p in state.model.parameters()),
        "steps": state.step,
        "tokens": state.tokens,
        "final": json.loads(rows[-1]) if rows else {},
        "weights": "averaged" if state.averages else "last",  # the curve validates the same ones
        "weights_sha256": checkpoint.digest(weights),
    }


@dataclass(frozen=True)
class Finished:
    """A finished training in a folder.

    Attributes:
        folder: Folder of the run.
        run: Identity of the training that starts now.
        contents: Digests of its contents; a record without digests is taken to have the same.
    """

    folder: Path
    run: Identity
    contents: Mapping[str, Value]

    @property
    def exists(self) -> bool:
        """Return whether there is one."""
        return all((self.folder / name).exists() for name in (RECORD, WEIGHTS, CONFIG))

    def record(self) -> Record:
        """Return its record."""
        return Run(self.folder).record("train", ("steps", "weights_sha256"))

    def former(self) -> Identity | None:
        """Return the values that decided it; None if it is damaged."""
        try:
            contents = self.record().get("contents", {})
            run = Run(self.folder)
            known = None if run.trained is None else run.values
        except InputError:
            return None
        return None if known is None else identity(known, {**self.contents, **contents})

    def complete(self, saved: CheckpointManager) -> bool:
        """Return whether all files of this same training exist and are valid.

        Its telemetry is written last. DVC does not track it: it may be missing where no state is
        saved.
        """
        former = self.former()
        if former is None or self.run.differing(former.values):
            return False
        try:
            tensors, _ = checkpoint.load(self.folder / WEIGHTS)
        except InputError:
            return False
        whole = checkpoint.digest(tensors) == self.record()["weights_sha256"]
        described = (self.folder / telemetry_of("train")).exists()
        return whole and (described or not saved.path.exists())

    def require_optimizer(self, saved: CheckpointManager, steps: int) -> None:
        """Refuse more steps for a training whose optimizer state is gone.

        Raises:
            InputError: The optimizer state is gone, and only the number of steps was changed.
        """
        former = self.former()
        keys = self.run.differing(former.values) if former else ()
        if former is None or STEPS not in keys or not self.run.can_resume(keys):
            return
        taken = self.record()["steps"]
        if 0 < taken < steps and not saved.path.exists() and saved.spare(steps) is None:
            raise InputError(
                f"{STEPS}: {self.folder} is finished after step {taken} and its optimizer is not "
                f"kept, so it cannot go on to {steps}; set out=FOLDER to train anew, there with "
                f"initial={self.folder} to start from its weights"
            )

    def clear(self) -> None:
        """Set the files of another training aside, and take back this one's own.

        The other's weights stay until those of this training replace them: this training may start
        from them, and resume after an interruption.
        """
        own = aside(self.folder, self.run.digest)
        back = (own / RECORD).exists()
        former = self.former()
        keys = self.run.differing(former.values) if former else ()
        if self.exists and (keys or former is None):
            label = former.digest if former else "damaged"
            known = (aside(self.folder, label) / RECORD).exists()
            if back or not former:
                set_aside(self.folder, ALL, label)
            elif not known:  # otherwise it was set aside before this training was interrupted
                keep(self.folder, ALL, label)
            if not known:
                words = self.run.words(former.values, keys) if former else f"damaged {RECORD}"
                place = aside(self.folder, label)
                _say(f"{self.folder}: its training is another one ({words}); kept in {place}")
        if back:
            take_back(self.folder, ALL, own)


def settled(
    out: Path,
    checkpoints: CheckpointManager,
    contents: Mapping[str, Value],
    state: TrainState,
) -> bool:
    """Return whether nothing is left to train; otherwise prepare the folder for this training.

    Args:
        out: Folder of the run.
        checkpoints: Its checkpoint manager, not yet resumed.
        contents: Digests of what it reads.
        state: Its initial state.

    Raises:
        InputError: More steps for a training whose optimizer state is gone.
    """
    finished = Finished(out, checkpoints.run, contents)
    if checkpoints.anywhere(finished.exists and finished.complete(checkpoints)):
        done = True
    else:
        finished.require_optimizer(checkpoints, state.optim.steps)
        checkpoints.anywhere(False)  # wait until all processes have read the files
        if checkpoints.main:
            finished.clear()
        done = checkpoints.anywhere(
            checkpoints.main and finished.exists and finished.complete(checkpoints)
        )
        if done:
            checkpoints.change_over(state)
    if done and checkpoints.main:
        _say(f"{out}: complete, no step is left to train; remove it to train it again")
    return done


def _say(message: str) -> None:
    print(f"tcsm: {message}", file=sys.stderr, flush=True)
