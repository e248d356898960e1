"""The order of the data is a pure function of (seed, step), whole, and the same for any split."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tcsm.data.batches import WindowBatches, evaluation_windows, permuted
from tcsm.errors import InputError

PINNED = [484, 316, 180, 420, 52]


def stream(size, length, batch=4, seed=0):
    return WindowBatches(np.arange(size, dtype=np.uint32), length, batch, seed)


@given(st.integers(1, 3000), st.integers(-(2**63), 2**63 - 1))
def test_permutation_is_a_bijection(size, key):
    image = permuted(torch.arange(size), size, torch.full((size,), key))
    assert image.sort().values.equal(torch.arange(size))


def test_permutation_mixes():
    size = 4096
    one, two = (permuted(torch.arange(size), size, torch.full((size,), key)) for key in (1, 2))
    assert (one == two).sum() < 10  # 1 expected of independent permutations
    assert (one.diff().abs() == 1).sum() < 15  # 2 expected
    assert abs(torch.corrcoef(torch.stack([one, torch.arange(size)]).double())[0, 1]) < 0.05


@given(st.integers(1, 40), st.integers(1, 400), st.integers(0, 5), st.integers(0, 2**62))
def test_epoch_covers_each_window_once(length, more, epoch, seed):
    batches = stream(length + more - 1, length, seed=seed)
    count = batches.windows
    starts = batches.starts(torch.arange(epoch * count, (epoch + 1) * count)).sort().values
    assert starts.diff().eq(length).all()
    assert 0 <= starts[0] < length
    assert length + more - 1 - starts[-1] >= length


def test_epochs_begin_at_all_offsets():
    batches = stream(100, 5)
    firsts = torch.arange(200) * batches.windows
    assert (batches.starts(firsts) % 5).unique().tolist() == [0, 1, 2, 3, 4]


def test_rows_are_windows_of_the_text():
    batch = stream(1000, 7).at(3)
    assert batch.tokens.dtype == torch.int64
    assert batch.tokens.diff(dim=1).eq(1).all()
    assert batch.weight.equal(torch.ones(4))
    assert (batch.step, batch.total, batch.ids.tolist()) == (3, 4, [0, 1, 2, 3])


def test_steps_follow_one_another_without_repeats():
    batches = stream(800, 8, batch=9)  # 99 windows: 11 steps an epoch
    seen = torch.cat([batches.at(step).tokens[:, 0] for step in range(11)])
    assert len(seen.unique()) == batches.windows == 99


def test_resumed_run_sees_what_the_whole_run_sees():
    whole = [stream(500, 8).at(step).tokens for step in range(40)]
    resumed = [stream(500, 8).at(step).tokens for step in range(17, 40)]
    assert all(a.equal(b) for a, b in zip(whole[17:], resumed, strict=True))


def test_order_is_the_one_of_earlier_runs():
    assert stream(500, 8).starts(torch.tensor([0, 1, 2, 61, 62])).tolist() == PINNED


def test_seeds_differ():
    assert not stream(500, 8, seed=1).at(0).tokens.equal(stream(500, 8, seed=2).at(0).tokens)


@pytest.mark.parametrize(("world", "micros"), [(1, 1), (2, 1), (1, 4), (3, 2), (2, 6), (12, 1)])
def test_parts_are_the_global_batch(world, micros):
    batches = stream(3000, 8, batch=12)
    parts = [
        batches.at(5, rank, world, micro, micros)
        for rank in range(world)
        for micro in range(micros)
    ]
    whole = batches.at(5)
    assert torch.cat([part.tokens for part in parts]).equal(whole.tokens)
    assert torch.cat([part.ids for part in parts]).equal(torch.arange(12))
    assert {part.total for part in parts} == {12}
    assert len(torch.cat([part.tokens[:, 0] for part in parts]).unique()) == 12


def test_a_batch_is_the_same_after_any_other():
    batches = stream(500, 3, batch=1000)
    forward = [batches.at(step).tokens for step in range(10)]
    for step in (9, 3, 4, 0):
        assert batches.at(step).tokens.equal(forward[step])
        assert stream(500, 3, batch=1000).at(step).tokens.equal(forward[step])
        starts = batches.starts(step * 1000 + torch.arange(1000))
        assert forward[step][:, 0].equal(torch.from_numpy(batches.tokens[starts.numpy()]).long())


def test_batch_moves():
    batch = stream(100, 5).at(0).to("meta")
    assert {batch.tokens.device.type, batch.weight.device.type, batch.ids.device.type} == {"meta"}


def test_reads_a_memory_map(tmp_path):
    np.arange(100, dtype=np.uint16).tofile(tmp_path / "raw")
    batches = WindowBatches(np.memmap(tmp_path / "raw", np.uint16, mode="r"), 5, 2, 0)
    assert batches.at(0).tokens.equal(stream(100, 5, batch=2).at(0).tokens)


def test_unusable_sizes_are_refused():
    with pytest.raises(InputError, match=r"data.length must lie in \[1, 10\].*found 11"):
        stream(10, 11)
    with pytest.raises(InputError, match=r"data.batch must be at least 1, found 0"):
        stream(10, 2, batch=0)
    with pytest.raises(InputError, match=r"data.batch must be a multiple of 8"):
        stream(100, 2, batch=12).at(0, world=2, micros=4)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 200))
def test_evaluation_windows_do_not_overlap(length, count, spare):
    tokens = np.arange(length * count + spare, dtype=np.uint16)
    windows = evaluation_windows(tokens, length, count)
    assert windows.shape == (count, length)
    assert windows.diff(dim=1).eq(1).all()
    gaps = windows[:, 0].diff()
    assert (gaps >= length).all()
    assert count < 3 or gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize(("length", "count"), [(10, 11), (101, 1), (5, 0), (0, 5)])
def test_evaluation_that_does_not_fit_is_refused(length, count):
    with pytest.raises(InputError, match=r"evaluation\.sequences = .* data\.length = "):
        evaluation_windows(np.zeros(100, dtype=np.uint8), length, count)
