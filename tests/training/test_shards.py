"""State in parts: each process keeps its own, and a damaged part is nobody's state."""

import pytest
import torch

from tests.held import PATIENCE
from tests.training.test_devices import meeting
from tests.training.toy import make_optim, run_shards, train

OPTIM = {"steps": 12, "checkpoint_every": 4}


@pytest.fixture
def together(processes, tmp_path):
    """Runs two ranks to an end and returns what they leave."""

    def run(last, damage=None):
        store, outs = meeting(), [tmp_path / f"{rank}.pt" for rank in (0, 1)]
        given = [(store.port, tmp_path / "scratch", outs[rank], last, damage) for rank in (0, 1)]
        children = [
            processes.Process(target=run_shards, args=(rank, *args))
            for rank, args in enumerate(given)
        ]
        for child in children:
            child.start()
        for child in children:
            child.join(PATIENCE)
        assert [child.exitcode for child in children] == [0, 0]
        return [torch.load(out) for out in outs]

    return run


@pytest.mark.slow
def test_parts_are_taken_up(together, tmp_path):
    """Step 4 was saved, step 6 was the last one."""
    single, _ = train(make_optim(**OPTIM), dtype=torch.float64)
    assert [begun for begun, *_ in together(last=6)] == [0, 0]
    names = sorted(path.name for path in (tmp_path / "scratch").glob("state*"))
    assert names == ["state-4-0.safetensors", "state-4-1.safetensors", "state.safetensors"]
    (begun, weights, parts), (_, same, others) = together(last=12)
    assert begun == 4
    for name, expected in single.weights().items():
        torch.testing.assert_close(weights[name], expected, rtol=0, atol=1e-12)
        assert torch.equal(weights[name], same[name])
    whole = single.tensors()["optimizer.embed.weight.exp_avg"]
    halves = [some["optimizer.embed.weight.exp_avg"] for some in (parts, others)]
    assert all(len(half) < len(whole) for half in halves)
    torch.testing.assert_close(torch.cat(halves), whole, rtol=0, atol=1e-12)


@pytest.mark.slow
def test_what_one_cannot_read_none_takes_up(together):
    together(last=6)
    assert [begun for begun, *_ in together(last=8, damage="state-4-1.safetensors")] == [0, 0]
