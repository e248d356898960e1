"""Print the configuration that a stage would run with, and run nothing."""

import importlib
from collections.abc import Sequence

from omegaconf import OmegaConf

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
    of, anew = (getattr(stage, name, ()) for name in ("OF", "ANEW"))
    cfg = defaults.compose(arguments[1:], stage.READS, of, anew)
    print(OmegaConf.to_yaml(config.cut(cfg, stage.READS)), end="")
    return 0
