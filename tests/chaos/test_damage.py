"""A bit flipped anywhere, or an end cut off: refused with the file's name, or nothing changed.

What the tiny pipeline left is damaged at random places; a reader must refuse, by an InputError, or
return what it returned before.
"""

import random
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tcsm.data.buffer import read_buffer
from tcsm.data.tokenfile import open_tokens
from tcsm.data.tokenizers import Letters
from tcsm.errors import InputError
from tcsm.models.teacher import Teacher
from tcsm.rewards.grams import Grams, Logistic
from tcsm.rewards.grams import load as load_classifier
from tcsm.runs.outcome import read_run
from tcsm.runs.teachers import CachedTeacher
from tcsm.training import checkpoint
from tests.chaos.house import IS_LONG, Pipeline

TIMES = 60 if IS_LONG else 20  # that each file is damaged
RUN, DRAWN = "results/tiny/tiny/second/seed-0", "results/tiny/tiny/drawn/seed-0"
Read = Callable[[Path], object]


def tokens(path: Path) -> object:
    return open_tokens(path, Letters()).tokens.tolist()


def weights(path: Path) -> object:
    actual, facts = checkpoint.load(path)
    return {name: tensor.tolist() for name, tensor in actual.items()}, facts


def buffer(path: Path) -> object:
    actual = read_buffer(path.parent, Letters())
    values = (getattr(actual, field.name) for field in fields(actual))
    return [None if value is None else value.tolist() for value in values]


def run(path: Path) -> object:
    actual = read_run(path.parent)
    values = (getattr(actual, field.name) for field in fields(actual))
    return [v.to_csv() if isinstance(v, pd.DataFrame) else v for v in values]


FILES: dict[str, Read] = {
    "results/data/tiny/valid.tok": tokens,
    f"{RUN}/weights.safetensors": weights,
    f"{DRAWN}/sequences.tok": buffer,
    f"{DRAWN}/rewards.safetensors": buffer,
    f"{DRAWN}/collect.json": run,
    f"{RUN}/train.json": run,
    f"{RUN}/evaluate.json": run,
    f"{RUN}/samples.json": run,
    f"{RUN}/metrics.jsonl": run,
    f"{RUN}/telemetry.jsonl": run,
    f"{RUN}/train.telemetry.json": run,
    f"{RUN}/config.yaml": run,
}


def damaged(content: bytes, chance: random.Random) -> bytes:
    """One bit is another, or the end is missing; the first bytes and the last come often."""
    at = chance.choice([chance.randrange(len(content)), chance.randrange(min(400, len(content)))])
    if chance.random() < 0.2:
        return content[:at]
    return content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]


def refused(path: Path, read: Read, times: int = TIMES) -> int:
    """How often a damaged file is refused; never may it be read as another."""
    content, before, count = path.read_bytes(), read(path), 0
    chance = random.Random(path.name)
    for _ in range(times):
        path.write_bytes(damaged(content, chance))
        try:
            assert read(path) == before
        except InputError:
            count += 1
    path.write_bytes(content)
    assert read(path) == before
    return count


@pytest.mark.parametrize("name", FILES)
def test_what_the_pipeline_left(undisturbed: Pipeline, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in (undisturbed.folder / name).parent.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    assert refused(folder / Path(name).name, FILES[name]) > TIMES / 2


def test_a_classifier(tmp_path: Path) -> None:
    words = Grams("word", 1, 2, bits=6)
    Logistic(words, np.linspace(-1, 1, 64), 0.5).save(tmp_path / "weights.safetensors")

    def read(path: Path) -> object:
        actual = load_classifier(path)
        return actual.grams, actual.weight.tolist(), actual.bias

    assert refused(tmp_path / "weights.safetensors", read) > TIMES / 2


class Sure(Teacher):
    """Says the same of every position."""

    def log_conditionals(self, x_1: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        return torch.arange(4.0).log_softmax(0).expand(int(positions.sum()), 4)


def test_kept_answers_of_teachers_are_made_again(tmp_path: Path) -> None:
    x_1, positions = torch.zeros(2, 3, dtype=torch.int64), torch.ones(2, 3, dtype=torch.bool)

    def ask(path: Path) -> object:
        return CachedTeacher(Sure(), "sure", tmp_path).log_conditionals(x_1, positions).tolist()

    ask(tmp_path)
    (path,) = tmp_path.rglob("*.safetensors")
    assert refused(path, ask) == 0
