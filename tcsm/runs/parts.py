"""A training: its configuration as built objects, and its parts once its files are open."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import nn

from tcsm.config import Unbuilt
from tcsm.data.batch_sources import Batches, BatchSource
from tcsm.data.batches import Batch
from tcsm.errors import InputError
from tcsm.io.records import Record
from tcsm.noise import Noise
from tcsm.objectives.base import Objective, Terms
from tcsm.runs.teachers import CachedTeacher
from tcsm.training.devices import Devices
from tcsm.training.identity import Value
from tcsm.training.optim import OptimConfig
from tcsm.training.state import TrainState


@runtime_checkable
class Validation(Protocol):
    """The validation of a training."""

    def initial(self, state: TrainState) -> Record:
        """Return the fields of the record about the initial weights."""

    def __call__(self, state: TrainState) -> Record:
        """Return the numbers of a step's weights, none at a step without validation."""


# What a run sets to give its objective the rows that it reads.
READABLE = {
    "texts": "objective=preference_paired, preference_unpaired, preference_winners or "
    "preference_elbo",
    "pairs": "batches=pairs or batches=pair_file",
    "advantages": "batches=on_policy, or batches=explore in a toy world",
}


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
class DataConfig:
    """Values of the keys ``data``: the folder of the tokens, and the sizes of a batch."""

    root: str | None
    length: int
    batch: int


@dataclass(frozen=True)
class Training(ABC):
    """A training; its fields are the keys of the configuration.

    Attributes:
        experiment: Name of the experiment.
        seed: Seed of every random number.
        data: Sizes of the batches.
        model: The model, which is built when the seed is set.
        initial: Folder of the run that the training starts from, or None.
        objective: The objective.
        batches: The batch source.
        trainer: The optimization.
        count_failures: Whether numbers that are not finite end the run as a result.

    Raises:
        InputError: An objective that reads other rows than the batch source gives.
    """

    experiment: str
    seed: int
    data: DataConfig
    model: Unbuilt[nn.Module]
    initial: str | None
    objective: Objective
    batches: BatchSource
    trainer: OptimConfig
    count_failures: bool

    def __post_init__(self) -> None:
        """Refuse an objective that reads other rows than the batch source gives."""
        gives, reads = self.batches.gives, self.objective.reads
        if reads not in gives:
            batches, objective = (type(part).__name__ for part in (self.batches, self.objective))
            raise InputError(
                f"batches: {batches} gives {gives[0]}, but objective {objective} reads {reads}; "
                f"set {READABLE[reads]}"
            )

    @abstractmethod
    def parts(self, devices: Devices) -> Parts:
        """Open what the training reads, check it, and return its parts.

        Raises:
            InputError: Data, sizes or values that do not fit together.
        """


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
