"""Compose, check and build configurations.

A run is one YAML mapping. ``compose`` makes it from ``params/`` and overrides, ``cut`` keeps the
keys that a stage reads, and ``build`` makes the object that a node's ``_target_`` names.
"""

import io
import json
import re
import sys
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import (
    HydraException,
    InstantiationException,
    MissingConfigException,
)
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from tcsm.config.allowed import last_line, packages
from tcsm.config.choices import check_choices, compose_choices, composed, is_null
from tcsm.config.fast_yaml import FAST
from tcsm.config.keys import as_set, expand_home, expand_homes, not_set
from tcsm.config.overrides import Overrides
from tcsm.config.signatures import check_arguments
from tcsm.config.unexpected import first_line, words
from tcsm.config.values import check_values, require_no_password, require_text
from tcsm.errors import InputError
from tcsm.io import renamed
from tcsm.io.shipped import places, shipped

# Constructors of these may read the disk or the network.
UNBUILT = ("corpus", "tokenizer", "pretrained")
# A configuration is saved and shown, so it must not contain values of the environment.
OmegaConf.clear_resolver("oc.env")


def params_folder() -> Path:
    """Return ``./params``, else the ``params`` that come with the package.

    Raises:
        InputError: None of these folders holds a ``config.yaml``.
    """
    folder = shipped("params", "config.yaml")
    if (folder / "config.yaml").is_file():
        return folder.resolve()
    searched = " or ".join(str(path.resolve()) for path in places("params"))
    raise InputError(f"params: found no config.yaml in {searched}")


def compose(overrides: Sequence[str] = (), params_dir: Path | None = None) -> DictConfig:
    """Compose one run from ``params/`` and Hydra overrides; interpolations stay unresolved.

    Raises:
        InputError: An unknown group choice, an unknown key, or a file that is not valid YAML.
    """
    folder = (params_dir or params_folder()).resolve()
    check_choices(overrides, folder)
    with hydra.initialize_config_dir(config_dir=str(folder), version_base=None):
        absent = [o.removesuffix("=null") for o in overrides if is_null(o, folder)]
        chosen = [o for o in overrides if not is_null(o, folder)]
        lines = Overrides(chosen, partial(compose_choices, folder)).quoted()
        try:
            cfg = composed(folder, lines)
            cfg.update(dict.fromkeys(absent))  # Hydra's own groups cannot be null
            return expand_homes(cfg)
        except MissingConfigException as error:
            raise InputError(f"params: {error.missing_cfg_file}.yaml does not exist") from None
        except (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
            unknown = re.match(r"Could not override '([^']+)'", str(error))
            if unknown is None:
                raise InputError(f"params: {first_line(error)}") from None
            known = compose_choices(folder, lines)
            raise InputError(not_set(error, unknown[1], known)) from None


def override_value(overrides: Sequence[str], key: str) -> Any:  # noqa: ANN401 -- any value
    """Return the value that overrides give a key; None if none does, or by an interpolation."""
    lines = [line for line in overrides if line.partition("=")[0].strip("+ ") == key]
    if not lines or "=" not in lines[-1] or "${" in lines[-1]:
        return None
    line = Overrides(lines[-1:], partial(hydra.compose, "config")).quoted()[0]
    return expand_home(OverridesParser.create().parse_override(line).value(), key)


def resolve(cfg: DictConfig) -> DictConfig:
    """Return a configuration in which every interpolation has its value.

    Raises:
        InputError: An interpolation names a key that does not exist, a value is missing (???), or
            one holds a password.
    """
    plain = _plain(cfg)
    if "@" in json.dumps(plain, default=str):
        require_no_password(OmegaConf.to_yaml(OmegaConf.create(plain)))
    return OmegaConf.create(plain)


def cut(cfg: DictConfig, keys: Iterable[str]) -> DictConfig:
    """Resolve only the keys that a stage reads; a key may be dotted (``data.root``).

    Raises:
        InputError: A key does not exist, its value cannot be resolved or is out of its range.
    """
    keys = tuple(keys)
    check_values(cfg)
    require_text(cfg, keys)
    absent = object()
    kept = OmegaConf.create({})
    for key in keys:
        try:
            value = OmegaConf.select(cfg, key, default=absent)
            if value is absent:
                raise InputError(_missing(cfg, key))
            if OmegaConf.is_config(value):
                value = OmegaConf.to_container(value, resolve=True)
            value = expand_home(value, key)
        except OmegaConfBaseException as error:
            raise InputError(_unresolved(error, key)) from None
        OmegaConf.update(kept, key, value, force_add=True)
    return resolve(kept)


def load(path: str) -> Iterator[DictConfig]:
    """Read the documents of a YAML file, or of standard input for ``-``: one run each.

    Raises:
        InputError: The file is missing, empty, not YAML or not a mapping.
    """
    name = "standard input" if path == "-" else path
    try:
        text = _standard_input() if path == "-" else Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{name}: cannot be read: {error}") from None
    parts = re.split(r"(?m)^---\s*$", renamed.current(text))
    documents = [part for part in parts if part.strip()]
    if not documents:
        raise InputError(f"{name}: found no document; expected a YAML mapping")
    for number, part in enumerate(documents, start=1):
        try:
            content = yaml.load(part, Loader=FAST)
            cfg = OmegaConf.create(content) if isinstance(content, dict) else None
        except (yaml.YAMLError, OmegaConfBaseException, ValueError) as error:
            raise InputError(f"{name}: document {number}: {first_line(error)}") from None
        if cfg is None:
            raise InputError(f"{name}: document {number}: expected a YAML mapping")
        yield cfg


def _standard_input() -> str:
    """Return the text of standard input, read as UTF-8 in any locale."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8")
    return sys.stdin.read()


def build(node: DictConfig | ListConfig) -> Any:  # noqa: ANN401 -- whatever the target makes
    """Build the object that a node's ``_target_`` names, with all nested nodes.

    Raises:
        InputError: A forbidden or unknown target, an unknown or missing argument, a bad value.
    """
    check_arguments(node)
    try:
        return instantiate(node, _convert_="all")
    except (InstantiationException, OmegaConfBaseException) as error:
        raise InputError(_bad_value(error)) from None


def check(cfg: DictConfig, leave: Container[str] = ()) -> None:
    """Build every object of a run, so that bad values show before any job starts.

    Under ``torch.device("meta")`` this allocates no weights. Objects that may read the disk or the
    network (``UNBUILT``) only have their arguments checked.

    Args:
        cfg: The run.
        leave: Keys that are not checked.

    Raises:
        InputError: As in ``build``.
    """
    check_values(cfg)
    with keys_as_set(cfg):
        check_parts(_plain(cfg, leave))


def check_parts(parts: Mapping[str, Any]) -> None:
    """Check the parts of a run that has no interpolations left, as ``check`` does.

    Raises:
        InputError: As in ``build``.
    """
    for name, part in parts.items():
        _check_part(name, json.dumps(part))


@cache
def _check_part(name: str, part: str) -> None:
    """Build one part; cached, since the runs of a grid share most of their parts."""
    cfg = OmegaConf.create({name: json.loads(part)})
    check_values(cfg)
    if "_target_" in part:
        (check_arguments if name in UNBUILT else build)(cfg[name])


@contextmanager
def keys_as_set(cfg: DictConfig) -> Iterator[None]:
    """Let errors name the key that a user sets: ``net.depth``, where ``model.net`` is ``${net}``.

    Raises:
        InputError: as within the block.
    """
    try:
        yield
    except InputError as error:
        raise InputError(as_set(cfg, str(error))) from error


def _plain(cfg: DictConfig, leave: Container[str] = ()) -> dict[str, Any]:
    """Return the configuration with every interpolation resolved."""
    try:
        return {
            str(key): OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
            if OmegaConf.is_config(node)
            else node
            for key, node in ((key, cfg[key]) for key in cfg if key not in leave)
        }
    except MissingMandatoryValue as error:
        key = error.full_key
        raise InputError(f"{key}: found no value; give one as {key}=VALUE") from None
    except OmegaConfBaseException as error:
        raise InputError(f"{error.full_key or 'config'}: {first_line(error)}") from None


def _missing(cfg: DictConfig, key: str) -> str:
    """Return that a key does not exist, after the key to set."""
    parent, known = key.rpartition(".")[0], ", ".join(map(str, cfg))
    if parent in cfg and isinstance(cfg[parent], str | None):
        value = "null" if cfg[parent] is None else cfg[parent]
        return f"{parent}: found {value}; it must hold keys, such as {key}"
    return f"{key}: missing from the configuration; found {known}"


def _unresolved(error: OmegaConfBaseException, key: str) -> str:
    """Return why a value cannot be resolved, after the key to set: the one that it refers to."""
    if match := re.search(r"Error trying to access (\S+): node `(\S+)`", str(error)):
        return f"{match[2]}: found a value; it must hold keys, such as {match[1]}"
    return f"{error.full_key or key}: {first_line(error)}"


def _bad_value(error: Exception) -> str:
    """Return the innermost reason of an error, after the key of the node that was not built."""
    match = re.search(r"full_key: (\S+)", str(error))
    cause: BaseException = error
    while cause.__cause__ is not None and not isinstance(cause, InputError):
        cause = cause.__cause__
    key, reason = match[1] if match else "config", first_line(cause)
    if not isinstance(cause, InputError) and (place := last_line(cause, packages()[1:])):
        reason = f"{words(cause)} ({place})"
    outer, _, own = key.rpartition(".")
    if reason.startswith(f"{own}."):  # the class names its own key: net.name of pretrained.net
        return f"{outer}.{reason}" if outer else reason
    return reason if reason.startswith(key) else f"{key}: {reason}"
