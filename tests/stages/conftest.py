"""One house for all tests that only read it, with every experiment trained once."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.held import Gate
from tests.stages.house import House, make_text


def build(root: Path) -> House:
    (root / "text.txt").write_text(make_text(0, words=1500))
    house = House(root)
    house.good("prepare")
    return house


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return build(tmp_path_factory.mktemp("house"))


@pytest.fixture
def own_house(tmp_path: Path) -> House:
    """A house for a test that damages it."""
    return build(tmp_path)


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """A gate that trainings may be told of."""
    monkeypatch.setenv("TCSM_TARGETS", "tests")
    return Gate(tmp_path / "gate")


@pytest.fixture(scope="session")
def trained(house: House) -> Callable[[str], Path]:
    """The folder of an experiment that was trained, evaluated and sampled, once for all tests."""

    @cache
    def folder(experiment: str) -> Path:
        wanted = house.config(experiment).needs
        needs = [f"{key}={folder(run)}" for key, run in wanted.items() if run]
        for stage in ("train", "evaluate", "sample"):
            house.good(stage, f"experiment={experiment}", *needs, name=experiment)
        return house.root / experiment

    return folder
