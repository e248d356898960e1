"""Compositions: arms become texts, by Hydra once and from a memory on the disk ever after."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from tcsm import config
from workflow.ablations import Arm
from workflow.fingerprint import Sources
from workflow.memo import Memo

KEPT = Path(".snakemake/tcsm")
SOURCES = Path(config.__file__).parents[1]


class Compositions:
    """What the arms of a scale read.

    Attributes:
        params: the folder of the configuration.
        scale: the content of the scale's file.

    Raises:
        InputError: no such scale.
    """

    def __init__(self, scale: str) -> None:
        self.params = config.params_folder()
        self.scale = config.compose([f"scale={scale}"]).scale
        self._memo = Memo(KEPT / f"texts-{scale}.json", self._bases())
        self._sources = Sources(SOURCES)
        self._composed = cache(self._compose)

    def root(self, arm: Arm) -> str:
        """The folder of the token files that an arm reads."""
        return str(self._memo.get(f"root {arm.name}", lambda: self._composed(arm).data.root))

    def needs(self, arm: Arm) -> dict[str, str]:
        """Key → the experiment whose first seed's folder it holds."""

        def find() -> dict[str, str]:
            found = self._composed(arm).get("needs", {})
            return {str(key): str(name) for key, name in found.items() if name}

        return dict(self._memo.get(f"needs {arm.name}", find))

    def every_seed(self, arm: Arm) -> bool:
        """Whether an arm that others need is made with every seed."""
        say = lambda: bool(self._composed(arm).get("every_seed", False))  # noqa: E731
        return bool(self._memo.get(f"seeds {arm.name}", say))

    def with_stages(self, arm: Arm) -> Arm:
        """An arm with the stages that its experiment names."""
        say = lambda: list(self._composed(arm).get("stages", ["train", "evaluate"]))  # noqa: E731
        return replace(arm, stages=tuple(self._memo.get(f"stages {arm.name}", say)))

    def text(self, stage: str, arm: Arm, values: Mapping[str, Any]) -> str:
        """What a stage reads of an arm, with some values set that the configuration leaves open.

        Raises:
            InputError: a key that does not exist, or a bad value.
        """

        def write() -> str:
            cfg = self._composed(arm).copy()
            for key, value in values.items():
                cfg[key] = value
            return config.cut(cfg, self.reads(stage))

        given = hashlib.sha256(repr(sorted(values.items())).encode()).hexdigest()
        return str(self._memo.get(f"{stage} {arm.name} {given}", write))

    def reads(self, stage: str) -> tuple[str, ...]:
        """The keys that a stage reads."""
        return self._sources.reads(stage)

    def code(self, stage: str, text: str) -> str:
        """The fingerprint of the code that a stage runs with a configuration."""
        return self._sources.fingerprint(stage, text)

    def check(self, arm: Arm, texts: Mapping[str, str]) -> None:
        """Build all of an arm on torch's meta device, unless this very one once passed.

        The page is the same for all arms and their largest part: it is left out unless asked for.

        Args:
            arm: what is checked.
            texts: what each stage reads of it.

        Raises:
            InputError: a bad key, choice or value.
        """
        code = " ".join(self.code(stage, text) for stage, text in texts.items())
        leave = () if "report" in texts else self.reads("report")
        self._memo.get(f"passed {arm.name} {code}", lambda: self._build(arm, leave))

    def save(self) -> None:
        """Keep all texts for the next start."""
        self._memo.save()

    def _build(self, arm: Arm, leave: tuple[str, ...]) -> bool:
        import torch  # noqa: PLC0415 -- seconds that a start with nothing to do need not spend

        with torch.device("meta"):
            config.check(self._composed(arm), leave)
        return True

    def _compose(self, arm: Arm) -> DictConfig:
        cfg = config.compose([f"scale={self.scale.name}", *arm.overrides])
        OmegaConf.set_struct(cfg, False)
        cfg.experiment, cfg.axes = arm.name, dict(arm.axes)
        return cfg

    def _bases(self) -> Iterator[Path]:
        """All that a text depends on: what is composed, and how."""
        yield from self.params.rglob("*.yaml")
        yield from (SOURCES / "tcsm").glob("*.py")
        yield from (SOURCES / "tcsm/stages").glob("*.py")
        yield from Path(__file__).parent.glob("*.py")
