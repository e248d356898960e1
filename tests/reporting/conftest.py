"""Runs made once: six variants × three seeds, and with them the grids of ablations."""

import shutil
from pathlib import Path

import pytest

from tcsm.runs.outcome import read_runs
from tests.reporting.house import SEEDS, VARIANTS, make_ablations, make_post_training, make_run


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("made")
    for experiment in VARIANTS:
        for seed in SEEDS:
            make_run(root, experiment, seed)
    return root


@pytest.fixture(scope="session")
def runs(made: Path):
    return read_runs(_folders(made))


@pytest.fixture
def folders(made: Path, tmp_path: Path) -> list[Path]:
    """A copy that a test may damage."""
    shutil.copytree(made, tmp_path / "results")
    return _folders(tmp_path / "results")


@pytest.fixture(scope="session")
def ablated(tmp_path_factory):
    """The runs of every kind of ablation."""
    return read_runs(make_ablations(tmp_path_factory.mktemp("ablated")))


@pytest.fixture(scope="session")
def tuned(tmp_path_factory):
    """The runs of every kind of post-training, and of distillation."""
    return read_runs(make_post_training(tmp_path_factory.mktemp("tuned")))


def _folders(root: Path) -> list[Path]:
    return [root / experiment / f"seed-{seed}" for experiment in VARIANTS for seed in SEEDS]
