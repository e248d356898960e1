"""Score matching: its optimum, its constants, and the conditions under which it is right."""

import math

import pytest
import torch
from torch.testing import assert_close

from tcsm.divergences.bregman import (
    Power,
    bce,
    generalized_kl,
    hellinger,
    itakura_saito,
    lsif,
    neyman,
    pearson,
)
from tcsm.errors import InputError
from tcsm.models.factorized import Factorized, LeaveOneOut
from tcsm.neighborhoods.hamming import Hamming
from tcsm.objectives.base import OpenMean
from tcsm.objectives.score_matching import ScoreMatching
from tcsm.process.corruption import CountSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask, Uniform
from tests.enumeration import bayes, kernel, marginals, random_distribution, sequences
from tests.tables import Table, corrupted, loss_at

V = L = 3
ALL = torch.from_numpy(sequences(V, L))
DIVERGENCES = {
    "gkl": generalized_kl,
    "is": itakura_saito,
    "lsif": lsif,
    "pearson": pearson,
    "neyman": neyman,
    "bce": bce,
    "hellinger": hellinger,
    "power 0.3": Power(0.3),
    "power 1.5": Power(1.5),
}
every = pytest.mark.parametrize("name", DIVERGENCES)
smoothings = pytest.mark.parametrize("smoothing", [0.0, 0.05, 0.5])
SITUATIONS = {
    "mask, all open": (Mask(V), [V, V, V]),
    "mask, two open": (Mask(V), [V, 1, V]),
    "uniform": (Uniform(V), [0, 2, 2]),
}
situations = pytest.mark.parametrize("situation", SITUATIONS)
ALPHA = 0.4


def expected_loss(model, x_t, posterior, name, smoothing=0.0):
    """E_{x₁ ∼ p(·|x_t)} of the objective, x_t fixed, over all sequences of the support."""
    weight = torch.from_numpy(posterior).flatten()
    support = weight > 0
    x_1, states = ALL[support], torch.tensor(x_t).expand(int(support.sum()), -1)
    t = torch.full((len(x_1),), ALPHA, dtype=torch.float64)
    drawn = corrupted(model.path, x_1, states, t)
    fields = {
        "divergence": DIVERGENCES[name],
        "neighborhood": Hamming(V),
        "smoothing": smoothing,
        "weighting": OpenMean(),
    }
    return loss_at(ScoreMatching, model, drawn, row_weight=weight[support] * len(x_1), **fields)


def truth(situation, p_1):
    source, x_t = SITUATIONS[situation]
    matrix = kernel(ALPHA, V, isinstance(source, Mask))
    posterior, _ = bayes(p_1, torch.tensor(x_t).numpy(), matrix)
    return Path(source, Linear()), x_t, posterior, torch.from_numpy(marginals(posterior))


@every
@situations
@smoothings
def test_gradient_vanishes_at_the_marginals(name, situation, smoothing):
    """(2.5): the optimum of a factorized model is the marginals, though p is no product."""
    path, x_t, posterior, at = truth(situation, random_distribution(V, L, 0))
    model = Factorized(Table(at.clamp(min=1e-30).log()), path)
    loss = expected_loss(model, x_t, posterior, name, smoothing)
    loss.backward()
    assert_close(model.net.logits.grad, torch.zeros(L, V).double(), atol=1e-9, rtol=0)
    generator = torch.Generator().manual_seed(1)
    for _ in range(5):
        shift = torch.randn(L, V, generator=generator, dtype=torch.float64)
        other = Factorized(Table(model.net.logits.detach() + shift), path)
        assert expected_loss(other, x_t, posterior, name, smoothing) > loss


@every
@pytest.mark.parametrize("smoothing", [0.05, 0.5])
def test_smoothing_is_exact_even_where_tokens_never_occur(name, smoothing):
    """(3.7a): zeros of p are part of the optimum; without smoothing GKL is biased there (3.6)."""
    p_1 = random_distribution(V, L, 2)
    p_1[:, 2, :] = 0
    p_1[0, :, 0] = 0
    path, x_t, posterior, at = truth("mask, all open", p_1 / p_1.sum())
    assert at.min() == 0
    model = Factorized(Table(at.clamp(min=1e-15).log()), path)
    expected_loss(model, x_t, posterior, name, smoothing).backward()
    assert_close(model.net.logits.grad, torch.zeros(L, V).double(), atol=1e-8, rtol=0)


@pytest.mark.parametrize("name", ["gkl", "is"])
def test_raw_generalized_kl_drifts_where_tokens_never_occur(name):
    p_1 = random_distribution(V, L, 2)
    p_1[:, 2, :] = 0
    path, x_t, posterior, at = truth("mask, all open", p_1 / p_1.sum())
    model = Factorized(Table(at.clamp(min=1e-15).log()), path)
    expected_loss(model, x_t, posterior, name).backward()
    assert model.net.logits.grad.abs().max() > 0.01


@every
@situations
@smoothings
def test_sample_form_differs_from_the_teacher_form_by_a_constant(name, situation, smoothing):
    """(2.3): E ψ(s) = E D_F(r, s) + const, the ratios r known by enumeration."""
    path, x_t, posterior, at = truth(situation, random_distribution(V, L, 0))
    noised = path.source.noised(torch.tensor(x_t))
    mix = (1 - smoothing) * at + smoothing / V
    gaps = []
    for seed in (1, 2):
        logits = torch.randn(L, V, generator=torch.Generator().manual_seed(seed)).double()
        sample = expected_loss(Factorized(Table(logits), path), x_t, posterior, name, smoothing)
        q = (1 - smoothing) * logits.softmax(-1) + smoothing / V
        r = mix.log()[:, None] - mix.log()[:, :, None]
        s = q.log()[:, None] - q.log()[:, :, None]
        between = DIVERGENCES[name].between(r[noised], s[noised]).mean(-1)
        gaps.append(sample - (mix[noised] * between).sum(-1).mean())
    assert_close(gaps[0], gaps[1], atol=1e-10, rtol=1e-10)


def test_generalized_kl_is_kl_plus_itakura_saito():
    """(4.1), divided by V: differences between two models carry no constant."""
    path, x_t, posterior, at = truth("mask, all open", random_distribution(V, L, 0))
    values, expected = [], []
    for seed in (1, 2):
        logits = torch.randn(L, V, generator=torch.Generator().manual_seed(seed)).double()
        log_q = logits.log_softmax(-1)
        values.append(expected_loss(Factorized(Table(logits), path), x_t, posterior, "gkl"))
        kl = (at * (at.log() - log_q)).sum(-1)
        saito = (at / log_q.exp() - at.log() + log_q - 1).sum(-1)
        expected.append((kl + saito / V).mean())
    assert_close(values[0] - values[1], expected[0] - expected[1])


def test_leave_one_out_reaches_the_same_optimum():
    """With logits = log π the conditionals are the posterior's marginals (1.5)."""
    path, x_t, posterior, at = truth("uniform", random_distribution(V, L, 0))
    alpha = torch.full((L,), ALPHA, dtype=torch.float64)
    log_pi = path.leave_one_out(at.log(), torch.tensor(x_t), alpha)
    model = LeaveOneOut(Table(log_pi), path)
    expected_loss(model, x_t, posterior, "bce").backward()
    assert_close(model.net.logits.grad, torch.zeros(L, V).double(), atol=1e-9, rtol=0)


@every
def test_smoothed_loss_by_hand(name):
    """(1 − ε) ℓ(x; q̃) + (ε/V) Σ_y ℓ(y; q̃), and for GKL the closed form of (3.7a)."""
    epsilon, divergence = 0.1, DIVERGENCES[name]
    log_q = torch.randn(4, 5, dtype=torch.float64).log_softmax(-1)
    x = torch.tensor([0, 1, 2, 4])
    path = Path(Mask(5), Linear())
    drawn = corrupted(path, x[None], torch.full((1, 4), 5), torch.tensor([0.5]))
    objective = ScoreMatching(
        corruption=CountSampling(path),
        weighting=OpenMean(),
        divergence=divergence,
        neighborhood=Hamming(5),
        smoothing=epsilon,
    )
    actual = objective.position_loss(drawn, 0)(log_q, drawn.positions())
    q = (1 - epsilon) * log_q.exp() + epsilon / 5
    label = (1 - epsilon) * torch.eye(5).double()[x] + epsilon / 5
    pairs = divergence.pair(q.log()[:, None] - q.log()[:, :, None]).mean(-1)
    assert_close(actual, (label * pairs).sum(-1))
    if name == "gkl":
        at, every_log = q.log().gather(-1, x[:, None])[:, 0], q.log()
        closed = (1 - epsilon) * (-at + (-at).exp() / 5 + every_log.mean(-1) - 1)
        assert_close(actual, closed + epsilon * ((-every_log).exp().mean(-1) / 5 - 1))


def test_smoothed_generalized_kl_has_bounded_gradients():
    """1/(V q̃_x) ≤ 1/ε: the raw gradient explodes like 1/q_x, the smoothed one does not."""
    path, sizes = Path(Mask(V), Linear()), {}
    drawn = corrupted(path, torch.zeros(1, 1).long(), torch.tensor([[V]]), torch.tensor([0.5]))
    for smoothing in (0.0, 0.05):
        model = Factorized(Table(torch.tensor([[-30.0, 0.0, 0.0]])), path)
        fields = {"divergence": generalized_kl, "neighborhood": Hamming(V)}
        loss = loss_at(
            ScoreMatching, model, drawn, weighting=OpenMean(), smoothing=smoothing, **fields
        )
        loss.backward()
        sizes[smoothing] = model.net.logits.grad.abs().max()
    assert sizes[0.0] > math.exp(25)
    assert sizes[0.05] < 2 / 0.05


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_refusals(smoothing):
    corruption = CountSampling(Path(Mask(V), Linear()))

    class Directed(Hamming):
        symmetric = False

    with pytest.raises(InputError, match=r"objective\.smoothing must lie in \[0, 1\)"):
        ScoreMatching(
            corruption=corruption,
            weighting=OpenMean(),
            divergence=bce,
            neighborhood=Hamming(V),
            smoothing=smoothing,
        )
    with pytest.raises(InputError, match="symmetric neighborhood, Directed is not"):
        ScoreMatching(
            corruption=corruption,
            weighting=OpenMean(),
            divergence=bce,
            neighborhood=Directed(V),
        )
