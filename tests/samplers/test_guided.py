"""Laws of guided decoding, all tuples of candidates enumerated."""

import itertools

import numpy as np
import pytest
import torch

from tcsm.errors import InputError
from tcsm.samplers.guided import BestOf, Resampled
from tests.enumeration import total_variation

P = np.array([0.1, 0.2, 0.3, 0.25, 0.15])
REWARD = np.array([1.0, -0.5, 0.3, 2.0, 0.0])
BETA = 0.7


def law(guide):
    """Of the text that is kept, over all n-tuples of independent candidates."""
    tuples = np.array(list(itertools.product(range(len(P)), repeat=guide.count)))
    chance = P[tuples].prod(-1)
    kept = guide.log_chances(torch.from_numpy(REWARD[tuples])).exp().numpy()
    return np.bincount(tuples.ravel(), (chance[:, None] * kept).ravel())


def tilted():
    weight = P * np.exp(REWARD / BETA)
    return weight / weight.sum()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_best_of_n_is_the_law_of_the_largest(count):
    below = np.array([P[r > REWARD].sum() for r in REWARD])
    expected = (below + P) ** count - below**count
    assert np.allclose(law(BestOf(count)), expected)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_best_of_n_strays_no_farther_than_its_bound(count):
    """KL(law ‖ p) ≤ log n − (n − 1)/n."""
    found = law(BestOf(count))
    kl = (found * np.log(found / P)).sum()
    assert kl <= np.log(count) - (count - 1) / count + 1e-12


def test_one_candidate_carries_no_reward():
    assert np.allclose(law(Resampled(1, BETA)), P)


def test_resampling_tends_to_the_tilted_law_like_one_over_n():
    gaps = [total_variation(law(Resampled(n, BETA)), tilted()) for n in (1, 2, 4, 8)]
    assert gaps[0] > gaps[1] > gaps[2] > gaps[3]
    assert 0.4 < gaps[3] / gaps[2] < 0.65


def test_a_small_beta_takes_the_best():
    assert np.allclose(law(Resampled(3, 1e-3)), law(BestOf(3)))


@pytest.mark.parametrize("guide", [BestOf(3), Resampled(3, BETA)], ids=str)
def test_choices_follow_the_chances(guide):
    scores = torch.tensor([[0.1, 0.4, 0.3]]).double().expand(9999, -1)
    u = (torch.arange(9999).double() + 0.5) / 9999
    seen = torch.bincount(guide.choose(scores, u), minlength=3) / 9999
    assert torch.allclose(seen.double(), guide.log_chances(scores)[0].exp(), atol=2e-4)


def test_refusals():
    with pytest.raises(InputError, match=r"guide\.count must be at least 1, found 0"):
        BestOf(0)
    with pytest.raises(InputError, match=r"guide\.beta must be a positive number, found 0"):
        Resampled(2, 0.0)
