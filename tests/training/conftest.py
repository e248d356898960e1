import multiprocessing

import pytest


@pytest.fixture(scope="session")
def processes():
    """Real processes that start quickly: a server imports torch once and forks."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch._dynamo", "torch.nn.parallel", "safetensors.torch"])
    return context
