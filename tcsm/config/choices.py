"""The choices of groups among overrides: ``divergence=bce`` is the file divergence/bce.yaml."""

import copy
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from tcsm.config.signatures import near
from tcsm.config.unexpected import first_line
from tcsm.errors import InputError


def composed(folder: Path, overrides: Sequence[str]) -> DictConfig:
    """Return what ``hydra.compose`` does, which spends most of its time on reading files.

    It merges the files of the same choices once in a process. Other values are set in a copy, in
    their order, by Hydra's own function.

    Args:
        folder: The folder that Hydra was initialized with.
        overrides: Lines in Hydra's grammar.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    if any(line.is_sweep_override() for line in parsed):  # refused by Hydra
        return hydra.compose("config", overrides=list(overrides))
    chosen = [line for line in parsed if _chooses_file(line, folder)]
    files = tuple((str(file), file.stat().st_mtime_ns) for file in sorted(folder.rglob("*.yaml")))
    cfg = copy.deepcopy(_merged(files, tuple(str(line.input_line) for line in chosen)))
    values = [line for line in parsed if line not in chosen]
    ConfigLoaderImpl._apply_overrides_to_config(values, cfg)
    return cfg


@lru_cache(maxsize=64)
def _merged(files: tuple[tuple[str, int], ...], choices: tuple[str, ...]) -> DictConfig:
    """Return what choices compose from files of these times."""
    return hydra.compose("config", overrides=list(choices))


def _chooses_file(line: Override, folder: Path) -> bool:
    return (folder / line.key_or_group).is_dir() and not isinstance(line.value(), dict)


def compose_choices(folder: Path, overrides: Sequence[str]) -> DictConfig:
    """Return the configuration that the group choices among some overrides compose.

    Raises:
        InputError: Hydra cannot compose it.
    """
    groups = [line for line in overrides if re.match(r"\w+(/\w+)*=", line)]
    choices = [line for line in groups if (folder / line.partition("=")[0]).is_dir()]
    try:
        return composed(folder, choices)
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
            _check_choice(override, group, choice, folder)


def _check_choice(override: str, group: str, choice: str, folder: Path) -> None:
    """Check that the file of a choice exists, or those of a list."""
    files = sorted((folder / group).rglob("*.yaml"))
    known = [f.relative_to(folder / group).with_suffix("").as_posix() for f in files]
    names = _names(choice) if group in _lists(folder) else [choice]
    if not names:
        raise InputError(f"{override}: found no choice; name one or more of {', '.join(known)}")
    for name in names:
        if name not in known and not is_null(override, folder):
            hint = _elsewhere(name, folder) + near(name, known)
            several = f"; a list is written {group}=[{choice}]" if "," in name else ""
            raise InputError(f"{override}: no such choice; {hint}{several}")


def is_null(override: str, folder: Path) -> bool:
    """Return whether an override sets a group to null that is null in ``config.yaml``."""
    group, _, choice = override.partition("=")
    if choice != "null" or not (folder / group).is_dir():
        return False
    return _top(folder / "config.yaml").get(group, "") is None


def _top(path: Path) -> dict[str, Any]:
    """Return the values of ``config.yaml``, parsed once for as long as it does not change."""
    return _parsed(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _parsed(path: Path, changed: int) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text("utf-8")))


def _lists(folder: Path) -> list[str]:
    """Return the groups of which several files may be chosen: those with a list of defaults."""
    defaults = _top(folder / "config.yaml").get("defaults", ())
    defaults = [entry for entry in defaults if isinstance(entry, dict)]
    return [group for entry in defaults for group in entry if isinstance(entry[group], list)]


def _names(choice: str) -> list[str]:
    """Return the names in ``[a, b]``, or the only one."""
    inner = re.fullmatch(r"\[(.*)\]", choice.strip())
    return [name.strip() for name in inner[1].split(",") if name.strip()] if inner else [choice]


def _elsewhere(choice: str, folder: Path) -> str:
    """Return a hint on other groups that have such a choice."""
    groups = sorted(path.parent.name for path in folder.glob("*/*.yaml") if path.stem == choice)
    return f"there is {' and '.join(f'{group}={choice}' for group in groups)}; " if groups else ""
