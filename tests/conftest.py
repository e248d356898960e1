"""Shared by all tests: one thread, small property tests without deadlines."""

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("tcsm", max_examples=25, deadline=None, derandomize=True)
settings.load_profile("tcsm")
