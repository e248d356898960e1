"""Keys of a configuration: existing keys, the key that a user sets, and "~" in values."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tcsm.config.signatures import near, takes
from tcsm.errors import InputError

REFERENCE = re.compile(r"\$\{([\w.]+)\}")
HOME = re.compile(r"~[\w.-]*(/.*)?", re.DOTALL)
TYPED = ("sampling.template", "overrides")  # texts that are no paths


def unknown_key(key: str, cfg: DictConfig) -> str:
    """Return the message for a key that does not exist, with the keys that do."""
    parent, name = "", key
    for end in (match.start() for match in re.finditer(r"\.", key)):
        node = _select(cfg, key[:end])
        if not isinstance(node, DictConfig):
            return _no_parent(key, key[:end], node, cfg)
        parent, name = key[:end], key[end + 1 :]
    node = _select(cfg, parent) if parent else cfg
    assert isinstance(node, DictConfig)
    if name in node:
        return f"{key}: {parent} is an interpolation; set the key {as_set(cfg, key)}"
    written = as_set(cfg, key)
    other = "" if written == key else f" (the key to set is {written})"
    return f"{key}: unknown key{other}; {near(name, map(str, node))}"


def not_set(error: Exception, key: str, cfg: DictConfig) -> str:
    """Return what is wrong with an override of a key that Hydra refused, and what to type.

    Args:
        error: Hydra's exception; its cause names the key of a mapping that does not exist.
        key: Key of the override.
        cfg: The configuration without it.
    """
    inner = re.search(rf"full_key: ({re.escape(key)}\.[\w.]+)", str(error.__cause__))
    if inner is None:
        return unknown_key(key, cfg)
    message = unknown_key(inner[1], cfg)
    if "_target_" not in str(error):
        return message
    return (
        f"{message}; the mapping is merged into that of {key}: to replace it, type two overrides, "
        f"'~{key}' and '+{key}={{_target_: …}}'"
    )


def _no_parent(key: str, parent: str, node: object, cfg: DictConfig) -> str:
    """Return the message for a key whose parent has no keys."""
    outer, _, last = parent.rpartition(".")
    owner = _select(cfg, outer) if outer else cfg
    assert isinstance(owner, DictConfig)  # `unknown_key` comes from above
    if last not in owner:
        return f"{key}: unknown key; {near(last, map(str, owner))}"
    if node is not None:
        return f"{key}: {parent} has no keys, it is {node!r}"
    made = takes(owner, last)
    if made is None:
        return f"{key}: {parent} is null and has no keys; set {parent} itself"
    target, arguments = made
    given = ", ".join(f"{name}: …" for name in arguments)
    return (
        f"{key}: {parent} is null; set all of it, '{parent}={{_target_: {target}, {given}}}'; "
        f"its keys are {', '.join(arguments)}"
    )


def as_set(cfg: DictConfig, message: str) -> str:
    """Return a message that begins with a key, with the key that a user sets in its place.

    A part such as ``model.net`` is an interpolation of ``net``: the key to set is ``net``, and so
    is ``scale.steps`` where it is null.
    """
    points = dict(_pointers(OmegaConf.to_container(cfg, resolve=False), ""))
    for _ in points:
        match = re.match(r"[\w.]+", message)
        ways = [key for key in points if match and f"{match[0]}.".startswith(f"{key}.")]
        if not ways:
            break
        key = max(ways, key=len)
        target = _select(cfg, points[key], default="")
        if not OmegaConf.is_config(target) and target is not None:
            break
        message = points[key] + message[len(key) :]
    return message


def expand_homes(cfg: DictConfig) -> DictConfig:
    """Return a configuration in which ``~/x`` is a folder of the user's home.

    Raises:
        InputError: ``~name/x``, and there is no user of that name.
    """
    plain = OmegaConf.to_container(cfg, resolve=False)
    expanded = expand_home(plain, "")
    if expanded == plain:
        return cfg
    made: DictConfig = OmegaConf.create(expanded)
    OmegaConf.set_struct(made, OmegaConf.is_struct(cfg))
    return made


def expand_home(value: Any, key: str) -> Any:  # noqa: ANN401 -- whatever a key holds
    """Return the value of a key with "~" expanded, as `expand_homes` does."""
    if isinstance(value, dict):
        return {k: expand_home(v, f"{key}.{k}" if key else str(k)) for k, v in value.items()}
    if isinstance(value, list):
        return [expand_home(part, key) for part in value]
    if not isinstance(value, str) or key in TYPED or not HOME.fullmatch(value):
        return value
    try:
        return str(Path(value).expanduser())
    except RuntimeError:
        raise InputError(
            f"{key}: {value}: there is no home {value.partition('/')[0]}; type the absolute path, "
            f"or ./{value} for a folder of that name"
        ) from None


def _pointers(node: object, key: str) -> Iterator[tuple[str, str]]:
    """Yield every key that is an interpolation of another key, with that key."""
    if isinstance(node, dict):
        for name, child in node.items():
            yield from _pointers(child, f"{key}.{name}" if key else str(name))
    elif isinstance(node, str) and (match := REFERENCE.fullmatch(node)):
        yield key, match[1]


def _select(cfg: DictConfig, key: str, default: object = None) -> object:
    try:
        return OmegaConf.select(cfg, key, default=default)
    except OmegaConfBaseException:
        return default
