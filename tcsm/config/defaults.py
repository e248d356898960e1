"""Default values of a stage that is given a trained run: the run's own configuration.

The configuration is composed from the choices that the run was trained with and the new overrides.
Where the command line sets nothing, it takes the values of the run's own ``config.yaml``. An
override that contradicts what the weights were trained on is refused.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from tcsm import config
from tcsm.config.typed import leaves
from tcsm.config.unused import require_read
from tcsm.errors import InputError
from tcsm.io.layout import CONFIG, REFERENCE, record_of
from tcsm.io.records import Record, read_json

# Keys that the weights of a run depend on.
FIXED = ("experiment", "axes", "seed", "world", "corpus", "tokenizer", "model", "reference")
# Keys that a stage shares with a run in another folder.
TEXT = ("tokenizer", "corpus", "data.root", "data.length")
# Keys that hold the folder of the run that a stage is about; others name a run that it uses.
SUBJECT = ("evaluation.run", "out")
# Keys of places, which do not define a run.
PLACES = ("out", "scratch", "runs", "overrides")
ABSENT = object()


def compose(
    overrides: Sequence[str],
    reads: Sequence[str],
    of: Sequence[str] = (),
    anew: Sequence[str] = (),
) -> DictConfig:
    """Return the configuration of a stage.

    Args:
        overrides: Overrides of the command line.
        reads: Keys that the stage reads.
        of: Keys that may hold the folder of a trained run; the first that is set is used.
        anew: Keys of a training that the stage may set otherwise.

    Raises:
        InputError: As in ``config.compose``; or an override contradicts the run's training.
    """
    key, folder = _named(overrides, of)
    run = trained(Path(folder)) if folder else None
    if run is None:
        return _composed(overrides, reads)
    whole = key in SUBJECT or (
        "out" in of and _same(folder, config.override_value(overrides, "out"))
    )
    comparison = Comparison(Path(folder), run, overrides, whole, frozenset(anew))
    while True:
        try:
            return comparison.composed(reads, merge=key != "runs")
        except InputError as error:
            if not comparison.forget(str(error).partition(":")[0]):
                raise


@dataclass(frozen=True)
class Comparison:
    """The configuration of a run beside the one that a command asks for.

    Attributes:
        folder: Folder of the run.
        trained: Its configuration.
        overrides: Overrides of the command line.
        whole: Whether the command works in the run's folder; else it shares only the text.
        anew: Keys of the training that the stage may set otherwise.
    """

    folder: Path
    trained: DictConfig
    overrides: Sequence[str]
    whole: bool
    anew: frozenset[str]

    def composed(self, reads: Sequence[str], merge: bool) -> DictConfig:
        """Return the configuration of a stage; without a merge, the run's choices alone."""
        known = _known(self.trained, self.overrides, self.whole)
        composed = _composed([*known, *self.overrides], reads, self.overrides)
        if not merge:
            return composed
        with config.keys_as_set(composed):
            return self.merged(composed, reads)

    def forget(self, key: str) -> bool:
        """Drop the choices of the run for a key of an earlier version; return whether it has any.

        The values of the run are those of its ``config.yaml`` all the same.
        """
        lines = [str(line) for line in self.trained.get("overrides", [])]
        left = [line for line in lines if _key(line) != key]
        if left == lines or any(_key(line) == key for line in self.overrides):
            return False
        OmegaConf.update(self.trained, "overrides", left)
        return True

    def merged(self, composed: DictConfig, reads: Sequence[str]) -> DictConfig:
        """Return the keys that a stage reads, from the run wherever no override sets them.

        Metrics contain other keys, by interpolation.

        Raises:
            InputError: An override contradicts what the run was trained on.
        """
        inner = _referred(composed, "metric") if "metric" in reads else []
        inner = [key for key in inner if _plain(self.trained, key) is not ABSENT]
        for key, value in self._merged(composed, inner).items() if inner else ():
            OmegaConf.update(composed, str(key), value, merge=False)
        return self._merged(composed, reads)

    def _merged(self, composed: DictConfig, reads: Sequence[str]) -> DictConfig:
        keys = [key for key in reads if key in TEXT or (self.whole and key not in PLACES)]
        keys = [key for key in keys if _plain(self.trained, key) is not ABSENT]
        merged = before = config.cut(composed, reads)
        if kept(self.overrides):
            before = config.cut(config.compose(_known(self.trained, (), self.whole)), keys)
        for key in keys:
            own, new, old = (_plain(cfg, key) for cfg in (self.trained, merged, before))
            given = self._given(key, new, old)
            fixed = self.whole and key in FIXED and not self._may_differ(key, new)
            if given and not fixed:
                continue
            OmegaConf.update(merged, key, own, merge=False, force_add=True)
            for leaf in self._differing(given, dict(leaves(own, key))):
                OmegaConf.update(merged, leaf, given[leaf])
        return merged

    def _given(self, key: str, new: object, old: object) -> dict[str, object]:
        """Return the values below a key that overrides name or change."""
        after, before = dict(leaves(new, key)), dict(leaves(old, key))
        return {
            leaf: after.get(leaf, ABSENT)
            for leaf in sorted(after.keys() | before.keys())
            if after.get(leaf, ABSENT) != before.get(leaf, ABSENT)
            or any(_touches(line, leaf) for line in self.overrides)
        }

    def _may_differ(self, key: str, new: object) -> bool:
        """Return whether a stage may set a key anew, or moves only a reference's folder."""
        if key != "reference" or not isinstance(new, str):
            return key in self.anew
        known = _record(self.folder).get(REFERENCE)
        return known is not None and known == _record(Path(new)).get("weights_sha256")

    def _differing(
        self, given: Mapping[str, object], trained: Mapping[str, object]
    ) -> Iterator[str]:
        """Yield where overrides only move the text, whose tokens are then compared instead.

        The record of the training holds the hashes of the tokens; without it they cannot be
        compared.

        Raises:
            InputError: An override contradicts what the run was trained on.
        """
        named = {_key(line) for line in self.overrides}
        for leaf, value in given.items():
            known = trained.get(leaf, ABSENT)
            if leaf.endswith("corpus.path") and leaf in named and _record(self.folder):
                yield leaf
            elif not _same(value, known):
                raise InputError(
                    f"{leaf}: {self.folder} was trained with {_shown(known)}, found "
                    f"{_shown(value)}; leave out {self._cause(leaf, value)}, or train such a run "
                    "in another folder (out=FOLDER)"
                )

    def _cause(self, leaf: str, value: object) -> str:
        """Return the override that sets a leaf, by its name or through another key."""
        named = [line for line in self.overrides if _touches(line, leaf)]
        for line in [] if named else kept(self.overrides):
            with suppress(InputError):
                alone = config.compose([*_known(self.trained, [line], self.whole), line])
                if OmegaConf.select(alone, leaf, default=ABSENT) == value:
                    return line
        return named[-1] if named else f"what sets {leaf}"


def trained(folder: Path) -> DictConfig | None:
    """Return the configuration of the training in a folder, None if there is none.

    A tokenizer and a reference that `tcsm export` has put into the folder take the place of those
    that the training named.

    Raises:
        InputError: It is damaged.
    """
    path = folder / CONFIG
    run = next(config.load(str(path))) if path.is_file() else None
    if run is None or "model" not in run:
        return None
    if (folder / "tokenizer.json").is_file():
        run.tokenizer.path = str(folder)
    if (folder / "reference" / CONFIG).is_file():
        run.reference = str(folder / "reference")
    return run


def _record(folder: Path) -> Record:
    """Return the record of the training in a folder, empty if there is none."""
    return read_json(folder / record_of("train"), ())


def kept(overrides: Sequence[str]) -> list[str]:
    """Return the overrides that define a run, for its ``config.yaml``."""
    return [line for line in overrides if _key(line) not in PLACES and "${" not in line]


def _composed(
    overrides: Sequence[str], reads: Sequence[str], given: Sequence[str] | None = None
) -> DictConfig:
    cfg = config.compose(overrides)
    require_read(overrides if given is None else given, cfg, reads, config.params_folder())
    if "overrides" in reads:
        OmegaConf.update(cfg, "overrides", kept(overrides), force_add=True)
    return cfg


def _named(overrides: Sequence[str], of: Sequence[str]) -> tuple[str, str]:
    """Return the key that names a run and the run's folder; empty if there is none."""
    for key in of:
        folder = config.override_value(overrides, key)
        if folder:
            return key, str(folder[0] if isinstance(folder, list) else folder)
    return ("out", str(config.compose(overrides).out)) if "out" in of else ("", "")


def _known(run: DictConfig, overrides: Sequence[str], whole: bool) -> list[str]:
    """Return the choices of a run that a command does not change: all, or its scale alone."""
    new = {_key(line): line for line in overrides}
    lines = [str(line) for line in run.get("overrides", [])]
    name = run.get("experiment")
    path = config.params_folder() / f"experiment/{name}.yaml"
    if path.is_file() and not any(_key(line) == "experiment" for line in lines):
        lines.insert(0, f"experiment={name}")
    groups = {_key(line) for line in lines if new.get(_key(line), line) != line}
    return [
        line
        for line in lines
        if (whole or re.match(r"scale\b", line))
        and _key(line) not in new
        and _key(line).partition(".")[0] not in groups
    ]


def _key(line: str) -> str:
    """Return the key of an override."""
    return line.partition("=")[0].strip("+~ ")


def _touches(line: str, key: str) -> bool:
    """Return whether an override names a key, a node that contains it, or a key inside it."""
    own = _key(line)
    return own == key or own.startswith(f"{key}.") or key.startswith(f"{own}.")


def _referred(cfg: DictConfig, key: str) -> list[str]:
    """Return the top-level keys that the value of a key contains by interpolation."""
    text = str(OmegaConf.to_container(cfg.get(key) or OmegaConf.create({}), resolve=False))
    return sorted(set(re.findall(r"\$\{(\w+)\}", text)))


def _plain(cfg: DictConfig, key: str) -> Any:  # noqa: ANN401 -- any value
    node = OmegaConf.select(cfg, key, default=ABSENT)
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def _same(one: object, other: object) -> bool:
    """Return whether two values are equal, or name the same place."""
    if isinstance(one, str) and isinstance(other, str):
        return one == other or os.path.realpath(one) == os.path.realpath(other)
    return type(one) is type(other) and one == other


def _shown(value: object) -> str:
    return "nothing" if value is ABSENT else "null" if value is None else str(value)
