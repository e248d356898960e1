"""What Hydra composes for a variant, kept on disk.

A rule needs a few texts of a variant. They depend on the files of ``params/`` and on the code that
reads these, so they are kept below ``.snakemake`` under a hash of both.
"""

import hashlib
import json
import os
import time
import zlib
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from tcsm import config
from tcsm.config import defaults
from tcsm.config.allowed import packages
from tcsm.errors import InputError
from tcsm.io.atomic import write_atomic
from workflow.ablations import Variant
from workflow.fingerprint import Sources, homes
from workflow.inputs import digest, read_by

CACHE = Path(".snakemake/tcsm")
MONTH = 30 * 86400
OURS = ("experiment", "axes", "out", "scratch", "overrides")  # set by the workflow, not in params/
CODE = Path(config.__file__).parents[2]
Text = tuple[str, list[tuple[str, str]]]  # with what in it may be a path


def remember(key: str, make: Callable[[], Any]) -> Any:  # noqa: ANN401 -- JSON
    """Return the value of a key, which is made unless it lies on the disk undamaged."""
    path = CACHE / hashlib.sha256(key.encode()).hexdigest()
    with suppress(OSError, ValueError, zlib.error):
        return json.loads(zlib.decompress(path.read_bytes()))
    value = make()
    with suppress(InputError):  # where nothing can be written, nothing is kept
        write_atomic(path, zlib.compress(json.dumps(value).encode()))
    return value


class Compositions:
    """What the stages of the variants of a scale read; ``scale`` is the content of its file."""

    def __init__(self, scale: str) -> None:
        for file in CACHE.glob("*"):
            if time.time() - file.stat().st_mtime > MONTH:  # of former params and code
                file.unlink(missing_ok=True)
        self.params, self._scale = config.params_folder(), f"scale={scale}"
        rooms = ("tcsm", "tcsm/config", "tcsm/io", "tcsm/runs", "tcsm/stages", "workflow")
        readers = [file for room in rooms for file in (CODE / room).glob("*.py")]
        self._basis = digest(sorted([*self.params.rglob("*.yaml"), *readers]))
        self._sources = Sources({"tcsm": CODE, **homes(packages()[1:])})
        self._code_basis = digest(sorted((CODE / "tcsm").rglob("*.py")))
        self.reads, self._cfg = cache(self._sources.reads), cache(self._compose)
        self._filled = cache(lambda of, values: OmegaConf.merge(self._cfg(of), json.loads(values)))
        compose = lambda: OmegaConf.to_container(config.compose([self._scale]).scale)  # noqa: E731
        self.scale = OmegaConf.create(self._kept("scale", scale, compose))

    def text(self, variant: Variant, stage: str, values: Mapping[str, Any]) -> Text:
        """Return what a stage reads, with values filled in, and what may be a path."""

        def cut() -> Text:
            cfg = config.cut(self._filled(variant, json.dumps(values)), self.reads(stage))
            return OmegaConf.to_yaml(cfg), [*config.possible_paths(OmegaConf.to_container(cfg))]

        return tuple(self._kept("text", (variant, stage, dict(values)), cut))

    def facts(self, variant: Variant) -> dict[str, Any]:
        """Return what the rules ask of a variant: its folders, other runs and processes."""

        def read() -> dict[str, Any]:
            cfg = self._cfg(variant)
            return {
                "root": cfg.data.root and os.path.normpath(str(cfg.data.root)),
                "needs": {key: name for key, name in cfg.get("needs", {}).items() if name},
                "every_seed": bool(cfg.get("every_seed", False)),
                "stages": list(cfg.get("stages", ["train", "evaluate"])),
                "processes": OmegaConf.select(cfg, "devices.processes", default=1),
                "nodes": OmegaConf.select(cfg, "devices.nodes", default=1),
            }

        return dict(self._kept("facts", variant, read))

    def code(self, stage: str, text: str, paths: Collection[tuple[str, str]] = ()) -> str:
        """Return the fingerprint of the code that a stage runs with a configuration.

        If it reads files of the user at some paths, a second word changes with what they hold.
        They are read again if a size or a time has changed.
        """
        named = " ".join(sorted(self._sources.named(text)))
        find = lambda: self._sources.fingerprint(stage, named)  # noqa: E731
        kept = len(self._sources.homes) == 1  # the basis lacks packages of the user
        code = remember(f"code {self._code_basis} {stage} {named}", find) if kept else find()
        files = read_by(stage, text, paths, made=f"results/{self.scale.name}")
        try:
            now = [(name, os.stat(name).st_size, os.stat(name).st_mtime_ns) for name in files]
            return f"{code} {remember(f'files {now}', lambda: digest(files))}" if now else code
        except OSError as error:
            raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from None

    def check(self, variant: Variant, texts: Mapping[str, str]) -> None:
        """Build every object that stages read of a variant, unless the same was built before."""
        code = [self.code(stage, text) for stage, text in texts.items()]
        read = {key.partition(".")[0] for stage in texts for key in self.reads(stage)} - {*OURS}

        def build() -> bool:
            import torch  # noqa: PLC0415 -- seconds, where nothing is new

            cfg = self._cfg(variant)
            with torch.device("meta"):
                config.check(cfg, {*map(str, cfg)} - read)
            return True

        self._kept("checked", (variant, code), build)

    def _kept(self, kind: str, key: object, make: Callable[[], Any]) -> Any:  # noqa: ANN401
        return remember(json.dumps([kind, self._basis, self._scale, key], default=asdict), make)

    def _compose(self, variant: Variant) -> DictConfig:
        """Return a variant's composition; its interpolations are not resolved."""
        cfg = config.compose([self._scale, *variant.overrides])
        OmegaConf.set_struct(cfg, False)
        overrides = [self._scale, *defaults.kept(variant.overrides)]
        cfg.update(experiment=variant.name, axes=dict(variant.axes), overrides=overrides)
        return cfg
