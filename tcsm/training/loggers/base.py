"""The contract of loggers."""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from tcsm.errors import InputError


@dataclass
class Logger(ABC):
    """A place for rows of numbers, in the main process of a training.

    Attributes:
        needs: The module that it uses, and the package that contains it.

    Raises:
        InputError: The package is not installed.
    """

    needs: ClassVar[tuple[str, str]]
    module: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        name, package = self.needs
        try:
            self.module = importlib.import_module(name)
        except ImportError as error:
            key = type(self).__module__.rpartition(".")[2]
            raise InputError(
                f"logger={key}: {error}; type pip install {package}, or set logger=null"
            ) from None

    def log(self, row: Mapping[str, float]) -> None:
        """Log a row of numbers at its step."""
        self.write({k: v for k, v in row.items() if k != "step"}, int(row["step"]))

    @abstractmethod
    def open(self, name: str, step: int) -> None:
        """Begin a run, or continue the run of that name where the step is above 0."""

    @abstractmethod
    def write(self, values: Mapping[str, float], step: int) -> None:
        """Write the numbers of a step."""

    @abstractmethod
    def close(self) -> None:
        """Write what is still in memory."""


@contextmanager
def opened(
    logger: Logger | None, out: Path, step: int
) -> Iterator[Callable[[Mapping[str, float]], object]]:
    """Yield a function that logs a row of the run in a folder; without a logger it does nothing.

    Args:
        logger: The logger.
        out: The run's folder.
        step: The step that the run continues from: rows of later steps are written again.
    """
    if logger is None:
        yield lambda row: None
        return
    logger.open(str(out).removeprefix("results").strip("/."), step)
    try:
        yield logger.log
    finally:
        logger.close()
