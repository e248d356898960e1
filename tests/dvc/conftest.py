"""A pipeline that was run once, what others pull of it, and a place that they pull from."""

from pathlib import Path

import pytest

from tests.dvc.house import Checkout, found


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A repository in which nothing was run; not to be changed."""
    return found(tmp_path_factory.mktemp("fresh") / "house")


@pytest.fixture(scope="session")
def finished(fresh: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A clone in which `dvc repro` made everything, committed; not to be changed."""
    house = fresh.clone(tmp_path_factory.mktemp("finished") / "house")
    house.dvc("repro")
    house.commit()
    return house


@pytest.fixture
def house(finished: Checkout, tmp_path: Path) -> Checkout:
    """A copy of the finished clone."""
    return finished.copy(tmp_path / "house")


@pytest.fixture(scope="session")
def pushed(finished: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to which the finished clone pushed."""
    folder = tmp_path_factory.mktemp("remote")
    house = finished.copy(tmp_path_factory.mktemp("pusher") / "house")
    house.dvc("remote", "add", "--default", "shelf", str(folder))
    house.dvc("push")
    return folder


@pytest.fixture
def second(finished: Checkout, pushed: Path, tmp_path: Path) -> Checkout:
    """A second clone whose remote is that folder; nothing is pulled."""
    clone = finished.clone(tmp_path / "second")
    clone.dvc("remote", "add", "--local", "--default", "shelf", str(pushed))
    return clone
