import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.noise import Noise, batch_noise
from tcsm.process.corruption import CountSampling, TimeSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Cosine, Linear
from tcsm.process.sources import Mask, Uniform

V, L, B = 4, 6, 12
DATA = torch.arange(B * L).view(B, L) % V
MASKED, NOISED = Path(Mask(V), Cosine()), Path(Uniform(V), Linear())


@pytest.mark.parametrize(
    "corruption",
    [TimeSampling(MASKED), TimeSampling(NOISED, 0.1), CountSampling(MASKED)],
    ids=["time", "uniform", "count"],
)
@given(seed=st.integers(0, 10**6))
def test_what_every_corruption_keeps(corruption, seed):
    noise = batch_noise(seed, 0, B)
    drawn = corruption(DATA, noise)
    source = corruption.path.source
    assert torch.equal(drawn.noised, source.noised(drawn.x_t))
    if isinstance(source, Mask):
        assert torch.equal(drawn.x_t[~drawn.noised], DATA[~drawn.noised])
    assert ((drawn.x_t >= 0) & (drawn.x_t < source.states)).all()
    assert torch.equal(corruption(DATA, noise).x_t, drawn.x_t)
    halves = [corruption(DATA[i::2], Noise(seed, 0, noise.ids[i::2], B)) for i in (0, 1)]
    for i, half in enumerate(halves):
        assert torch.equal(half.x_t, drawn.x_t[i::2])
        assert torch.equal(half.omega, drawn.omega[i::2])


def test_times_are_stratified_and_weighed_by_kappa():
    drawn = TimeSampling(MASKED, 0.2)(DATA, batch_noise(0, 0, B))
    assert (drawn.t / 0.8 * B).floor().tolist() == list(range(B))
    assert_close(drawn.omega, MASKED.schedule.kappa(drawn.t))


@given(seed=st.integers(0, 10**6))
def test_counts_are_stratified_and_weighed_by_their_inverse(seed):
    drawn = CountSampling(MASKED)(DATA, batch_noise(seed, 0, B))
    counts = drawn.noised.sum(-1)
    assert counts.tolist() == [1 + i // 2 for i in range(B)]  # B = 2L: every count twice
    assert_close(drawn.omega, L / counts.double())
    assert_close(MASKED.alpha(drawn.t), 1 - counts.double() / L, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    "corruption",
    [TimeSampling(MASKED), TimeSampling(NOISED, 0.1), CountSampling(MASKED)],
    ids=["time", "uniform", "count"],
)
def test_padding_is_never_noised_and_text_is_as_without(corruption):
    """Row by row: the text's own noise, time and weight, whatever follows it."""
    lengths = 1 + torch.arange(B) % L
    real = torch.arange(L) < lengths[:, None]
    noise = batch_noise(3, 1, B)
    drawn = corruption(DATA, noise, real)
    assert not drawn.noised[~real].any()
    assert drawn.x_t[~real].equal(DATA[~real])
    assert drawn.lengths().tolist() == lengths.tolist()
    assert drawn.noised_share() == pytest.approx(float(drawn.noised[real].double().mean()))
    for row, length in enumerate(lengths.tolist()):
        alone = corruption(DATA[row : row + 1, :length], Noise(3, 1, noise.ids[row : row + 1], B))
        assert drawn.x_t[row, :length].equal(alone.x_t[0])
        assert drawn.noised[row, :length].equal(alone.noised[0])
        assert (drawn.t[row], drawn.omega[row]) == (alone.t[0], alone.omega[0])


def test_subsets_of_a_size_are_equally_likely():
    count = 6000
    drawn = CountSampling(MASKED)(torch.zeros(count, 4).long(), batch_noise(0, 0, count))
    for size in (1, 2, 3):
        chosen = drawn.noised[drawn.noised.sum(-1) == size]
        codes = (chosen * 2 ** torch.arange(4)).sum(-1)
        subsets = [sum(2**i for i in c) for c in itertools.combinations(range(4), size)]
        seen = codes.bincount(minlength=16)[subsets].double()
        expected = len(chosen) / len(subsets)
        chi_square = ((seen - expected) ** 2 / expected).sum()
        assert seen.sum() == len(chosen) == count / 4
        assert chi_square < 25  # at most 5 degrees of freedom: exceeded with p < 2·10⁻⁴


def test_time_and_count_agree_on_the_bound_they_weigh():
    """Under either weight the expected weighted number of noised positions is L."""
    count = 20000
    x_1 = torch.zeros(count, 3).long()
    by_count = CountSampling(MASKED)(x_1, batch_noise(0, 0, count))
    assert_close((by_count.omega * by_count.noised.sum(-1)).mean(), torch.tensor(3.0).double())
    by_time = TimeSampling(Path(Mask(V), Linear()))(x_1, batch_noise(0, 0, count))
    actual = (by_time.omega * by_time.noised.sum(-1)).mean()
    # The variance is 3 ∫ 1/(1−t) dt + 6 − 9 < 18 with ε = 10⁻³: five standard errors.
    assert abs(actual - 3) < 5 * (18 / count) ** 0.5


def test_positions_are_row_major_and_sliced_together():
    drawn = CountSampling(MASKED)(DATA, batch_noise(0, 0, B))
    positions = drawn.positions()
    row = drawn.noised.nonzero()[:, 0]
    assert torch.equal(positions.x_1, DATA[drawn.noised])
    assert torch.equal(positions.x_t, torch.full_like(row, V))
    assert torch.equal(positions.t, drawn.t[row])
    assert positions[3:5].index == range(3, 5)
    assert torch.equal(positions[3:5].t, positions.t[3:5])


def test_refusals():
    with pytest.raises(InputError, match=r"corruption\.epsilon must lie in \[0, 1\), found 1\.0"):
        TimeSampling(MASKED, 1.0)
    with pytest.raises(InputError, match="needs the Mask source, found Uniform"):
        CountSampling(NOISED)
