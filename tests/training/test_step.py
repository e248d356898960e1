"""A training step waits for no device, compiles without breaks, and may recompute activations."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.own import Own
from benchmarks.sizes import Size
from tcsm.nets.hollow import Hollow
from tcsm.noise import batch_noise
from tcsm.process.corruption import CountSampling, TimeSampling
from tcsm.training.devices import Devices, blocks

SIZE = Size("tiny", vocabulary=27, length=16, batch=8, depth=3, dim=16, heads=2)
WAITING = ("nonzero", "_local_scalar_dense", "is_nonzero", "masked_select", "_unique", "equal")


class Waits(TorchDispatchMode):
    """Count operations whose result a host must read from a GPU."""

    def __init__(self):
        super().__init__()
        self.found = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if any(name == word or name.startswith(f"{word}_") for word in WAITING):
            self.found[name] += 1
        return func(*args, **(kwargs or {}))


def waits(corruption):
    """The waits of one step; on a CPU alone, the head's backward reads a number (`nets.head`)."""
    own = Own(SIZE, stem=3, timed=True, corruption=corruption)
    own.step(torch.randint(27, (8, 16)))
    with Waits() as mode:
        noise = batch_noise(seed=0, step=1, size=8)
        terms = own.objective(own.state.model, torch.randint(27, (8, 16)), noise)
    with Waits() as later:
        terms["loss"].backward()
        later.found.pop("_local_scalar_dense", None)
        own.state.descend()
    return mode.found + later.found


def losses(steps=6, **fields):
    """Losses of a few steps with different numbers of noised positions, and the network."""
    own = Own(SIZE, precision="fp32", stem=3)
    net = Devices("cpu", precision="fp32", **fields).wrap(own.state.model.net)
    torch.manual_seed(1)
    return [own.step(torch.randint(27, (8, 16))) for _ in range(steps)], net


def compilation(recomputed):
    """Losses with and without compilation, its graph breaks, and its graphs."""
    from torch._dynamo.utils import counters  # slow

    compiler = torch.compile
    torch.compile = lambda call: compiler(call, backend="eager")
    torch.compiler.reset()
    counters.clear()
    compiled, _ = losses(compiled=True, recomputed=recomputed)
    torch.compile = compiler
    return compiled, losses()[0], counters["graph_break"], counters["stats"]["unique_graphs"]


def facts():
    """Print all of this."""
    waited = [waits(CountSampling), waits(TimeSampling)]
    print(json.dumps([waited, [compilation(False), compilation(True)]]))


@pytest.mark.slow
def test_a_step_waits_to_count_positions_and_compiles_to_one_graph_for_all_counts():
    """In a process without run-time checks of types, which read tensors and break graphs."""
    code = "from tests.training.test_step import facts; facts()"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True)
    waited, compiled = json.loads(done.stdout)
    # The batch counts its positions for the loss, and the network for its head.
    assert waited == [{"nonzero": 2}] * 2
    for actual, plain, breaks, graphs in compiled:
        assert actual == pytest.approx(plain, abs=1e-5)
        assert not breaks
        # All blocks but the last; the last one, for the first number of positions; for any other.
        assert graphs == 3


def test_recomputed_activations_change_no_number_and_keep_less():
    (plain, net), (recomputed, lean) = losses(), losses(recomputed=True)
    assert recomputed == plain
    assert net.state_dict().keys() == lean.state_dict().keys()
    x, kept = torch.randint(28, (8, 16)), []
    for one in (net, lean):
        saved = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda part, saved=saved: saved.append(part.numel()) or part, lambda part: part
        ):
            one(x, None, x == 27)
        kept.append(sum(saved))
    assert kept[1] < kept[0] / 2


def test_blocks_of_networks():
    hollow = Hollow(vocabulary=5, dim=8, depth=2, heads=2)
    assert blocks(hollow) == [*hollow.left.blocks, *hollow.right.blocks]
    assert blocks(hollow.mixing) == [hollow.mixing]
