"""Event files for TensorBoard."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tcsm.training.loggers.base import Logger


@dataclass
class TensorBoard(Logger):
    """Event files in a folder for each run.

    Attributes:
        folder: The folder of all runs.
    """

    needs = ("torch.utils.tensorboard", "tensorboard")
    folder: str

    def open(self, name: str, step: int) -> None:
        """Open the run's folder; rows after the step are superseded."""
        self._writer = self.module.SummaryWriter(str(Path(self.folder, name)), purge_step=step + 1)

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Write a scalar for each number."""
        for key, value in values.items():
            self._writer.add_scalar(key, value, step)

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()
