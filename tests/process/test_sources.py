import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.process.sources import Mask, Uniform

V = 5


def test_states_and_probabilities():
    for source, states in ((Mask(V), V + 1), (Uniform(V), V)):
        p_0 = source.probability(torch.arange(states))
        assert source.states == states
        assert_close(p_0.sum(), torch.ones(()).double())
    assert Mask(V).probability(torch.arange(V + 1)).tolist() == [0] * V + [1]


@given(st.floats(0, 1, exclude_max=True))
def test_draws_are_states(u):
    u = torch.tensor([u]).double()
    assert Mask(V).draw(u) == V
    assert Uniform(V).draw(u) == math.floor(u * V)
    assert 0 <= Uniform(V).draw(u) < V


def test_noised_positions():
    x_t = torch.tensor([[V, 0, V], [1, 2, 3]])
    assert Mask(V).noised(x_t).tolist() == [[True, False, True], [False] * 3]
    assert Uniform(V).noised(x_t).all()


def test_evidence_is_the_log_odds_of_the_likelihood():
    """(1.4): w(x_t)/w(y) = 1 + V α/(1 − α) under the uniform source; an M says nothing."""
    alpha = torch.linspace(0, 0.999, 30, dtype=torch.float64)
    ratio = (alpha + (1 - alpha) / V) / ((1 - alpha) / V)
    assert_close(Uniform(V).evidence(alpha), ratio.log())
    assert (Mask(V).evidence(alpha) == 0).all()
    assert Uniform(V).evidence(torch.ones(1).double()) == math.inf


@pytest.mark.parametrize("kind", [Mask, Uniform])
def test_an_alphabet_of_one_is_refused(kind):
    with pytest.raises(InputError, match=r"source\.vocabulary .*1"):
        kind(1)
