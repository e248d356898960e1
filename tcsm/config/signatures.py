"""Check nodes of a configuration against the signatures of the classes that they name.

A node is a mapping with a ``_target_``, the dotted name of a class. Its other keys are compared
with the signature before anything is built, so that an error names the key.
"""

import difflib
import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from omegaconf import DictConfig, ListConfig, OmegaConf

from tcsm.config.allowed import find
from tcsm.errors import InputError

GET_OBJECT = "hydra.utils.get_object"  # the one target outside the package: names a constant of it
MODULES = re.compile(r"(\w+\.)+")
ANYTHING = (Any, object, inspect.Parameter.empty)


def check_arguments(node: object) -> None:
    """Check every node from here down against the classes of the package.

    Raises:
        InputError: A forbidden or unknown target, an unknown, missing or mistyped argument.
    """
    if isinstance(node, DictConfig) and "_target_" in node:
        _check_node(node)
    if isinstance(node, DictConfig | ListConfig):
        for child in node.values() if isinstance(node, DictConfig) else node:
            check_arguments(child)


def near(name: str, allowed: Iterable[str]) -> str:
    """Return a hint on the allowed names, with the closest one to an unknown name."""
    names = list(allowed)
    close = difflib.get_close_matches(name, names, n=1)
    close = close or [other for other in names if name and name in other]
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{hint}allowed: {', '.join(names)}"


def argument_type(node: DictConfig, name: str) -> Any:  # noqa: ANN401 -- an annotation
    """Return the type of an argument of a node's class; None if it is unknown.

    Raises:
        InputError: A forbidden or unknown target.
    """
    if "_target_" not in node or str(node["_target_"]) == GET_OBJECT:
        return None
    parameter = inspect.signature(_target(node)).parameters.get(name)
    return None if parameter is None else parameter.annotation


def takes(node: DictConfig, name: str) -> tuple[str, list[str]] | None:
    """Return the class that an argument of a node may be, with its arguments; None if unknown."""
    kind = _own_class(argument_type(node, name))
    return None if kind is None else (_name(kind), [*inspect.signature(kind).parameters])


def _own_class(wanted: Any) -> type | None:  # noqa: ANN401 -- an annotation
    """Return the class of this package that a type is or contains, None if there is none."""
    kinds = get_args(wanted) or (wanted,)
    own = (k for k in kinds if inspect.isclass(k) and str(k.__module__).startswith("tcsm."))
    return next(own, None)


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__name__}"


def is_text(wanted: Any) -> bool:  # noqa: ANN401 -- an annotation
    """Return whether a type is a text or a path, or one of these or None."""
    kinds = get_args(wanted) if get_origin(wanted) in (Union, UnionType) else (wanted,)
    return bool(kinds) and set(kinds) <= {str, Path, type(None)} and set(kinds) != {type(None)}


def is_texts(wanted: Any) -> bool:  # noqa: ANN401 -- an annotation
    """Return whether a type is a list of texts."""
    kinds = get_args(wanted) if get_origin(wanted) in (Union, UnionType) else (wanted,)
    return any(get_origin(k) is Sequence and is_text(get_args(k)[0]) for k in kinds)


def _check_node(node: DictConfig) -> None:
    key, target = _key(node), str(node["_target_"])
    made = _target(node)
    if target == GET_OBJECT:
        return
    parameters = inspect.signature(made).parameters
    given = {str(name): node[name] for name in node if name not in ("_target_", "_partial_")}
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
            kinds = wanted.__name__ if inspect.isclass(wanted) else MODULES.sub("", str(wanted))
            words = f"{key}.{name}: must be of type {kinds}, found {_shown(value)}"
            raise InputError(words + _instead(value, wanted))
        if value == "" and is_text(wanted) and parameters[name].default is parameters[name].empty:
            raise InputError(f"{key}.{name}: found an empty text")


def _instead(value: object, wanted: Any) -> str:  # noqa: ANN401 -- an annotation
    """Return a hint on what to write instead of a value of another type."""
    if type(value) in (int, float, bool) and is_text(wanted):
        return "; in quotes it is a text"
    kind = _own_class(wanted)
    if isinstance(value, DictConfig) and "_target_" not in value and kind is not None:
        return f"; it needs a _target_, such as {_name(kind)}"
    return ""


def _fits(value: object, wanted: Any) -> bool:  # noqa: ANN401 -- an annotation
    """Return whether a value has its type; lists by their items, nodes by their target."""
    origin = get_origin(wanted)
    if origin in (Union, UnionType):
        return any(_fits(value, kind) for kind in get_args(wanted))
    if isinstance(value, DictConfig) and "_target_" in value:
        return bool(value.get("_partial_")) or _makes(value, wanted)
    if isinstance(value, ListConfig):
        kinds = get_args(wanted)[:1]
        return origin is Sequence and all(_fits(part, kind) for part in value for kind in kinds)
    if isinstance(value, DictConfig):
        return origin is Mapping
    return wanted in (type(value), *ANYTHING) or (type(value) is int and wanted is float)


def _makes(node: DictConfig, wanted: Any) -> bool:  # noqa: ANN401 -- an annotation
    """Return whether a node's target makes the wanted type, as far as classes tell."""
    made = _target(node)
    if not inspect.isclass(wanted) or getattr(wanted, "_is_protocol", False):
        return callable(made)
    if str(node["_target_"]) == GET_OBJECT:
        return isinstance(made, wanted)
    return issubclass(made, wanted)


def _target(node: DictConfig) -> Any:  # noqa: ANN401 -- any object of the package
    """Return the class that a node names, or the constant that ``get_object`` names."""
    key, target = _key(node), str(node["_target_"])
    if target == GET_OBJECT:
        return find(f"{key}.path", str(node.get("path")))
    made = find(f"{key}._target_", target)
    if not inspect.isclass(made):
        raise InputError(f"{key}._target_: {target} is not a class; found {made!r}")
    return made


def _key(node: DictConfig) -> str:
    """Return the dotted key of a node, with an index in brackets where it stands in a list."""
    return str(node._get_full_key("_target_")).removesuffix("._target_")


def _shown(value: object) -> str:
    """Return a value on one line; a node by its target."""
    if not isinstance(value, DictConfig | ListConfig):
        return repr(value)
    plain = OmegaConf.to_container(value)
    name = plain.get("path", plain.get("_target_")) if isinstance(plain, dict) else None
    return str(name or plain)
