"""Typed configurations: where keys become the values and objects that a stage works with."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, ListConfig, OmegaConf

from tcsm.config.compose import build
from tcsm.config.values import PATHS

T = TypeVar("T")


@dataclass(frozen=True)
class Unbuilt(Generic[T]):
    """A part of a run that a call builds, such as a model once its seed is set.

    Attributes:
        node: Its configuration.
    """

    node: DictConfig

    def __call__(self) -> T:
        """Return the built object.

        Raises:
            InputError: As in `build`.
        """
        made: T = build(self.node)
        return made

    def value(self, key: str) -> Any:  # noqa: ANN401 -- any value
        """Return the value of a dotted key below the part, None if there is none."""
        return OmegaConf.select(self.node, key, default=None)

    def part(self, key: str) -> "Unbuilt[Any]":
        """Return a part of this part."""
        return Unbuilt(self.node[key])

    @property
    def plain(self) -> dict[str, Any]:
        """Return the configuration as a plain mapping."""
        plain = OmegaConf.to_container(self.node, resolve=True)
        assert isinstance(plain, dict)
        return {str(key): value for key, value in plain.items()}


def leaves(node: object, key: str) -> Iterator[tuple[str, Any]]:
    """Yield every value below a plain node with its dotted key; a list is one value."""
    if isinstance(node, dict):
        for name, child in node.items():
            yield from leaves(child, f"{key}.{name}".lstrip("."))
    else:
        yield key, node


def possible_paths(node: object, top: str = "", key: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text below a plain node that may be a path, after the top key above it."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from possible_paths(value, top or name, name)
    elif isinstance(node, list):
        for part in node:
            yield from possible_paths(part, top, key)
    elif isinstance(node, str) and key in PATHS:
        yield top, node


def typed(kind: type[T], cfg: DictConfig) -> T:
    """Return a dataclass whose fields have the values of the keys of the same names.

    A node with a ``_target_`` is built, later where the field is an `Unbuilt`; a field that is a
    dataclass holds the keys below its own. A missing key is None.

    Raises:
        InputError: As in `build`.
    """
    assert is_dataclass(kind)
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)][::-1]  # own fields before inherited ones
    values = {name: _typed(hints[name], cfg.get(name)) for name in names}
    made: T = kind(**values)
    return made


def _typed(hint: Any, value: Any) -> Any:  # noqa: ANN401 -- an annotation and a value of it
    """Return the value of a key as the type of its field."""
    if not isinstance(value, DictConfig):
        return build(value) if isinstance(value, ListConfig) else value
    if any(get_origin(kind) is Unbuilt for kind in (hint, *get_args(hint))):
        return Unbuilt(value)
    nested = is_dataclass(hint) and "_target_" not in value
    return typed(hint, value) if nested else build(value)
