"""Hydra for tests: the files of the same choices are read and merged once in a process."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from unittest import mock

import hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from tests.stages.house import PARAMS

compose = hydra.compose


@cache
def chosen(choices: tuple[str, ...]) -> DictConfig:
    return compose("config", overrides=list(choices))


def quick(name: str, overrides: Sequence[str] = ()) -> DictConfig:
    """What ``hydra.compose`` returns: the choices of groups, then every value in its order."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    places = GlobalHydra.instance().config_loader().get_search_path().get_path()
    ours = str(PARAMS) in [place.path for place in places]
    if not ours or any(line.is_sweep_override() for line in parsed):
        return compose(name, overrides=list(overrides))
    choices = tuple(str(line.input_line) for line in parsed if _is_choice(line))
    cfg = copy.deepcopy(chosen(choices))
    ConfigLoaderImpl._apply_overrides_to_config([o for o in parsed if not _is_choice(o)], cfg)
    return cfg


def _is_choice(line: Override) -> bool:
    return (PARAMS / line.key_or_group).is_dir() and not isinstance(line.value(), dict)


@contextmanager
def composed_by(function: Callable[..., DictConfig]) -> Iterator[None]:
    """Within the block configurations are composed by ``quick`` or ``compose``."""
    with mock.patch.object(hydra, "compose", function):
        yield
