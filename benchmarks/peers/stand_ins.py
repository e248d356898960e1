"""Modules and classes that stand for packages that a peer names but a training step never uses."""

import sys
import types
from importlib.util import find_spec
from pathlib import Path

import yaml
from torch import Tensor


class Hollow:
    """Stands for any class or object that is named but never used in a training step."""

    pad_token = "<pad>"

    def __init__(self, *_, **__):
        """Accept whatever the true class would."""

    @classmethod
    def from_pretrained(cls, *_, **__):
        """A tokenizer or model that is never asked for anything."""
        return cls()

    def clone(self, **_):
        """Metrics are cloned once per split."""
        return self

    def set_dtype(self, _):
        """Metrics are moved to float64."""

    def update(self, *_, **__):
        """Metrics are left out, to the peer's advantage."""


class Absent(types.ModuleType):
    """A module whose every public attribute is `Hollow`."""

    def __getattr__(self, name: str):
        """`Hollow` for a public name, the usual error for a private one."""
        if name.startswith("__"):
            raise AttributeError(name)
        return Hollow


def rearrange(x: Tensor, pattern: str, **sizes: int) -> Tensor:
    """The einops patterns of the peers' attention, as views."""
    views = {
        "b s (three h d) -> b s three h d": lambda: x.unflatten(2, (3, sizes["h"], -1)),
        "b s ... -> (b s) ...": lambda: x.flatten(0, 1),
        "(b s) h d -> b s (h d)": lambda: x.unflatten(0, (sizes["b"], -1)).flatten(2),
        "b s h d -> b s (h d)": lambda: x.flatten(2),
        "b h s d -> b s (h d)": lambda: x.transpose(1, 2).flatten(2),
    }
    return views[pattern]()


def repeat(x: Tensor, pattern: str) -> Tensor:
    """The einops pattern of rotary tables: both halves alike."""
    if pattern != "... d -> ... 1 (2 d)":
        raise KeyError(pattern)  # as `rearrange` does
    doubled = x.new_empty(*x.shape[:-1], 1, 2 * x.shape[-1])
    doubled.unflatten(-1, (2, -1)).copy_(x[..., None, None, :])
    return doubled


def stand_in(names: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    """Put stand-ins where import statements will find them.

    Args:
        names: modules that are replaced even where they are installed, since they load slowly.
        optional: top-level modules that are replaced where they are not installed.
    """
    missing = [name for name in optional if _lacks(name)]
    for name in (*names, *missing):
        sys.modules[name] = Absent(name)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, sys.modules[name])
    if "einops" in missing:
        sys.modules["einops"].rearrange = rearrange
        sys.modules["einops"].repeat = repeat


def _lacks(name: str) -> bool:
    """Whether a module is not installed, or only stood for."""
    top = name.partition(".")[0]
    if top in sys.modules:
        return isinstance(sys.modules[top], Absent)
    return find_spec(top) is None


def package(name: str, folder: Path) -> None:
    """Make a package of a folder without running its ``__init__``."""
    module = types.ModuleType(name)
    module.__path__ = [str(folder)]
    sys.modules[name] = module


def read(path: Path) -> "Node":
    """A configuration; YAML takes 1e-4 for a text, the peers' own reader does not."""
    return Node(_numbers(yaml.safe_load(path.read_text())))


def _numbers(value: object) -> object:
    if isinstance(value, dict):
        return {key: _numbers(part) for key, part in value.items()}
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


class Node(dict):
    """A mapping whose keys are attributes, as a peer reads its configuration."""

    def __getattr__(self, name: str):
        """The value of a key; mappings become nodes."""
        if name not in self:
            raise AttributeError(name)
        value = self[name]
        return Node(value) if isinstance(value, dict) and not isinstance(value, Node) else value

    __setattr__ = dict.__setitem__
