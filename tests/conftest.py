"""Shared by all tests: one thread, one seed, small property tests without deadlines."""

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("tcsm", max_examples=25, deadline=None, derandomize=True)
settings.load_profile("tcsm")

# Folders whose fixtures take minutes: one process has them all, with pytest -n 2 --dist loadgroup.
# They begin in this order, before other files, or the longest of them would be waited for.
TOGETHER = ("slurm", "dvc", "workflow", "chaos", "reporting")
SLOW = ("slurm", "dvc", "chaos")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests of a file, or of such a folder, in one process, and begin with the slow ones."""
    slow_files = set()
    for item in items:
        folder = item.path.parent.name
        group = folder if folder in TOGETHER else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
        if folder in SLOW:
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
