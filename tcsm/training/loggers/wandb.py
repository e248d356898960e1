"""Weights & Biases."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from tcsm.training.loggers.base import Logger


@dataclass
class WeightsAndBiases(Logger):
    """A run of a project of Weights & Biases.

    Attributes:
        project: The project.
    """

    needs = ("wandb", "wandb")
    project: str

    def open(self, name: str, step: int) -> None:
        """Begin a run, or continue it, by an id that its name decides."""
        number, resume = sha256(name.encode()).hexdigest()[:16], "allow" if step else None
        self._run = self.module.init(project=self.project, name=name, id=number, resume=resume)

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Write the numbers of a step."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """Upload the rest."""
        self._run.finish()
