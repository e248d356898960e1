"""Toy houses for the tests of the workflow."""

import shutil
from pathlib import Path

import pytest

from tests.workflow.house import House, build


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A toy house whose report is made; not to be changed."""
    house = build(tmp_path_factory.mktemp("finished") / "house")
    done = house.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    return house


@pytest.fixture
def house(finished: House, tmp_path: Path) -> House:
    """A copy of the finished house."""
    return House(Path(shutil.copytree(finished.folder, tmp_path / "house", symlinks=True)))
