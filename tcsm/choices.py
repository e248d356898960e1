"""The choices of groups among overrides: ``divergence=bce`` is the file divergence/bce.yaml."""

import re
from collections.abc import Sequence
from pathlib import Path

import hydra
import yaml
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from tcsm.errors import InputError
from tcsm.signatures import near
from tcsm.unexpected import first_line


def compose_choices(folder: Path, overrides: Sequence[str]) -> DictConfig:
    """Return the configuration that the group choices among some overrides compose.

    Raises:
        InputError: Hydra cannot compose it.
    """
    groups = [line for line in overrides if re.match(r"\w+(/\w+)*=", line)]
    choices = [line for line in groups if (folder / line.partition("=")[0]).is_dir()]
    try:
        return hydra.compose("config", overrides=choices)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
        raise InputError(f"params: {first_line(error)}") from None


def check_choices(overrides: Sequence[str], folder: Path) -> None:
    """Check that choices have files, before Hydra reads them, since it fails in many ways.

    Raises:
        InputError: A group has no such choice; an override has no key, or one of Hydra's own.
    """
    for override in overrides:
        group, equals, choice = override.partition("=")
        if not group.strip("+~ ") or group.startswith("-"):
            raise InputError(f"{override}: found no key; expected KEY=VALUE")
        if re.match(r"[+~\s]*hydra\b", group):  # Hydra's search path may import any package
            raise InputError(f"{override}: a run has no settings of Hydra")
        if equals and re.fullmatch(r"\w+(/\w+)*", group) and (folder / group).is_dir():
            files = sorted((folder / group).rglob("*.yaml"))
            choices = [f.relative_to(folder / group).with_suffix("").as_posix() for f in files]
            if choice not in choices and not is_null(override, folder):
                hint = _elsewhere(choice, folder) + near(choice, choices)
                raise InputError(f"{override}: no such choice; {hint}")


def is_null(override: str, folder: Path) -> bool:
    """Return whether an override sets a group to null that is null in ``config.yaml``."""
    group, _, choice = override.partition("=")
    if choice != "null" or not (folder / group).is_dir():
        return False
    top = yaml.safe_load((folder / "config.yaml").read_text("utf-8"))
    return top.get(group, "") is None


def _elsewhere(choice: str, folder: Path) -> str:
    """Return a hint on other groups that have such a choice."""
    groups = sorted(path.parent.name for path in folder.glob("*/*.yaml") if path.stem == choice)
    return f"there is {' and '.join(f'{group}={choice}' for group in groups)}; " if groups else ""
