"""Shared by all tests: one thread, one seed, small property tests without deadlines."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("tcsm", max_examples=25, deadline=None, derandomize=True)
settings.load_profile("tcsm")

# Folders whose fixtures take minutes: one process has them all, with pytest -n 2 --dist loadgroup.
TOGETHER = ("chaos", "dvc", "slurm", "workflow")


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Keep the tests of a file, or of such a folder, in one process; mark these folders slow."""
    for item in items:
        folder = item.path.parent.name
        file = item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(folder if folder in TOGETHER else file))
        if folder in TOGETHER[:3]:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)
