"""Plain trees: a composition as mappings, in which a value is set and read within microseconds.

Hydra and OmegaConf take milliseconds for what an ablation of a thousand runs asks ten thousand
times. Here is the part of them that is plain: ``KEY=VALUE`` for a key that exists, and
``${dotted.key}``. Whatever else there is raises ``NotPlain`` and is left to them.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf._utils import get_omega_conf_dumper  # of OmegaConf.to_yaml, which escapes nothing

Tree = dict[str, Any]
REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*(?:\.\w+|\[\d+\])*)\}")
WORDS = re.compile(r'\{"\w{1,30}": "[\w.-]{1,30}"(?:, "\w{1,30}": "[\w.-]{1,30}")*\}')
CHOICES = re.compile(r'\["[a-z][\w./]*=[\w./-]+"(?:, "[a-z][\w./]*=[\w./-]+")*\]')
FOLDER = re.compile(r'"([a-z]+(?:/[A-Za-z0-9_.-]+)+)"')


class NotPlain(Exception):
    """Hydra or OmegaConf must see to this."""


def assigned(tree: Tree, line: str) -> Tree:
    """The tree after an override; what it does not touch is shared.

    Raises:
        NotPlain: it adds, deletes, merges or sweeps, or its key does not exist.
    """
    override = _parsed(line)
    *way, last = override.key_or_group.split(".")
    copied = node = dict(tree)
    for name in way:
        if type(node.get(name)) is not dict:
            raise NotPlain(line)
        node[name] = node = dict(node[name])
    if last not in node and override.type is not OverrideType.FORCE_ADD:
        raise NotPlain(line)
    node[last] = _merged(node.get(last), override.value())
    return copied


def _merged(old: Any, new: Any) -> Any:  # noqa: ANN401 -- any value
    """What an override leaves of a value: a mapping is filled, anything else replaced."""
    if not isinstance(new, dict | list) or old is None:
        return new
    if isinstance(new, list) and isinstance(old, list):
        return new
    inner = isinstance(old, dict) and isinstance(new, dict) and [*old.values(), *new.values()]
    if not inner or new.keys() - old.keys() or any(isinstance(v, dict | list) for v in inner):
        raise NotPlain(new)
    return {**old, **new}


@cache
def _parsed(line: str) -> Override:
    try:
        override = OverridesParser.create().parse_override(line)
    except HydraException:
        raise NotPlain(line) from None
    sets = override.type in (OverrideType.CHANGE, OverrideType.FORCE_ADD)
    if not sets or override.package is not None or override.is_sweep_override():
        raise NotPlain(line)
    return override


@dataclass(frozen=True)
class Part:
    """What a key holds.

    Attributes:
        value: its value, with every interpolation in place.
        reads: the parts of the tree that it was made from.
    """

    value: Any
    reads: Tree

    @cached_property
    def text(self) -> str:
        """The value as JSON."""
        return json.dumps(self.value)


class Plain:
    """A tree with its interpolations in place, part by part as they are asked for.

    Args:
        tree: the composition.
        known: the last part that was found at each key, of this tree or another one. Trees of a
            grid share most of what they hold; a part that was made from the same is the same.
    """

    def __init__(self, tree: Tree, known: dict[str, Part] | None = None) -> None:
        self._tree = tree
        self._known: dict[str, Part] = {} if known is None else known
        self._reads: Tree = {}

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 -- any value
        """What a dotted key holds.

        Raises:
            NotPlain: no such key, a value that is missing, another kind of interpolation.
        """
        return self.part(key).value

    def part(self, key: str) -> Part:
        """What a dotted key holds, with its text.

        Raises:
            NotPlain: as above.
        """
        part = self._known.get(key)
        if part is None or any(self._tree.get(k, ...) is not v for k, v in part.reads.items()):
            self._reads = {}
            try:
                part = self._known[key] = Part(self._at(key), self._reads)
            except (KeyError, IndexError, TypeError, ValueError, RecursionError):
                raise NotPlain(key) from None
        return part

    def _at(self, key: str) -> Any:  # noqa: ANN401 -- any value
        first, *way = re.split(r"\.|\[", key)
        node = self._reads[first] = self._tree[first]
        for name in way:
            node = self._whole(node) if isinstance(node, str) else node
            node = node[int(name.rstrip("]"))] if isinstance(node, list) else node[name]
        return self._whole(node)

    def _whole(self, node: Any) -> Any:  # noqa: ANN401 -- any value
        if isinstance(node, dict):
            if not all(isinstance(key, str) for key in node):
                raise KeyError
            return {key: self._whole(value) for key, value in node.items()}
        if isinstance(node, list):
            return [self._whole(value) for value in node]
        return self._text(node) if isinstance(node, str) else node

    def _text(self, text: str) -> Any:  # noqa: ANN401 -- any value
        if text == "???":
            raise KeyError
        if "${" not in text:
            return text
        if found := REFERENCE.fullmatch(text):
            return self._at(found[1])
        filled = REFERENCE.sub(lambda found: self._word(found[1]), text)
        if "${" in filled or "\\" in filled:
            raise ValueError
        return filled

    def _word(self, key: str) -> str:
        value = self._at(key)
        if isinstance(value, dict | list):
            raise TypeError
        return str(value)


def written(plain: Plain, keys: Iterable[str]) -> str:
    """The YAML text of some keys, the same as OmegaConf's.

    Raises:
        NotPlain: one of them is not plain.
    """
    below: dict[str, list[str]] = {}
    for key in keys:
        below.setdefault(key.partition(".")[0], []).append(key)
    return "".join(_line(name, _json(plain, name, own)) for name, own in below.items())


def _json(plain: Plain, name: str, keys: list[str]) -> str:
    """What a run reads of one part: all of it, or what some keys hold."""
    if name in keys:
        return plain.part(name).text
    kept: Tree = {}
    for key in keys:
        _, *way, last = key.split(".")
        node = kept
        for step in way:
            node = node.setdefault(step, {})
        node[last] = plain[key]
    return json.dumps(kept)


def _line(name: str, text: str) -> str:
    if found := FOLDER.fullmatch(text):
        return f"{name}: {found[1]}\n"  # every run has one of its own
    if CHOICES.fullmatch(text):  # every arm has its own
        return f"{name}:\n" + "".join(f"- {line}\n" for line in json.loads(text))
    if WORDS.fullmatch(text):  # every arm has its own axes, made of the same few words
        words = json.loads(text).items()
        return f"{name}:\n" + "".join(f"  {_yaml(key, json.dumps(word))}" for key, word in words)
    return _yaml(name, text)


@cache
def _yaml(name: str, text: str) -> str:
    """One part; the runs of a grid share most of theirs."""
    return in_ascii(OmegaConf.to_yaml({name: json.loads(text)}))


def in_ascii(text: str) -> str:
    """The same YAML with other characters as escapes: a shell of any locale can be given it."""
    if text.isascii():
        return text
    tree = OmegaConf.to_container(OmegaConf.create(text))
    style = {"default_flow_style": False, "sort_keys": False}
    return str(yaml.dump(tree, Dumper=get_omega_conf_dumper(), allow_unicode=False, **style))
