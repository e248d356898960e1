"""Pulled runs are gone on with where they lie, though their files may be links into the cache."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from torch import Tensor

from tcsm.training.state import TrainState
from tests.dvc.house import QUIET
from tests.stages.house import House, make_text

WEIGHTS = "weights.safetensors"


def dvc(folder: Path, *words: str) -> None:
    command = [sys.executable, "-m", "dvc", *words]
    subprocess.run(command, cwd=folder, env={**os.environ, **QUIET}, check=True)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A real run of a few steps; DVC holds its folder, its page and its data."""
    root = tmp_path_factory.mktemp("kept")
    (root / "text.txt").write_text(make_text(0, words=1500))
    house = House(root)
    house.good("prepare")
    for stage in ("train", "evaluate", "sample", "report"):
        house.good(stage, "experiment=kjv/score", *_report(root, stage))
    dvc(root, "init", "--quiet", "--no-scm")
    dvc(root, "add", "--quiet", "data", "run", "page")
    return house


@pytest.fixture(scope="module", params=["hardlink", "symlink"])
def linked(kept: House, request: pytest.FixtureRequest) -> House:
    """The same as it lies after a pull that made links: read-only, into the cache."""
    dvc(kept.root, "config", "cache.type", request.param)
    dvc(kept.root, "checkout", "--quiet", "--force", "--relink")
    weights = kept.root / "run" / WEIGHTS
    assert weights.is_symlink() == (request.param == "symlink")
    assert (weights.stat().st_nlink > 1) == (request.param == "hardlink")
    assert not weights.stat().st_mode & stat.S_IWUSR
    return kept


def _report(root: Path, stage: str) -> list[str]:
    return [f"runs=[{root / 'run'}]", f"out={root / 'page'}"] if stage == "report" else []


@pytest.mark.parametrize(
    ("linked", "stage"),
    [
        ("hardlink", "evaluate"),
        ("hardlink", "sample"),
        ("hardlink", "report"),
        ("symlink", "sample"),
    ],
    indirect=["linked"],
)
def test_a_pulled_run_is_evaluated_where_it_lies(linked: House, stage: str) -> None:
    cache = linked.files(".dvc/cache/files")
    changes = ["evaluation.draws=1", "sampling.steps=[2]", "report.title=Another"]
    rows = [change for change in changes if change.startswith(stage[:4])]
    before = linked.files("run", "page")
    linked.good(stage, "experiment=kjv/score", *rows, *_report(linked.root, stage))
    after = linked.files("run", "page")
    assert {path for path in after if before.get(path) != after[path]}
    assert linked.files(".dvc/cache/files") == cache


def test_training_goes_on_from_a_pulled_run_into_its_own_folder(
    linked: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped half-way too: the pulled training stays as it is until this one is done."""
    cache = linked.files(".dvc/cache/files")
    before = linked.files("run")
    expected = ("train", "experiment=kjv/score", f"initial={linked.root / 'run'}")
    descend = TrainState.descend

    def warned(state: TrainState) -> Tensor:
        if state.step == 3:
            signal.raise_signal(signal.SIGTERM)
        return descend(state)

    with monkeypatch.context() as patched:
        patched.setattr(TrainState, "descend", warned)
        with pytest.raises(SystemExit, match="75"):
            linked.run(*expected)
    now = linked.files("run")
    assert all(now[f"run/{name}"] == before[f"run/{name}"] for name in (WEIGHTS, "train.json"))
    done = linked.run(*expected)
    assert done.code == 0
    assert "training goes on after step 4" in done.err[0]
    assert linked.files("run")[f"run/{WEIGHTS}"] != before[f"run/{WEIGHTS}"]
    assert linked.files(".dvc/cache/files") == cache
