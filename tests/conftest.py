"""Shared by all tests: one thread, one seed, small property tests without deadlines."""

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("tcsm", max_examples=25, deadline=None, derandomize=True)
settings.load_profile("tcsm")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)
