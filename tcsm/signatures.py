"""What a configuration may name: objects of this package, with the arguments that they take.

A node is a mapping with a ``_target_``, the dotted name of a class or function. Its other keys are
compared with the signature before anything is built, so that a mistake is told by its key.
"""

import difflib
import inspect
import pkgutil
from collections.abc import Iterable, Mapping
from types import NoneType
from typing import Any, get_args

from omegaconf import DictConfig, ListConfig

from tcsm.errors import InputError

GET_OBJECT = "hydra.utils.get_object"  # the one target outside the package: names a constant of it
PLAIN = (bool, int, float, str, NoneType)


def check_arguments(node: object) -> None:
    """Compare every node from here down with what the package offers.

    Raises:
        InputError: A forbidden or unknown target, an unknown, missing or mistyped argument.
    """
    if isinstance(node, DictConfig) and "_target_" in node:
        _check_node(node)
    if isinstance(node, DictConfig | ListConfig):
        for child in node.values() if isinstance(node, DictConfig) else node:
            check_arguments(child)


def near(name: str, allowed: Iterable[str]) -> str:
    """What to write instead of an unknown name."""
    names = list(allowed)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{hint}allowed: {', '.join(names)}"


def _check_node(node: DictConfig) -> None:
    key, target = node._get_full_key(None), str(node["_target_"])
    if target == GET_OBJECT:
        _find(f"{key}.path", str(node.get("path")))
        return
    parameters = inspect.signature(_find(f"{key}._target_", target)).parameters
    given = {str(name): node[name] for name in node if not str(name).startswith("_")}
    _check_names(key, target, parameters, given)
    needed = [n for n, p in parameters.items() if p.default is p.empty and n not in given]
    if needed and not node.get("_partial_"):
        raise InputError(f"{key}.{needed[0]}: missing; {target} takes {', '.join(parameters)}")


def _check_names(
    key: str, target: str, parameters: Mapping[str, inspect.Parameter], given: Mapping[str, Any]
) -> None:
    for name, value in given.items():
        if name not in parameters:
            hint = near(name, parameters)
            raise InputError(f"{key}.{name}: {target} takes no such argument; {hint}")
        wanted = parameters[name].annotation
        if not _fits(value, wanted):
            kinds = getattr(wanted, "__name__", str(wanted))
            raise InputError(f"{key}.{name}: must be of type {kinds}, found {value!r}")


def _fits(value: object, wanted: Any) -> bool:  # noqa: ANN401 -- an annotation
    """Whether a plain value has its type; what is not plain is left to the constructor."""
    kinds = get_args(wanted) or (wanted,)
    if type(value) not in PLAIN or any(kind not in PLAIN for kind in kinds):
        return True
    return type(value) in kinds or (type(value) is int and float in kinds)


def _find(key: str, target: str) -> Any:  # noqa: ANN401 -- any object of the package
    if not target.startswith("tcsm."):
        raise InputError(f"{key}: found {target}; it must start with 'tcsm.'")
    try:
        return pkgutil.resolve_name(target)
    except (ImportError, AttributeError, ValueError):
        raise InputError(f"{key}: {target} does not exist") from None
