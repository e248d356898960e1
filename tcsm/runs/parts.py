"""The parts of a training: what it learns, from what, and how it is validated."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import nn

from tcsm.data.batch_sources import Batches
from tcsm.data.batches import Batch
from tcsm.io.records import Record
from tcsm.noise import Noise
from tcsm.objectives.base import Objective, Terms
from tcsm.runs.cached_teacher import CachedTeacher
from tcsm.training.identity import Value
from tcsm.training.state import TrainState


@runtime_checkable
class Validation(Protocol):
    """The validation of a training."""

    def initial(self, state: TrainState) -> Record:
        """Return the fields of the record about the initial weights."""

    def __call__(self, state: TrainState) -> Record:
        """Return the numbers of a step's weights, none at a step without validation."""


@dataclass(frozen=True)
class Parts:
    """What a training is made of.

    Attributes:
        model: The model, with its initial weights.
        objective: The objective, with the models that it compares with.
        teacher: The objective's teacher, which knows its costs.
        batches: The training data.
        validation: Measures the weights during the training.
        contents: Key → digest of the files and weights that the training reads.
        facts: Returns the fields of the record about the data, at the end of the training.
    """

    model: nn.Module
    objective: Objective
    teacher: CachedTeacher
    batches: Batches
    validation: Validation
    contents: Mapping[str, Value]
    facts: Callable[[], Record]


@dataclass(frozen=True)
class Loss:
    """(network, batch) ↦ the objective's terms.

    The network from the loop may be wrapped for data parallelism, so it replaces the model's own
    network during the pass.
    """

    model: nn.Module
    objective: Objective
    seed: int

    def __call__(self, net: nn.Module, batch: Batch) -> Terms:
        """Return the terms of a batch."""
        self.model.net = net
        noise = Noise(self.seed, batch.step, batch.ids, batch.total)
        return self.objective(self.model, batch.tokens, noise, batch.weight, batch.real)
