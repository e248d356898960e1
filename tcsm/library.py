"""Use trained runs from Python: load one, draw samples from it, evaluate it."""

from os import PathLike
from pathlib import Path

from tcsm import commands
from tcsm.errors import InputError
from tcsm.io.layout import WEIGHTS
from tcsm.io.records import Record
from tcsm.runs import defaults
from tcsm.runs.run import Run
from tcsm.stages import sample as sampling

Folder = str | PathLike[str]


def load(folder: Folder, *overrides: str) -> Run:
    """Return a trained run, whose ``model``, ``tokenizer`` and ``config`` can be used.

    Args:
        folder: Folder of the run.
        overrides: As on the command line, such as "devices.choice=cpu".

    Raises:
        InputError: There is no such run, or an override is invalid.
    """
    lines = [f"out={folder}", *overrides]
    composed = defaults.compose(lines, sampling.READS, sampling.OF, sampling.ANEW)
    if not (path := Path(folder, WEIGHTS)).is_file():
        raise InputError(f"{path} does not exist; expected the folder of a run: train first")
    return Run(Path(folder), defaults.cut(composed, sampling.READS))


def sample(folder: Folder, *overrides: str) -> Record:
    """Draw samples from a trained run as ``tcsm sample`` does; return the record that it wrote.

    Args:
        folder: Folder of the run.
        overrides: As on the command line, such as "sampling.count=4".

    Raises:
        InputError: There is no such run, or an override is invalid.
    """
    return _record("sample", folder, overrides)


def evaluate(folder: Folder, *overrides: str) -> Record:
    """Evaluate a trained run as ``tcsm evaluate`` does; return the record that it wrote.

    Args:
        folder: Folder of the run.
        overrides: As on the command line, such as "evaluation.sequences=32".

    Raises:
        InputError: There is no such run, or an override is invalid.
    """
    return _record("evaluate", folder, overrides)


def _record(stage: str, folder: Folder, overrides: tuple[str, ...]) -> Record:
    commands.run_stage(stage, [f"out={folder}", *overrides])
    return Run(Path(folder)).record(stage)
