"""Print the configuration that a stage would run with, and run nothing."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from tcsm import config
from tcsm.config import defaults
from tcsm.errors import InputError
from tcsm.listing import described

USAGE = "tcsm config STAGE [RUN] [KEY=VALUE ...], such as tcsm config train experiment=kjv/score"


def main(arguments: Sequence[str]) -> int:
    """Print the keys that a stage reads with their values, as YAML.

    Raises:
        InputError: No such stage, or an override is invalid.
    """
    stages = described("stages")
    if not arguments or arguments[0] not in stages:
        given = arguments[0] if arguments else "nothing"
        raise InputError(
            f"config: found {given}; type {USAGE}; STAGE is one of {', '.join(stages)}"
        )
    stage = importlib.import_module(f"tcsm.stages.{arguments[0]}")
    print(OmegaConf.to_yaml(config.cut(composed(stage, arguments[1:]), stage.READS)), end="")
    return 0


def composed(stage: Any, arguments: Sequence[str]) -> DictConfig:  # noqa: ANN401 -- a module
    """Return the configuration of a stage by the arguments of its command.

    Its keys ``OF`` name a run whose configuration is the default, as does a folder among the
    arguments.

    Raises:
        InputError: As in ``defaults.compose``; or there are several folders.
    """
    overrides = getattr(stage, "spelled", list)(list(arguments))
    of, anew = (getattr(stage, name, ()) for name in ("OF", "ANEW"))
    if "out" in of:
        overrides = _with_folder(overrides)
    return defaults.compose(overrides, stage.READS, of, anew)


def _with_folder(arguments: Sequence[str]) -> list[str]:
    """Return arguments in which the folder of a run is ``out``.

    Raises:
        InputError: There are several folders.
    """
    folders = [word for word in arguments if Path(word).is_dir()]
    if len(folders) > 1:
        raise InputError(f"out: found the folders {' and '.join(folders)}; name one run")
    return [f"out={word}" if word in folders else word for word in arguments]
