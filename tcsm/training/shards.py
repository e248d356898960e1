"""Checkpoints of a run whose weights are sharded: each process saves its own part.

A part is ``state-STEP-RANK.safetensors``. ``state.safetensors`` names the step and is written when
all parts are on the disk, so that a kill at any moment leaves one complete set.
"""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, distributed

from tcsm.errors import InputError
from tcsm.training import checkpoint
from tcsm.training.checkpoint import Meta
from tcsm.training.resume import CheckpointManager
from tcsm.training.state import TrainState


@dataclass(frozen=True)
class Shards(CheckpointManager):
    """The checkpoint manager of sharded weights; all processes see its folder.

    Attributes:
        rank: Rank of this process, from 0.
        world: Number of processes; only as many can resume the run.
    """

    rank: int = 0
    world: int = 1

    def part(self, step: int) -> Path:
        """Return the file of this process."""
        return self.folder / f"state-{step}-{self.rank}.safetensors"

    def save(self, state: TrainState) -> None:
        """Save the present state in place of the former; all processes must call it."""
        checkpoint.save(self.part(state.step), state.tensors(), {"run": self.run.digest})
        distributed.barrier()
        if self.main:
            self.seal({}, step=state.step, world=self.world)
            for path in self.folder.glob("state-*"):
                if not path.name.startswith(f"state-{state.step}-"):
                    path.unlink()

    def read(self, state: TrainState) -> tuple[dict[str, Tensor], Meta]:
        """Return the tensors of this process and the common metadata.

        Raises:
            InputError: A damaged part, or a part of another run or number of processes.
        """
        _, meta = checkpoint.load(self.path)
        self.require_own(meta, state)
        if meta.get("world") != self.world:
            processes = meta.get("world", 1)
            raise InputError(f"{self.path} is of {processes} processes, found {self.world}")
        part = self.part(int(meta["step"]))
        tensors, part_meta = checkpoint.load(part)
        if part_meta.get("run") != meta.get("run"):
            raise InputError(f"{part} is of another configuration")
        return tensors, meta
