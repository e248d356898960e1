"""Configurations of variants: Hydra composes them, and what was composed is kept on disk.

What a rule needs of a variant is a few texts and names. They depend on the files of ``params/``
and on the code that reads these, so they are kept under a digest of both.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf._utils import get_omega_conf_dumper  # of OmegaConf.to_yaml, which escapes nothing
from omegaconf.errors import OmegaConfBaseException

from tcsm import config
from tcsm.config.allowed import packages
from tcsm.runs import defaults
from workflow.ablations import Variant
from workflow.fingerprint import Sources, homes
from workflow.inputs import Place, words
from workflow.store import Store

CACHE = Path(".snakemake/tcsm")
UNUSED = 30  # days after which an entry is removed
# Set by the workflow, not in params/.
OURS = ("experiment", "axes", "out", "scratch", "overrides")
CODE = Path(config.__file__).parents[2]


class Compositions:
    """What the stages of the variants of a scale read.

    Attributes:
        params: the folder of the configuration.
        scale: the content of the scale's file.
        remember: returns the value of a key, from disk where it is known.

    Raises:
        InputError: no such scale.
    """

    def __init__(self, scale: str) -> None:
        self.params = config.params_folder()
        self._scale = f"scale={scale}"
        self._store = Store(CACHE)
        self.remember = self._store.get
        here = Path(__file__).parent.glob("*.py")
        folders = [CODE / "tcsm" / name for name in ("", "config", "io", "runs", "stages")]
        readers = [*(path for folder in folders for path in folder.glob("*.py")), *here]
        self._basis = _digest([*self.params.rglob("*.yaml"), *readers])
        self._code_basis = _digest((CODE / "tcsm").rglob("*.py"))
        self._sources = Sources(CODE, users=homes(packages()[1:]))
        self._tree = cache(self._compose)
        self.facts = cache(self._facts)
        self.scale = OmegaConf.create(
            self._kept("scale", scale, lambda: _plain(config.compose([self._scale]).scale))
        )

    def texts(
        self, variant: Variant, stages: Sequence[str], values: Mapping[str, Any]
    ) -> dict[str, str]:
        """Return what each stage reads of a variant, with values that params/ leaves open.

        Raises:
            InputError: a key that does not exist, or a bad value.
        """

        def write() -> dict[str, str]:
            cfg = self._open(variant, stages, **values)
            return {stage: in_ascii(config.cut(cfg, self.reads(stage))) for stage in stages}

        return self._kept("texts", (variant, tuple(stages), dict(values)), write)

    def reads(self, stage: str) -> tuple[str, ...]:
        """Return the keys that a stage reads."""
        return self._sources.reads(stage)

    def code(self, stage: str, text: str) -> str:
        """Return the fingerprint of the code that a stage runs with a configuration."""
        named = " ".join(sorted(self._sources.named(text)))
        find = lambda: self._sources.fingerprint(stage, named)  # noqa: E731
        if self._sources.of_users(named):  # the digest does not know their files
            return find()
        return str(self.remember(f"code {self._code_basis} {stage} {named}", find))

    def places(self, stage: str, variant: Variant) -> list[Place]:
        """Return the words that a stage reads of a variant and that may be paths of the user.

        Folders that the workflow fills in are not among them: its rules know when they change.
        """
        keys = {key.partition(".")[0] for key in self.reads(stage)} - {"report"}
        keys -= set() if stage == "prepare" else {"corpus"}  # others read its token files
        found = self.facts(variant)["places"]
        return [(key, word) for key in sorted(keys & found.keys()) for word in found[key]]

    def check(self, variant: Variant, texts: Mapping[str, str]) -> None:
        """Build every object of a variant, unless the same one was built before.

        Args:
            variant: what is checked.
            texts: what each stage reads of it. The report is the same for all variants and their
                largest part: it is left out where it is not among them.

        Raises:
            InputError: a bad key, choice or value.
        """
        code = [self.code(stage, text) for stage, text in texts.items()]
        leave = OURS if "report" in texts else (*OURS, *self.reads("report"))

        def build() -> bool:
            import torch  # noqa: PLC0415 -- seconds, where nothing is new

            with torch.device("meta"):
                config.check(self._open(variant, texts), leave)
            return True

        self._kept("checked", (variant, code), build)

    def forget_unused(self) -> None:
        """Remove what no start has asked for in a month."""
        self._store.forget_unused(UNUSED)

    def _facts(self, variant: Variant) -> dict[str, Any]:
        """Return ``root``, ``needs``, ``every_seed``, ``stages`` and ``places`` of a variant."""

        def read() -> dict[str, Any]:
            cfg = self._open(variant, ())
            needs = cfg.get("needs", {}).items()
            return {
                "root": cfg.data.root and os.path.normpath(str(cfg.data.root)),
                "needs": {str(key): str(name) for key, name in needs if name},
                "every_seed": bool(cfg.get("every_seed", False)),
                "stages": list(cfg.get("stages", ["train", "evaluate"])),
                "places": {key: words(key, _value(cfg, key)) for key in map(str, cfg)},
            }

        return dict(self._kept("facts", variant, read))

    def _kept(self, kind: str, key: object, make: Callable[[], Any]) -> Any:  # noqa: ANN401
        name = json.dumps([kind, self._basis, self._scale, key], default=asdict)
        return self.remember(name, make)

    def _compose(self, variant: Variant) -> dict[str, Any]:
        """Return a variant's composition; its interpolations are not resolved."""
        tree = _plain(config.compose([self._scale, *variant.overrides]))
        overrides = [self._scale, *defaults.kept(variant.overrides)]
        own = {"experiment": variant.name, "axes": dict(variant.axes), "overrides": overrides}
        return {**tree, **own}

    def _open(self, variant: Variant, stages: Iterable[str], **values: object) -> DictConfig:
        """Return the configuration of a variant; the report, its largest part, only if read."""
        tree = {**self._tree(variant), **values}
        return OmegaConf.create({k: v for k, v in tree.items() if k != "report" or k in stages})


def in_ascii(text: str) -> str:
    """Return the same YAML with other characters escaped, for a shell of any locale."""
    if text.isascii():
        return text
    tree = OmegaConf.to_container(OmegaConf.create(text))
    style = {"default_flow_style": False, "sort_keys": False}
    return str(yaml.dump(tree, Dumper=get_omega_conf_dumper(), allow_unicode=False, **style))


def _plain(cfg: Any) -> Any:  # noqa: ANN401 -- a node
    return OmegaConf.to_container(cfg)


def _value(cfg: DictConfig, key: str) -> Any:  # noqa: ANN401 -- any value
    """The value of a key; its interpolations stay as they are where one cannot be resolved."""
    try:
        node = cfg[key]
        return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    except OmegaConfBaseException:
        node = cfg._get_node(key)
        return OmegaConf.to_container(node) if OmegaConf.is_config(node) else None


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file}\n".encode() + file.read_bytes())
    return digest.hexdigest()
