"""One x_t for two sequences: what it may show, and its distribution."""

from collections import Counter
from itertools import combinations
from math import comb

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tcsm.errors import InputError
from tcsm.noise import batch_noise
from tcsm.process.corruption import CountSampling, TimeSampling
from tcsm.process.pairs import SharedCorruption, halves
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask, Uniform
from tests.enumeration import kernel

V, L, DRAWS = 3, 4, 40_000
WINNER, LOSER = torch.tensor([0, 1, 2, 2]), torch.tensor([0, 2, 2, 1])
MASKED = SharedCorruption(CountSampling(Path(Mask(V), Linear())))
NOISED = SharedCorruption(TimeSampling(Path(Uniform(V), Linear()), epsilon=0.0))


def found_distribution(distribution, winner, loser):
    """Frequencies of x_t, and the drawn pair."""
    pair = distribution(
        winner.expand(DRAWS, -1), loser.expand(DRAWS, -1), batch_noise(5, 0, DRAWS)
    )
    counts = Counter(map(tuple, pair[0].x_t.tolist()))
    return {x_t: count / DRAWS for x_t, count in counts.items()}, pair


def distance(found, expected):
    return sum(abs(found.get(x, 0) - expected.get(x, 0)) for x in found.keys() | expected) / 2


def test_masks_hide_all_that_differs_and_a_random_part_of_the_rest():
    """By enumeration: n uniform on {1 … L}, a subset of that size, and positions 1 and 3."""
    expected = Counter()
    for n in range(1, L + 1):
        for subset in combinations(range(L), n):
            hidden = {1, 3, *subset}
            x_t = tuple(V if i in hidden else int(WINNER[i]) for i in range(L))
            expected[x_t] += 1 / (L * comb(L, n))
    actual, _ = found_distribution(MASKED, WINNER, LOSER)
    assert distance(actual, expected) < 0.01
    assert actual == found_distribution(MASKED, LOSER, WINNER)[0]


@pytest.mark.parametrize("swapped", [False, True])
def test_of_two_lengths_the_longer_is_noised_and_the_shorter_is_not_told(swapped):
    """By enumeration over the two positions of the longer, of which the shorter has one."""
    real = [
        torch.tensor(text) for text in ([True, True, False, False], [True, False, False, False])
    ]
    texts = [torch.tensor([0, 1, 2, 2]), torch.tensor([0, 2, 2, 2])]
    if swapped:
        real, texts = real[::-1], texts[::-1]
    expected = {(V, V, 2, 2): 3 / 4, (0, V, 2, 2): 1 / 4}
    padding = tuple(part.expand(DRAWS, -1) for part in real)
    rows = (text.expand(DRAWS, -1) for text in texts)
    pair = MASKED(*rows, batch_noise(5, 0, DRAWS), padding)
    counts = Counter(map(tuple, pair[0].x_t.tolist()))
    assert distance({x_t: count / DRAWS for x_t, count in counts.items()}, expected) < 0.01
    for one, text in zip(pair, padding, strict=True):
        assert one.noised.equal((one.x_t == V) & text)
        assert one.lengths().tolist() == text.sum(-1).tolist()


def test_uniform_noise_is_on_either_by_a_fair_coin():
    """By enumeration: ∫ dt of ½ p_{t|1}(x_t | w) + ½ p_{t|1}(x_t | l), polynomials of degree L."""
    node, weight = np.polynomial.legendre.leggauss(L)
    expected = Counter()
    for x_t in np.indices((V,) * L).reshape(L, -1).T:
        for x, share in ((WINNER, 0.5), (LOSER, 0.5)):
            for a, w in zip((node + 1) / 2, weight / 2, strict=True):
                chance = np.prod(kernel(a, V, masked=False)[x.numpy(), x_t])
                expected[tuple(x_t.tolist())] += share * w * chance
    actual, (winner, _) = found_distribution(NOISED, WINNER, LOSER)
    assert distance(actual, expected) < 0.02
    assert distance(found_distribution(NOISED, LOSER, WINNER)[0], expected) < 0.02
    assert winner.noised.all()


@given(
    st.lists(st.tuples(st.integers(0, V - 1), st.integers(0, V - 1)), min_size=1, max_size=8),
    st.integers(0, 99),
)
def test_whatever_is_shown_is_possible_under_both(pairs, step):
    winner, loser = torch.tensor(pairs).T[:, None]
    for distribution in (MASKED, NOISED):
        first, second = distribution(winner, loser, batch_noise(0, step, 1))
        assert (first.x_1 == winner).all()
        assert (second.x_1 == loser).all()
        assert first.x_t is second.x_t
        assert first.noised is second.noised
        alpha = distribution.corruption.path.alpha(first.t)[:, None].expand(winner.shape)
        likelihood = distribution.corruption.path.log_likelihood(first.x_t, alpha).exp()
        for x in (winner, loser):
            assert (likelihood.gather(-1, x[..., None]) > 0).all()


def test_rows_are_two_sequences():
    first, second = halves(torch.arange(12).view(2, 6), 3)
    assert first.tolist() == [[0, 1, 2], [6, 7, 8]]
    assert second.tolist() == [[3, 4, 5], [9, 10, 11]]
    with pytest.raises(InputError, match=r"a row of 8 tokens, .*, found 6; set batches"):
        halves(torch.zeros(2, 6, dtype=torch.int64), 4)
