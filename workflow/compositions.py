"""Compositions: arms become texts, and the texts a memory on the disk.

Hydra composes each combination of choices once. Plain values are set in what it made.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from tcsm import config, defaults
from tcsm.allowed import packages
from tcsm.values import require_no_password
from workflow.ablations import Arm, known_stages
from workflow.checks import Checks
from workflow.fingerprint import Sources, homes
from workflow.inputs import Place, places
from workflow.memo import Memo
from workflow.plain import NotPlain, Part, Plain, Tree, assigned, in_ascii, written

KEPT = Path(".snakemake/tcsm")
# What an arm is called and where it lies: set here, not in params/.
OURS = ("experiment", "axes", "out", "scratch", "overrides")
SOURCES = Path(config.__file__).parents[1]


class Compositions:
    """What the arms of a scale read.

    Attributes:
        params: the folder of the configuration.
        scale: the content of the scale's file.

    Raises:
        InputError: no such scale.
    """

    def __init__(self, scale: str, checks: Checks | None = None) -> None:
        self.params = config.params_folder()
        self._scale = f"scale={scale}"
        self._chosen = Memo(KEPT / f"choices-{scale}.json", self._choices())
        self._memo = Memo(KEPT / f"texts-{scale}.json", self._bases())
        self._codes = Memo(KEPT / "codes.json", (SOURCES / "tcsm").rglob("*.py"))
        self._sources = Sources(SOURCES, users=homes(packages()[1:]))
        self._composed = cache(self._compose)
        self._parts: dict[str, Part] = {}
        self._checks = checks or Checks()
        self.scale = OmegaConf.create(self._by_hydra(()))["scale"]

    def root(self, arm: Arm) -> str:
        """The folder of the token files that an arm reads."""

        def find() -> str:
            try:
                found = Plain(self._composed(arm), self._parts)["data.root"]
            except NotPlain:
                found = OmegaConf.create(self._composed(arm)).data.root
            return os.path.normpath(str(found))

        return str(self._memo.get(f"root {arm.name}", find))

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
        """An arm with the stages that its experiment names.

        Raises:
            InputError: they are none.
        """
        say = lambda: list(self._composed(arm).get("stages", ["train", "evaluate"]))  # noqa: E731
        found = self._memo.get(f"stages {arm.name}", say)
        return replace(arm, stages=known_stages(found, f"params/experiment/{arm.name}.yaml"))

    def text(self, stage: str, arm: Arm, values: Mapping[str, Any]) -> str:
        """What a stage reads of an arm, with some values set that the configuration leaves open.

        Raises:
            InputError: a key that does not exist, or a bad value.
        """
        given = tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in values.items())
        kept = hashlib.sha256(repr(given).encode()).hexdigest()
        write = lambda: self._write(stage, arm, given)  # noqa: E731
        return str(self._memo.get(f"{stage} {arm.name} {kept}", write))

    def reads(self, stage: str) -> tuple[str, ...]:
        """The keys that a stage reads."""
        return tuple(self._codes.get(stage, lambda: self._sources.reads(stage)))

    def code(self, stage: str, text: str) -> str:
        """The fingerprint of the code that a stage runs with a configuration."""
        named = " ".join(sorted(self._sources.named(text)))
        find = lambda: self._sources.fingerprint(stage, named)  # noqa: E731
        if self._sources.of_users(named):  # the memory does not depend on their files
            return find()
        return str(self._codes.get(f"{stage} {named}", find))

    def places(self, stage: str, arm: Arm) -> list[Place]:
        """The words that a stage reads of an arm and that may be paths of files of the user.

        Folders that the workflow fills in are not among them: it knows when they change.
        """

        def find() -> list[Place]:
            keys = {key.partition(".")[0] for key in self.reads(stage)} - {"report"}
            keys -= set() if stage == "prepare" else {"corpus"}  # others read its token files
            tree = self._composed(arm)
            return [place for key in sorted(keys & tree.keys()) for place in self._in(tree, key)]

        return [(key, word) for key, word in self._memo.get(f"places {stage} {arm.name}", find)]

    def check(self, arm: Arm, texts: Mapping[str, str]) -> None:
        """Have all of an arm built, unless this very one once passed. What is bad, `save` tells.

        The page is the same for all arms and their largest part: it is left out unless asked for.

        Args:
            arm: what is checked.
            texts: what each stage reads of it.
        """
        code = " ".join(self.code(stage, text) for stage, text in texts.items())
        leave = OURS if "report" in texts else (*OURS, *self.reads("report"))
        self._memo.get(f"passed {arm.name} {code}", lambda: self._build(arm, leave))

    def save(self) -> None:
        """Keep all texts for the next start, once all that is checked is built.

        Raises:
            InputError: a bad key, choice or value.
        """
        self._checks.finish()
        for memo in (self._codes, self._chosen, self._memo):
            memo.save()

    def _write(self, stage: str, arm: Arm, given: tuple[tuple[str, Any], ...]) -> str:
        tree = self._composed(arm) | dict(given)
        try:
            text = written(Plain(tree, self._parts), self.reads(stage))
        except NotPlain:
            return in_ascii(config.cut(OmegaConf.create(tree), self.reads(stage)))
        require_no_password(text)
        return text

    def _in(self, tree: Tree, key: str) -> list[Place]:
        try:
            return places(key, Plain(tree, self._parts).part(key).text)
        except NotPlain:
            whole = OmegaConf.create({key: OmegaConf.select(OmegaConf.create(tree), key)})
            return places(key, json.dumps(OmegaConf.to_container(whole)[key]))

    def _build(self, arm: Arm, leave: tuple[str, ...]) -> bool:
        tree = self._composed(arm)
        try:
            self._checks.add(self._texts(tree, leave))
        except NotPlain:
            self._checks.add_whole(tree, leave)
        return True

    def _texts(self, tree: Tree, leave: tuple[str, ...]) -> dict[str, str]:
        plain = Plain(tree, self._parts)
        return {key: plain.part(key).text for key in tree if key not in leave}

    def _compose(self, arm: Arm) -> Tree:
        choices = [line for line in arm.overrides if self._chooses(line)]
        try:
            tree = self._by_hydra(choices)
            for line in arm.overrides:
                tree = tree if line in choices else assigned(tree, line)
        except NotPlain:
            tree = self._by_hydra(arm.overrides)
        tree |= {"experiment": arm.name, "axes": dict(arm.axes)}
        tree["overrides"] = [self._scale, *defaults.kept(arm.overrides)]
        if self._checks.early:
            with suppress(NotPlain):
                self._checks.prepare(self._texts(tree, OURS))
        return tree

    def _chooses(self, line: str) -> bool:
        return (self.params / line.partition("=")[0]).is_dir()

    def _by_hydra(self, overrides: Sequence[str]) -> Tree:
        """A composition, its interpolations unresolved."""
        lines = [self._scale, *overrides]

        def compose() -> object:
            self._checks.begin()
            return OmegaConf.to_container(config.compose(lines))

        return dict(self._chosen.get(json.dumps(lines), compose))

    def _choices(self) -> Iterator[Path]:
        """What Hydra's compositions depend on."""
        ablations = self.params / "ablation"
        yield from (file for file in self.params.rglob("*.yaml") if ablations not in file.parents)
        yield Path(config.__file__)

    def _bases(self) -> Iterator[Path]:
        """All that a text depends on: what is composed, and how."""
        yield from self.params.rglob("*.yaml")
        yield from (SOURCES / "tcsm").glob("*.py")
        yield from (SOURCES / "tcsm/stages").glob("*.py")
        yield from Path(__file__).parent.glob("*.py")
