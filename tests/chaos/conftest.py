"""The undisturbed run, made once for all processes of the tests."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tcsm.io.lock import file_lock
from tests.chaos.house import Pipeline, build


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A pipeline that ran on two cores without a fault; not to be changed."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "chaos" / "with space"
    with file_lock(shared / "chaos.lock"):
        if not (folder.parent / "seconds").exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed
            made = build(folder)
            begun = time.monotonic()
            made.good()
            (folder.parent / "seconds").write_text(str(time.monotonic() - begun))
    return Pipeline(folder)


@pytest.fixture(scope="session")
def seconds(undisturbed: Pipeline) -> float:
    """How long the undisturbed run took."""
    return float((undisturbed.folder.parent / "seconds").read_text())


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Pipeline]:
    """Makes pipelines that have run nothing."""
    numbers = iter(range(1000))
    return lambda: build(tmp_path / f"house {next(numbers)}")


@pytest.fixture
def pipeline(undisturbed: Pipeline, tmp_path: Path) -> Pipeline:
    """A copy of the finished pipeline, to be damaged."""
    return Pipeline(Path(shutil.copytree(undisturbed.folder, tmp_path / "copy", symlinks=True)))
