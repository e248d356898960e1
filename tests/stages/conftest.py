"""Every test has a house of its own; text, data and trained runs are made once, and only read."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.held import Gate
from tests.stages.house import House, make_text


def build(root: Path) -> House:
    """A house with a text of its own."""
    root.mkdir(exist_ok=True)
    (root / "text.txt").write_text(make_text(0, words=1500))
    return House(root)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The text, the data and the trained runs that all tests read."""
    house = build(tmp_path_factory.mktemp("shared"))
    house.good("prepare")
    return house


@pytest.fixture
def house(shared: House, tmp_path: Path) -> Iterator[House]:
    """A house for the runs of one test."""
    before = stamps(shared)
    yield House(tmp_path / "house", shared.root)
    after = stamps(shared)
    assert {path: after.get(path) for path in before} == before


@pytest.fixture(scope="module")
def file_house(shared: House, tmp_path_factory: pytest.TempPathFactory) -> House:
    """A house for the runs that the tests of one file only read."""
    return House(tmp_path_factory.mktemp("file"), shared.root)


@pytest.fixture
def own_house(tmp_path: Path) -> House:
    """A house for a test that writes text or data; nothing is prepared."""
    return build(tmp_path / "house")


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """A gate that trainings may be told of."""
    monkeypatch.setenv("TCSM_TARGETS", "tests")
    return Gate(tmp_path / "gate")


@pytest.fixture(scope="session")
def trained(shared: House) -> Callable[[str], Path]:
    """The folder of an experiment's run, which a test that writes copies (``house.copy``)."""

    @cache
    def folder(experiment: str) -> Path:
        wanted = shared.config(experiment).needs
        needs = [f"{key}={folder(run)}" for key, run in wanted.items() if run]
        return shared.good(
            "train", f"experiment={experiment}", *needs, name=f"trained/{experiment}"
        )

    return folder


@pytest.fixture(scope="session")
def finished(shared: House, trained: Callable[[str], Path]) -> Callable[[str], Path]:
    """The same run, evaluated and sampled."""

    @cache
    def folder(experiment: str) -> Path:
        name = f"finished/{experiment}"
        shared.copy(trained(experiment), name)
        for stage in ("evaluate", "sample"):
            shared.good(stage, name=name)
        return shared.root / name

    return folder


def stamps(house: House) -> dict[Path, int]:
    """When each file was last written."""
    return {path: path.stat().st_mtime_ns for path in house.root.rglob("*") if path.is_file()}
