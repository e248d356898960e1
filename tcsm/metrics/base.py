"""The contract of a metric, and what it is given of the evaluated run."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from jaxtyping import Float64
from torch import Tensor, nn

from tcsm.data.tokenfile import TokenFile
from tcsm.data.tokenizers import Tokenizer
from tcsm.evaluation import enumeration
from tcsm.runs.parts import Parts
from tcsm.runs.run import Run
from tcsm.runs.toy import ToyTraining
from tcsm.training.devices import Devices


@dataclass(frozen=True)
class Evaluated:
    """A trained run that is evaluated.

    Attributes:
        run: The run.
        out: Folder of the record; the run's own, or another.
        seed: Seed of random draws.
        length: L.
        model: Its model, in evaluation mode.
        tokenizer: Its tokenizer.
        devices: Where to compute.
        data: Folder of its token files.
        open_split: Name of a split ↦ its token file, checked against tokenizer and corpus.
        open_model: (key, folder) ↦ the frozen model of the run in that folder.
        open_teacher: The model of ``teacher_run`` or ``pretrained``.
    """

    run: Run
    out: Path
    seed: int
    length: int
    model: nn.Module
    tokenizer: Tokenizer
    devices: Devices
    data: Path
    open_split: Callable[[str], TokenFile]
    open_model: Callable[[str, Path], nn.Module]
    open_teacher: Callable[[], nn.Module]


@dataclass(frozen=True)
class EvaluatedToy:
    """A trained run in a toy world that is evaluated.

    Attributes:
        run: The run.
        out: Folder of the record; the run's own, or another.
        devices: Where to compute.
        training: Its training.
        parts: The parts of the training; the model has the trained weights.
    """

    run: Run
    out: Path
    devices: Devices
    training: ToyTraining
    parts: Parts

    @property
    def finite(self) -> bool:
        """Return whether the training took all its steps; else it ended at a checkpoint."""
        return bool(self.run.record()["steps"] == self.training.trainer.steps)

    def log_distribution(self) -> Float64[Tensor, "N"]:
        """Return the log of the model's exact distribution."""
        length = self.training.world.length
        return enumeration.log_distribution(self.parts.model.eval(), length)


@dataclass(frozen=True)
class Measured:
    """The result of a metric.

    Attributes:
        fields: What it adds to the record under its name: the same at every repetition.
        tokens: Number of tokens that were processed, for the telemetry.
        costs: Other numbers for the telemetry, which depend on the machine.
    """

    fields: Mapping[str, Any]
    tokens: int = 0
    costs: Mapping[str, float] = field(default_factory=dict)


class Metric(Protocol):
    """A measure of a trained run.

    Its file in ``params/metric`` names the keys that it depends on, by interpolation: a run is
    evaluated again if one of their values changes, and not if another one does.
    """

    def __call__(self, evaluated: Evaluated) -> Callable[[], Measured]:
        """Open and check all that the metric reads; return the function that measures.

        All metrics of a run are opened before the first one measures.

        Raises:
            InputError: Something is missing or does not fit.
        """


class ToyMetric(ABC):
    """A measure of a trained run in a toy world."""

    @abstractmethod
    def __call__(self, evaluated: EvaluatedToy) -> Callable[[], Measured]:
        """Open and check all that the metric reads; return the function that measures."""
