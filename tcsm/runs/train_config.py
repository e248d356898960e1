"""The configuration of a training, resolved once."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from tcsm.config import build
from tcsm.errors import InputError
from tcsm.training.devices import Devices
from tcsm.training.optim import OptimConfig


@dataclass(frozen=True)
class TrainConfig:
    """What decides a training beside its parts.

    Attributes:
        experiment: Name of the experiment.
        seed: Seed of every random number.
        out: Folder of the run.
        scratch: Folder of the checkpoints.
        length: Tokens of a sequence.
        optim: The optimization.
        devices: Where to train.
        count_failures: Whether numbers that are not finite end the run as a result.
    """

    experiment: str
    seed: int
    out: Path
    scratch: Path
    length: int
    optim: OptimConfig
    devices: Devices
    count_failures: bool


def resolve(cfg: DictConfig) -> TrainConfig:
    """Return the configuration of a training.

    Raises:
        InputError: A value out of its range; checkpoints in the folder of the run itself.
    """
    out, scratch = Path(cfg.out), Path(cfg.scratch)
    if scratch.resolve() == out.resolve():
        raise InputError(
            "scratch: must be another folder than out, whose files it would take along"
        )
    return TrainConfig(
        experiment=cfg.experiment,
        seed=cfg.seed,
        out=out,
        scratch=scratch,
        length=cfg.data.length,
        optim=build(cfg.trainer),
        devices=build(cfg.devices),
        count_failures=cfg.count_failures,
    )
