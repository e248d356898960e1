"""Pulled runs are gone on with where they lie, though their files may be links into the cache."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dvc.house import QUIET
from tests.stages.house import House, make_text


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A real run of a few steps; its folder and its data are read-only links into a cache."""
    root = tmp_path_factory.mktemp("linked")
    (root / "text.txt").write_text(make_text(0, words=1500))
    house = House(root)
    house.good("prepare")
    for stage in ("train", "evaluate", "sample", "report"):
        house.good(stage, "experiment=kjv/score", *_report(root, stage))
    for words in (
        ("init", "--quiet", "--no-scm"),
        ("config", "cache.type", "hardlink"),
        ("add", "--quiet", "data", "run", "page"),
    ):
        command = [sys.executable, "-m", "dvc", *words]
        subprocess.run(command, cwd=root, env={**os.environ, **QUIET}, check=True)
    assert (root / "run/weights.safetensors").stat().st_nlink > 1
    return house


def _report(root: Path, stage: str) -> list[str]:
    return [f"runs=[{root / 'run'}]", f"out={root / 'page'}"] if stage == "report" else []


@pytest.mark.parametrize("stage", ["evaluate", "sample", "report"])
def test_a_pulled_run_is_evaluated_where_it_lies(linked: House, stage: str) -> None:
    cache = contents(linked.root / ".dvc/cache/files")
    changes = ["evaluation.draws=1", "sampling.steps=[2]", "report.title=Another"]
    mine = [change for change in changes if change.startswith(stage[:4])]
    before = contents(linked.root / "run") | contents(linked.root / "page")
    linked.good(stage, "experiment=kjv/score", *mine, *_report(linked.root, stage))
    after = contents(linked.root / "run") | contents(linked.root / "page")
    assert {path.name for path in after if before.get(path) != after[path]}
    assert contents(linked.root / ".dvc/cache/files") == cache


def test_training_goes_on_from_a_pulled_run_into_its_own_folder(linked: House) -> None:
    cache = contents(linked.root / ".dvc/cache/files")
    before = (linked.root / "run/weights.safetensors").read_bytes()
    linked.good("train", "experiment=kjv/score", f"initial={linked.root / 'run'}")
    assert (linked.root / "run/weights.safetensors").read_bytes() != before
    assert contents(linked.root / ".dvc/cache/files") == cache
