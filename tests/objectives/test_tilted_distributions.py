"""Rewards as weighted data (10.2): objectives on a weighted buffer reach the tilted p exactly.

The buffer is all sequences of a small space; their distribution under the pre-trained model is
their importance, so that every expectation is a finite sum.
"""

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from tcsm.data.batch_sources import Collected, DataContext
from tcsm.data.batches import WindowBatches
from tcsm.data.buffer import Buffer
from tcsm.data.tilts import Best, Boltzmann, Even
from tcsm.divergences import bregman
from tcsm.divergences.scoring_rules import KL
from tcsm.models.factorized import Factorized, LeaveOneOut
from tcsm.neighborhoods.hamming import Hamming
from tcsm.noise import batch_noise
from tcsm.objectives.base import OpenMean, SequenceMean
from tcsm.objectives.density_ratio import DensityRatio
from tcsm.objectives.distribution import DistributionMatching
from tcsm.objectives.score_matching import ScoreMatching
from tcsm.process.corruption import CountSampling, TimeSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask, Uniform
from tests.enumeration import bayes, kernel, marginals, random_distribution, sequences
from tests.tables import Table, corrupted, loss_at

V = L = 3
ALPHA, BETA = 0.4, 0.7
PRE = random_distribution(V, L, 0)
REWARD = np.random.default_rng(1).normal(size=(V,) * L)
ALL = torch.from_numpy(sequences(V, L))
BUFFER = Buffer(ALL, torch.from_numpy(REWARD).flatten(), torch.from_numpy(PRE).flatten().log())
REFERENCE = torch.randn(L, V, generator=torch.Generator().manual_seed(2)).double()
OBJECTIVES = {
    "distribution kl": (DistributionMatching, {"scoring": KL()}),
    "score bce": (ScoreMatching, {"divergence": bregman.bce, "neighborhood": Hamming(V)}),
    "ratio bce": (DensityRatio, {"divergence": bregman.bce}),
    "ratio gkl": (DensityRatio, {"divergence": bregman.generalized_kl}),
}
SOURCES = {"mask": Mask(V), "uniform": Uniform(V)}
TILTS = {
    "boltzmann": (Boltzmann(BETA), np.exp(REWARD / BETA)),
    "best": (Best(0.3), (np.sort(REWARD.ravel())[-8] <= REWARD).astype(float)),
    "even": (Even(), np.ones_like(REWARD)),
}
objectives = pytest.mark.parametrize("name", OBJECTIVES)
sources = pytest.mark.parametrize("source", SOURCES)


def chances(path, x_t):
    """p_{t|1}(x_t | x₁) of every x₁."""
    states = torch.as_tensor(x_t).expand(len(ALL), -1)
    alpha = torch.full(states.shape, ALPHA, dtype=torch.float64)
    return path.log_likelihood(states, alpha).gather(-1, ALL[..., None]).sum((1, 2)).exp()


def gradient_at(name, path, x_t, logits, tilt):
    """By the logits, of the expected loss at one x_t of all sequences that may lie below it."""
    states, chance = torch.as_tensor(x_t).expand(len(ALL), -1), chances(path, x_t)
    weight = tilt.log_weights(BUFFER).exp() * chance
    kept = chance > 0
    times = torch.full((int(kept.sum()),), ALPHA, dtype=torch.float64)
    drawn = corrupted(path, ALL[kept], states[kept], times)
    objective, fields = OBJECTIVES[name]
    if objective is DensityRatio:
        fields = {**fields, "reference": Factorized(Table(REFERENCE), path)}
    model = Factorized(Table(logits), path)
    loss = loss_at(objective, model, drawn, weight[kept], weighting=OpenMean(), **fields)
    (actual,) = torch.autograd.grad(loss / weight[kept].mean(), model.net.logits)
    return actual


@objectives
@sources
@pytest.mark.parametrize("tilt", TILTS)
def test_the_tilted_marginals_are_stationary_at_every_state(name, source, tilt):
    path, (way, factor) = Path(SOURCES[source], Linear()), TILTS[tilt]
    matrix = kernel(ALPHA, V, source == "mask")
    tilted = PRE * factor / (PRE * factor).sum()
    zeros = torch.zeros(L, V).double()
    for x_t in sequences(path.source.states, L):
        posterior, total = bayes(tilted, x_t, matrix)
        if not (path.source.noised(torch.from_numpy(x_t)).any() and total > 0):
            continue
        truth = torch.from_numpy(marginals(posterior)).clamp(min=1e-15)
        actual = gradient_at(name, path, x_t, truth.log(), way)
        assert_close(actual, zeros, atol=1e-9, rtol=0)


@objectives
def test_the_marginals_of_the_untilted_distribution_are_not(name):
    path, x_t = Path(Mask(V), Linear()), [V, V, V]
    plain = torch.from_numpy(marginals(PRE)).log()
    assert gradient_at(name, path, x_t, plain, Boltzmann(BETA)).abs().max() > 0.01
    assert gradient_at(name, path, x_t, plain, Even()).abs().max() < 1e-9


@sources
def test_weights_do_not_depend_on_the_noise_and_are_the_change_of_its_distribution(source):
    """p^R_t(x_t) = p_t(x_t) Z_t(x_t)/Z (10.1): states of much reward come as often as they do."""
    matrix = kernel(ALPHA, V, source == "mask")
    tilted = PRE * np.exp(REWARD / BETA)
    weights = Boltzmann(BETA).log_weights(BUFFER).exp() / len(BUFFER)
    path = Path(SOURCES[source], Linear())
    for x_t in sequences(path.source.states, L):
        chance = chances(path, x_t)
        expected = bayes(tilted / tilted.sum(), x_t, matrix)[1]
        assert float((weights * chance).sum()) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("a", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("name", ["distribution kl"])
def test_batches_of_a_source_have_the_expected_gradient_of_the_weighed_buffer(name, a):
    """At a size where strata leave no error to speak of, with noise that is drawn."""
    size = 2048
    path = Path(Mask(V), Linear())
    corpus = WindowBatches(np.arange(100, dtype=np.uint8), L, size, 0)
    source = Collected(Boltzmann(BETA), resample=a).open(
        DataContext(corpus, size, L, 0, nn.Identity(), None, BUFFER)
    )
    objective, fields = OBJECTIVES[name]
    built = objective(corruption=CountSampling(path), weighting=SequenceMean(), **fields)
    tilted = torch.from_numpy(PRE * np.exp(REWARD / BETA))
    model = Factorized(Table(torch.randn(L, V, generator=torch.Generator().manual_seed(3))), path)

    def gradient(tokens, weight, step):
        loss = built(model, tokens, batch_noise(0, step, len(tokens)), weight)["loss"]
        return torch.autograd.grad(loss, model.net.logits)[0]

    fed = torch.stack([gradient((b := source.at(s)).tokens, b.weight, s) for s in range(10)])
    many = ALL.repeat(200, 1)
    exact = (tilted / tilted.sum()).flatten().repeat(200) * len(ALL)
    truth = torch.stack([gradient(many, exact, step) for step in range(10)])
    error = (fed.var(0) / 10 + truth.var(0) / 10).sqrt()
    assert ((fed.mean(0) - truth.mean(0)).abs() < 5 * error + 1e-6).all()


@pytest.mark.parametrize("name", ["distribution kl", "score bce", "ratio bce"])
@pytest.mark.parametrize("source", SOURCES)
def test_the_loss_of_a_weighed_batch_is_the_weighed_sum(name, source):
    """A sequence alone, in a batch of its own weight 0 elsewhere, is one term of the sum."""
    path = Path(SOURCES[source], Linear())
    objective, fields = OBJECTIVES[name]
    if objective is DensityRatio:
        fields = {**fields, "reference": Factorized(Table(REFERENCE), path)}
    built = objective(corruption=TimeSampling(path), weighting=OpenMean(), **fields)
    model = LeaveOneOut(Table(REFERENCE.flip(0)), path)
    tokens, noise = ALL[:8], batch_noise(0, 0, 8)
    alone = torch.stack([built(model, tokens, noise, row)["loss"] for row in torch.eye(8)])
    weight = torch.tensor([0.0, 0.5, 3.0, -1.0, 1.0, 2.0, 0.1, 7.0])
    whole = built(model, tokens, noise, weight)["loss"]
    assert_close(whole, (alone * weight).sum(), atol=1e-9, rtol=1e-6)
    assert_close(built(model, tokens, noise)["loss"], alone.sum(), atol=1e-9, rtol=1e-6)
