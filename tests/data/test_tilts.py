"""Weights from rewards, by their definitions."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tcsm.data.buffer import Buffer, unweighted
from tcsm.data.tilts import Best, Boltzmann, Even, kl_of_weights, relative_ess, suggested_beta
from tcsm.errors import InputError

REWARDS = st.lists(st.floats(-30, 30), min_size=1, max_size=20)
TILTS = [Boltzmann(0.5), Boltzmann(1e-3), Boltzmann(1e6), Best(0.3), Best(1.0), Even()]


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


def buffer(reward, log_weight=None):
    reward = vector(*reward)
    tokens = torch.zeros(len(reward), 1, dtype=torch.int64)
    actual = unweighted(tokens, reward)
    return actual if log_weight is None else Buffer(tokens, reward, vector(*log_weight))


@pytest.mark.parametrize("tilt", TILTS, ids=lambda tilt: type(tilt).__name__)
@given(reward=REWARDS, data=st.data())
def test_weights_have_mean_one(tilt, reward, data):
    size = len(reward)
    log_weight = data.draw(st.lists(st.floats(-9, 9), min_size=size, max_size=size))
    weights = tilt.log_weights(buffer(reward, log_weight)).exp()
    assert float(weights.mean()) == pytest.approx(1)
    assert 1 / size - 1e-9 <= relative_ess(weights.log()) <= 1 + 1e-9


def test_boltzmann_weights_are_the_tilt_times_the_importance():
    actual = Boltzmann(0.7).log_weights(buffer([0.3, -1.0, 2.0], [0.1, 0.5, -0.2])).exp()
    plain = [math.exp(w + r / 0.7) for r, w in ((0.3, 0.1), (-1.0, 0.5), (2.0, -0.2))]
    assert actual.tolist() == pytest.approx([3 * each / sum(plain) for each in plain])


@pytest.mark.parametrize(
    ("share", "reward", "kept"),
    [
        (0.5, [1, 4, 2, 3], [0, 1, 0, 1]),
        (0.5, [3, 4, 3, 3], [1, 1, 1, 1]),  # equal ones are in together
        (0.25, [3, 4, 4, 3], [0, 1, 1, 0]),
        (0.01, [1, 2, 0], [0, 1, 0]),  # somebody always is
        (1.0, [1, 2, 0], [1, 1, 1]),
    ],
)
def test_the_best_share_is_kept_and_ties_with_it(share, reward, kept):
    actual = Best(share).log_weights(buffer(reward)).exp()
    assert actual.tolist() == pytest.approx([each * len(kept) / sum(kept) for each in kept])


def test_the_best_count_for_their_importance():
    actual = Best(0.5).log_weights(buffer([1, 2, 3, 0], [0, math.log(3), 0, 5])).exp()
    assert actual.tolist() == pytest.approx([0, 3, 1, 0])


def test_even_weights_are_the_importance_alone():
    actual = Even().log_weights(buffer([5, -5], [math.log(3), 0])).exp()
    assert actual.tolist() == pytest.approx([1.5, 0.5])


@pytest.mark.parametrize("beta", [0.0, -1.0, math.nan, math.inf])
def test_a_beta_that_tilts_nothing_is_refused(beta):
    with pytest.raises(InputError, match=r"tilt\.beta "):
        Boltzmann(beta)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, math.nan])
def test_an_empty_share_is_refused(share):
    with pytest.raises(InputError, match=r"tilt\.share must lie in \(0, 1\], found"):
        Best(share)


def test_sample_size_is_that_of_its_formula():
    weights = vector(0.1, 0.2, 0.7, 2.0)
    expected = float(weights.sum() ** 2 / weights.square().sum()) / 4
    assert relative_ess(weights.log()) == pytest.approx(expected)
    assert relative_ess(weights.log() + 900) == pytest.approx(expected)  # of any scale
    assert relative_ess(torch.zeros(5).double()) == pytest.approx(1)
    assert relative_ess(vector(0, -torch.inf, -torch.inf)) == pytest.approx(1 / 3)


def test_for_a_normal_reward_the_sample_size_falls_as_theory_says():
    """ESS = exp(−σ²/β²), so that a tenth is left at β = 0.66 σ."""
    reward = torch.special.ndtri((torch.arange(100_000).double() + 0.5) / 100_000)
    for beta in (1.0, 0.66):
        assert relative_ess(reward / beta) == pytest.approx(math.exp(-(beta**-2)), rel=0.05)


def test_divergence_is_that_of_the_weighted_distributions():
    log_w, log_base = vector(0.3, -0.4, 1.0), vector(0.0, 1.0, -1.0)
    p, q = log_w.softmax(0), log_base.softmax(0)
    assert kl_of_weights(log_w, log_base) == pytest.approx(float((p * (p / q).log()).sum()))
    assert kl_of_weights(log_w) == pytest.approx(float((p * (3 * p).log()).sum()))
    assert kl_of_weights(vector(0, 0, -torch.inf, -torch.inf)) == pytest.approx(math.log(2))
    assert kl_of_weights(log_w + 9, log_w - 9) == pytest.approx(0)


def test_divergence_of_a_weighed_buffer_estimates_that_of_the_tilted_distribution():
    """All sequences of a space as the buffer, their distribution as importance."""
    p = torch.rand(16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    reward = torch.arange(16).double() / 4
    log_p = (p / p.sum()).log()
    weighed = Buffer(torch.zeros(16, 1, dtype=torch.int64), reward, log_p)
    tilted = (log_p + reward / 0.8).softmax(0)
    truth = float((tilted * (tilted.log() - log_p)).sum())
    assert kl_of_weights(Boltzmann(0.8).log_weights(weighed), log_p) == pytest.approx(truth)


def test_stages_tilt_as_far_as_the_sum_of_their_inverse_betas():
    """(10.5): p e^{R/β₁} drawn anew and tilted by e^{R/β₂} is p e^{R/β}, 1/β = 1/β₁ + 1/β₂."""
    reward, distribution = [0.3, -1.0, 2.0, 0.5], [0.1, -0.4, 0.0, 0.7]
    stage = Boltzmann(2.0).log_weights(buffer(reward, distribution))
    twice = Boltzmann(3.0).log_weights(buffer(reward, stage.tolist()))
    assert twice.tolist() == pytest.approx(
        Boltzmann(1.2).log_weights(buffer(reward, distribution)).tolist()
    )


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e5])
@pytest.mark.parametrize("log_weight", [None, [0.3 * (i % 3) for i in range(60)]])
def test_a_suggested_beta_leaves_the_share_in_any_unit(unit, log_weight):
    drawn = buffer([unit * math.sin(i) for i in range(60)], log_weight)
    left = relative_ess(Boltzmann(suggested_beta(drawn, 0.3)).log_weights(drawn))
    assert left == pytest.approx(0.3 * relative_ess(drawn.log_weight), rel=0.05)


@pytest.mark.parametrize("reward", [[2.0] * 5, [1.0, 1.0, 0.0], [4.0]])
def test_no_beta_is_suggested_where_each_leaves_the_share(reward):
    assert suggested_beta(buffer(reward), 0.3) is None
