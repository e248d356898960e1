"""Print the configuration that a stage would run with, and run nothing."""

import importlib
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from tcsm import config
from tcsm.config import defaults
from tcsm.errors import InputError
from tcsm.listing import described

USAGE = "tcsm config STAGE [KEY=VALUE ...], such as tcsm config train experiment=kjv/score"


def main(arguments: Sequence[str]) -> int:
    """Print the keys that a stage reads with their values, as YAML.

    Raises:
        InputError: No such stage, or an override is invalid.
    """
    stages = described("stages")
    if not arguments or arguments[0] not in stages:
        found = arguments[0] if arguments else "nothing"
        raise InputError(
            f"config: found {found}; type {USAGE}; STAGE is one of {', '.join(stages)}"
        )
    stage = importlib.import_module(f"tcsm.stages.{arguments[0]}")
    print(OmegaConf.to_yaml(config.cut(composed(stage, arguments[1:]), stage.READS)), end="")
    return 0


def composed(stage: Any, overrides: Sequence[str]) -> DictConfig:  # noqa: ANN401 -- a module
    """Return the configuration of a stage, from the run that its keys ``OF`` name.

    Raises:
        InputError: As in ``defaults.compose``.
    """
    of, anew = (getattr(stage, name, ()) for name in ("OF", "ANEW"))
    return defaults.compose(overrides, stage.READS, of, anew)
