"""Distributions of guided decoding, all tuples of candidates enumerated."""

import itertools

import numpy as np
import pytest
import torch

from tcsm.errors import InputError
from tcsm.samplers.guidance import BestOfN, Resampling
from tests.enumeration import total_variation

P = np.array([0.1, 0.2, 0.3, 0.25, 0.15])
REWARD = np.array([1.0, -0.5, 0.3, 2.0, 0.0])
BETA = 0.7


def distribution(guide):
    """Of the text that is kept, over all n-tuples of independent candidates."""
    tuples = np.array(list(itertools.product(range(len(P)), repeat=guide.count)))
    chance = P[tuples].prod(-1)
    kept = guide.log_chances(torch.from_numpy(REWARD[tuples])).exp().numpy()
    return np.bincount(tuples.ravel(), (chance[:, None] * kept).ravel())


def tilted():
    weight = P * np.exp(REWARD / BETA)
    return weight / weight.sum()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_best_of_n_is_the_distribution_of_the_largest(count):
    below = np.array([P[r > REWARD].sum() for r in REWARD])
    expected = (below + P) ** count - below**count
    assert np.allclose(distribution(BestOfN(count)), expected)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_best_of_n_strays_no_farther_than_its_bound(count):
    """KL(distribution ‖ p) ≤ log n − (n − 1)/n."""
    actual = distribution(BestOfN(count))
    kl = (actual * np.log(actual / P)).sum()
    assert kl <= np.log(count) - (count - 1) / count + 1e-12


def test_one_candidate_carries_no_reward():
    assert np.allclose(distribution(Resampling(1, BETA)), P)


def test_resampling_tends_to_the_tilted_distribution_like_one_over_n():
    gaps = [total_variation(distribution(Resampling(n, BETA)), tilted()) for n in (1, 2, 4, 8)]
    assert gaps[0] > gaps[1] > gaps[2] > gaps[3]
    assert 0.4 < gaps[3] / gaps[2] < 0.65


def test_a_small_beta_takes_the_best():
    assert np.allclose(distribution(Resampling(3, 1e-3)), distribution(BestOfN(3)))


@pytest.mark.parametrize("guide", [BestOfN(3), Resampling(3, BETA)], ids=str)
def test_choices_follow_the_chances(guide):
    scores = torch.tensor([[0.1, 0.4, 0.3]]).double().expand(9999, -1)
    u = (torch.arange(9999).double() + 0.5) / 9999
    seen = torch.bincount(guide.choose(scores, u), minlength=3) / 9999
    assert torch.allclose(seen.double(), guide.log_chances(scores)[0].exp(), atol=2e-4)


def test_refusals():
    with pytest.raises(InputError, match=r"guide\.count .*0"):
        BestOfN(0)
    with pytest.raises(InputError, match=r"guide\.beta .*0"):
        Resampling(2, 0.0)
