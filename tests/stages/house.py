"""A house in one folder: a small made-up text, a tiny configuration, and the command line."""

import contextlib
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from omegaconf import DictConfig

from tcsm import config
from tcsm.__main__ import run
from tests.held import heed_signals

PARAMS = Path(__file__).parents[2] / "params"
CLASSIFIERS = ("reward", "judge")  # folders of experiments that train no model
RECIPES = ("text8", "owt", "lm1b")  # of published protocols: test_pilots.py runs them
ALL = sorted(
    path.relative_to(PARAMS / "experiment").with_suffix("").as_posix()
    for path in (PARAMS / "experiment").rglob("*.yaml")
    if "train" in yaml.safe_load(path.read_text("utf-8")).get("stages", ["train"])
    and path.parent.name not in CLASSIFIERS + RECIPES
)
TEACHERS = [name for name in ALL if name.startswith("teacher/")]  # not all of them write texts


def needy(name: str) -> bool:
    """Whether an experiment, or one that it starts from, asks for the folder of another run."""
    text = (PARAMS / f"experiment/{name}.yaml").read_text("utf-8")
    return "\nneeds:" in text or any(needy(other) for other in ALL if f"\n  - {other}\n" in text)


NEEDY = [name for name in ALL if needy(name)]
WORLDS = [name for name in ALL if name.startswith("exact/")]  # they read no text
# special/ differs from these in objectives alone: tests/test_params.py takes a step of each.
EXPERIMENTS = [
    name
    for name in ALL
    if name not in TEACHERS + NEEDY + WORLDS and not name.startswith("special/")
]
LENGTH = 16
UNFINISHED = (".partial", ".part", ".tmp")
TINY = (
    "scale=smoke",
    f"scale.length={LENGTH}",
    "scale.batch=4",
    "scale.steps=6",
    "scale.base={experiment: kjv/distribution, steps: 6}",
    "scale.teacher={steps: 6, early: 6}",
    "scale.warmup=2",
    "scale.log_every=2",
    "scale.checkpoint_every=2",
    "scale.net={dim: 16, depth: 1, heads: 2}",
    "scale.evaluation={sequences: 8, draws: 2, batch: 8}",
    "scale.sampling={count: 3, steps: [2, 4]}",
    "scale.rewards={count: 4, steps: 2}",
    "scale.collecting={count: 10, steps: 4, batch: 4}",
    "scale.validation={every: 3, sequences: 4, draws: 2}",
    "devices.choice=cpu",
    "corpus=local",
)


class Done(NamedTuple):
    """How a command ended; the lines of progress are left out of ``err``."""

    code: int
    out: str
    err: list[str]


@dataclass(frozen=True)
class House:
    """The folder ``root`` of runs; ``text.txt`` and ``data/`` lie there, or in ``source``."""

    root: Path
    source: Path | None = None

    @property
    def text(self) -> Path:
        return (self.source or self.root) / "text.txt"

    @property
    def data(self) -> Path:
        return (self.source or self.root) / "data"

    def overrides(self, name: str = "run") -> list[str]:
        """The tiny configuration of a run of this name."""
        return [
            *TINY,
            f"corpus.path={self.text}",
            f"data.root={self.data}",
            f"out={self.root / name}",
            f"scratch={self.root / 'scratch' / name}",
            f"targets.cache={self.root / 'cache'}",
        ]

    def config(self, experiment: str) -> DictConfig:
        """What an experiment is made of in this house, resolved."""
        cfg = config.compose([*self.overrides(), f"experiment={experiment}"])
        return config.resolve(cfg)

    def run(self, stage: str, *overrides: str, name: str = "run") -> Done:
        """One command of the console, in this process."""
        return command(stage, *self.overrides(name), *overrides)

    def good(self, stage: str, *overrides: str, name: str = "run") -> Path:
        """A command that must succeed; the folder of its run."""
        done = self.run(stage, *overrides, name=name)
        assert done.code == 0, done.err
        return self.root / name

    def copy(self, run: Path, name: str = "run") -> Path:
        """A copy of a run that a test may change."""
        return Path(shutil.copytree(run, self.root / name))

    @contextmanager
    def started(
        self, stage: str, *overrides: str, name: str = "run"
    ) -> "Iterator[subprocess.Popen[str]]":
        """The same in a process of its own, which does not outlive the block."""
        with subprocess.Popen(
            [sys.executable, "-m", "tcsm", stage, *self.overrides(name), *overrides],
            cwd=PARAMS.parent,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=heed_signals,  # noqa: PLW1509 -- no thread of ours holds a lock
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def files(self, *names: str) -> dict[str, bytes]:
        """What lies in some folders of the house, by path."""
        actual = (path for name in names for path in (self.root / name).rglob("*"))
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in actual
            if path.is_file()
        }

    def unfinished(self) -> list[str]:
        """Files that were begun and neither finished nor removed."""
        return [str(path) for path in self.root.rglob("*") if path.suffix in UNFINISHED]


def likelihood_of(folder: Path) -> dict[str, Any]:
    """The likelihood in the record of a run's evaluation."""
    record = json.loads((folder / "evaluate.json").read_text("utf-8"))
    return record["metrics"]["likelihood"]


def command(*argv: str) -> Done:
    """Any command of the console."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(argv)
    progress = re.compile(r" tok/s |  journal ")
    lines = [line for line in err.getvalue().splitlines() if not progress.search(line)]
    return Done(code, out.getvalue(), lines)


def vowels(texts: Sequence[str]) -> list[float]:
    """A reward that any process can import: how many vowels a text has."""
    return [float(sum(letter in "aeiou" for letter in text)) for text in texts]


def make_text(seed: int, words: int) -> str:
    """Made-up English: words of a small vocabulary, the frequent ones short."""
    chance = random.Random(seed)
    known = ["".join(chance.choices("etaoinshrdlucmfw", k=1 + n // 12)) for n in range(72)]
    weights = [1 / (n + 2) for n in range(len(known))]
    return " ".join(chance.choices(known, weights, k=words))


def finite(value: Any) -> bool:
    """Whether a record holds ordinary numbers only."""
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, list):
        return all(map(finite, value))
    return not isinstance(value, float) or abs(value) < float("inf")
