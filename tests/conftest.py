"""Shared by all tests: one thread, one seed, small property tests without deadlines.

Types and shapes are checked in the first calls of each test alone: in a loop of many steps the
checks would take as long as the rest.
"""

from pathlib import Path
from typing import Any

import jaxtyping
import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("tcsm", max_examples=25, deadline=None, derandomize=True)
settings.load_profile("tcsm")

# Folders that share trained runs: one process has all their tests, with pytest -n 2.
# They begin in this order, before other files, or the longest of them would be waited for.
TOGETHER = ("slurm", "dvc", "workflow", "chaos", "stages", "reporting")
SLOW = ("slurm", "dvc", "chaos")

CHECKED = 1000  # calls of each test


class FirstCalls(type(jaxtyping.config)):
    """Settings of jaxtyping that end its checks after some calls; every call asks them once."""

    calls = 0

    @property
    def jaxtyping_disable(self) -> bool:
        """Whether a call goes unchecked."""
        self.calls += 1
        return self.calls > CHECKED


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Check calls again."""
    vars(jaxtyping.config).pop("jaxtyping_disable", None)
    jaxtyping.config.__class__ = FirstCalls
    jaxtyping.config.calls = 0


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give a process whole files, or such folders; xdist's own groups do nothing in pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class Whole(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            folder = Path(file).parent.name
            return folder if folder in TOGETHER else file

    config.option.loadscopereorder = False  # the order is that of the tests
    return Whole(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with these folders, then with files that have slow tests."""
    slow_files = set()
    for item in items:
        if item.path.parent.name in SLOW:
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("slow"):
            slow_files.add(item.path)

    def rank(item: pytest.Item) -> tuple[int, bool]:
        folder = item.path.parent.name
        place = TOGETHER.index(folder) if folder in TOGETHER else len(TOGETHER)
        return place, item.path not in slow_files

    items.sort(key=rank)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)
