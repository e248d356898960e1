"""Use trained runs from Python: load one, draw samples from it, evaluate it."""

from os import PathLike
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig, OmegaConf
from torch import nn

from tcsm import commands, config
from tcsm.data.tokenizers import Tokenizer
from tcsm.io.layout import FILES
from tcsm.io.records import Record, read_json
from tcsm.runs import defaults
from tcsm.runs.models import load_model
from tcsm.stages import sample as sampling

Folder = str | PathLike[str]


class Run(NamedTuple):
    """A trained run.

    Attributes:
        model: The model in evaluation mode.
        tokenizer: Its tokenizer.
        config: Its resolved configuration.
    """

    model: nn.Module
    tokenizer: Tokenizer
    config: DictConfig


def load(folder: Folder, *overrides: str) -> Run:
    """Load a trained run.

    Args:
        folder: Folder of the run.
        overrides: As on the command line, such as "devices.choice=cpu".

    Raises:
        InputError: There is no such run, or an override is invalid.
    """
    lines = [f"out={folder}", *overrides]
    composed = defaults.compose(lines, sampling.READS, sampling.OF, sampling.ANEW)
    cfg = OmegaConf.create(config.cut(composed, sampling.READS))
    assert isinstance(cfg, DictConfig)
    tokenizer = config.build(cfg.tokenizer)
    model = load_model(cfg, tokenizer, Path(folder), config.build(cfg.devices))
    return Run(model, tokenizer, cfg)


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
    return read_json(Path(folder) / FILES[stage], ())
