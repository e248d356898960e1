"""Configuration: Hydra composes ``params/``, every key is checked, and objects are built."""

from tcsm.config.compose import (
    build,
    check,
    compose,
    cut,
    keys_as_set,
    load,
    override_value,
    params_folder,
    resolve,
)
from tcsm.config.typed import Unbuilt, leaves, possible_paths, typed

__all__ = [
    "Unbuilt",
    "build",
    "check",
    "compose",
    "cut",
    "keys_as_set",
    "leaves",
    "load",
    "override_value",
    "params_folder",
    "possible_paths",
    "resolve",
    "typed",
]
