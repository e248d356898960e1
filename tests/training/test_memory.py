import resource
import sys

import pytest
import torch

from tcsm.training.memory import keep_freed


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_memory_of_freed_tensors_is_used_again_without_page_faults():
    keep_freed()

    def step():
        parts = [torch.ones(2**20) for _ in range(16)]
        return sum(part[0] for part in parts)

    step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        step()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < 16 * 1024  # less than one touch of each page, of five
