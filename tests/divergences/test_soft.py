"""Soft divergences against their definitions in plain probabilities, and their shape in p."""

import math

import pytest
import torch
from torch.testing import assert_close

from tcsm.divergences import bregman, soft
from tcsm.divergences import scoring_rules as scoring
from tcsm.errors import InputError

V = 4
FORMULAS = {
    "kl": (soft.ForwardKL(), lambda p, q: (p * (p / q).log()).sum()),
    "gkl": (soft.GeneralizedKL(), lambda p, q: (p * (p / q).log() - p + q).sum()),
    "is": (soft.ItakuraSaito(), lambda p, q: (p / q - (p / q).log() - 1).sum()),
    "brier": (soft.Brier(), lambda p, q: ((p - q) ** 2).sum()),
    "reverse kl": (soft.ReverseKL(), lambda p, q: (q * (q / p).log()).sum()),
    "js": (
        soft.JensenShannon(),
        lambda p, q: (
            (p * (2 * p / (p + q)).log()).sum() / 2 + (q * (2 * q / (p + q)).log()).sum() / 2
        ),
    ),
    "tv": (soft.TotalVariation(1e-9), lambda p, q: (p - q).abs().sum() / 2),
    "score gkl": (
        soft.ScoreGeneralizedKL(),
        lambda p, q: by_pairs(lambda s: s * s.log() - s, p, q),
    ),
    "score bce": (
        soft.ScoreLevel(bregman.bce),
        lambda p, q: by_pairs(lambda s: s * s.log() - (1 + s) * (1 + s).log(), p, q),
    ),
    "score lsif": (
        soft.ScoreLevel(bregman.lsif),
        lambda p, q: by_pairs(lambda s: (s - 1) ** 2 / 2, p, q),
    ),
    "score hellinger": (
        soft.ScoreLevel(bregman.hellinger),
        lambda p, q: by_pairs(lambda s: 2 * (s.sqrt() - 1) ** 2, p, q),
    ),
    "tsallis": (
        soft.Proper(scoring.Tsallis(1.5)),
        lambda p, q: by_slope(lambda u: (u**1.5).sum() / 0.75, p, q),
    ),
    "spherical": (
        soft.Proper(scoring.Spherical()),
        lambda p, q: by_slope(lambda u: (u**2).sum().sqrt(), p, q),
    ),
}
every = pytest.mark.parametrize("name", FORMULAS)


def by_slope(generator, u, v):
    """F(u) − F(v) − ⟨∇F(v), u − v⟩ by autograd."""
    v = v.clone().requires_grad_()
    value = generator(v)
    (slope,) = torch.autograd.grad(value, v)
    return (generator(u) - value - (slope * (u - v)).sum()).detach()


def by_pairs(generator, p, q):
    """(1/V) Σ_{x,y} p_x D_F(p_y/p_x, q_y/q_x), one pair at a time."""
    pairs = ((x, y) for x in range(V) for y in range(V))
    return sum(p[x] * by_slope(generator, p[y] / p[x], q[y] / q[x]) for x, y in pairs) / V


def distributions(seed, count=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, V, dtype=torch.float64, generator=generator).log_softmax(-1)


@every
def test_value_is_the_formulas(name):
    divergence, formula = FORMULAS[name]
    log_p, log_q = distributions(0), distributions(1)
    expected = torch.stack([formula(p, q) for p, q in zip(log_p.exp(), log_q.exp(), strict=True)])
    assert_close(divergence(log_p, log_q), expected, rtol=1e-8, atol=1e-8)


@every
def test_it_is_least_at_the_target(name):
    divergence, _ = FORMULAS[name]
    log_p, logits = distributions(2), distributions(2).requires_grad_()
    least = divergence(log_p, logits.log_softmax(-1))
    assert_close(least, torch.zeros(3).double(), atol=1e-8, rtol=0)
    (gradient,) = torch.autograd.grad(least.sum(), logits)
    assert_close(gradient, torch.zeros_like(gradient), atol=1e-9, rtol=0)
    assert (divergence(log_p, distributions(3)) > 1e-4).all()


@every
def test_linear_means_that_targets_can_be_averaged(name):
    """E_p̂ D(p̂, q) − D(E p̂, q) does not depend on q exactly where ``linear`` says so (2.5)."""
    divergence, _ = FORMULAS[name]
    first, second = distributions(4), distributions(5)
    mean = torch.logaddexp(first, second) - math.log(2)

    def gap(log_q):
        return (divergence(first, log_q) + divergence(second, log_q)) / 2 - divergence(mean, log_q)

    moved = (gap(distributions(6)) - gap(distributions(7))).abs()
    assert (moved < 1e-10).all() if divergence.linear else (moved > 1e-4).all()


@every
def test_closed_form_is_autograds(name):
    divergence, _ = FORMULAS[name]
    log_p, logits = distributions(8), distributions(9).requires_grad_()
    (gradient,) = torch.autograd.grad(divergence(log_p, logits.log_softmax(-1)).sum(), logits)
    log_q = logits.detach().log_softmax(-1)
    given = divergence.closed_form(log_p.clone(), log_q.clone(), torch.empty_like(log_q))
    assert_close(given.gradient(), gradient)
    assert_close(given.loss, divergence(log_p, log_q))


@pytest.mark.parametrize(
    ("rule", "divergence"),
    [
        (scoring.KL(), soft.ForwardKL()),
        (scoring.GeneralizedKL(), soft.GeneralizedKL()),
        (scoring.ItakuraSaito(), soft.ItakuraSaito()),
        (scoring.Brier(), soft.Brier()),
    ],
    ids=lambda part: type(part).__name__,
)
def test_every_rule_is_a_divergence(rule, divergence):
    log_p, log_q = distributions(10), distributions(11)
    assert_close(soft.Proper(rule)(log_p, log_q), divergence(log_p, log_q))


def test_a_target_with_zeros():
    log_p = torch.tensor([[0.0, -math.inf, -math.inf, -math.inf]]).double()
    logits = distributions(12, 1).requires_grad_()
    for divergence in (soft.ForwardKL(), soft.JensenShannon(), soft.ReverseKL()):
        loss = divergence(log_p, logits.log_softmax(-1))
        (gradient,) = torch.autograd.grad(loss.sum(), logits)
        assert torch.isfinite(loss).all()
        assert torch.isfinite(gradient).all()
    assert_close(soft.ForwardKL()(log_p, distributions(12, 1)), -distributions(12, 1)[:, 0])
    assert torch.isinf(soft.ItakuraSaito()(log_p, distributions(12, 1))).all()


def at_zeros(divergence, log_p):
    """Value, and gradient by the logits."""
    logits = distributions(14, len(log_p)).requires_grad_()
    value = divergence(log_p, logits.log_softmax(-1))
    return value.detach(), torch.autograd.grad(value.sum(), logits)[0]


ZEROS = torch.tensor(
    [[0.0, 0.6, 0.4, 0.0], [0.0, 0.5, 0.3, 0.2], [0.0, 0.0, 1.0, 0.0]], dtype=torch.float64
)


@pytest.mark.parametrize(
    "divergence",
    [
        soft.ScoreLevel(bregman.bce),
        soft.ScoreLevel(bregman.hellinger),
        soft.ScoreLevel(bregman.Power(0.3)),
        soft.Proper(scoring.KL()),
        soft.Proper(scoring.OneVsRest()),
        soft.Proper(scoring.Tsallis(0.5)),
        soft.Proper(scoring.Brier()),
    ],
    ids=str,
)
def test_with_zeros_of_the_target_value_and_gradient_are_their_limits(divergence):
    near = ZEROS.clamp(min=1e-60)
    actual, expected = (at_zeros(divergence, p.log()) for p in (ZEROS, near))
    assert actual[0].isfinite().all()
    for one, other in zip(actual, expected, strict=True):
        assert_close(one, other, atol=1e-12, rtol=1e-12)
    if divergence == soft.Proper(scoring.KL()):
        assert_close(actual[0], soft.ForwardKL()(ZEROS.log(), distributions(14)))


@pytest.mark.parametrize(
    "divergence",
    [
        soft.ScoreLevel(bregman.generalized_kl),
        soft.ScoreLevel(bregman.lsif),
        soft.ScoreLevel(bregman.itakura_saito),
        soft.ScoreLevel(bregman.neyman),
        soft.Proper(scoring.ItakuraSaito()),
    ],
    ids=str,
)
def test_what_zeros_make_infinite_says_so_and_is_no_nan(divergence):
    value, gradient = at_zeros(divergence, ZEROS.log())
    assert (value == math.inf).all()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("of_scores", [bregman.bce, bregman.hellinger], ids=str)
def test_a_score_level_target_with_zeros_is_where_descent_ends(of_scores):
    logits = torch.zeros(3, V, dtype=torch.float64)
    for _ in range(2000):
        logits.requires_grad_()
        value = soft.ScoreLevel(of_scores)(ZEROS.log(), logits.log_softmax(-1))
        (slope,) = torch.autograd.grad(value.sum(), logits)
        logits = (logits - slope).detach()
    assert (logits.softmax(-1) - ZEROS).abs().max() < 0.01


def test_smooth_total_variation_has_a_floor():
    log_p = distributions(13)
    assert_close(soft.TotalVariation(0.01)(log_p, log_p), torch.full((3,), V * 0.005).double())


def test_fields_out_of_range_are_refused():
    with pytest.raises(InputError, match=r"soft\.epsilon .*0"):
        soft.TotalVariation(0.0)
    with pytest.raises(InputError, match=r"soft\.floor "):
        soft.ReverseKL(-math.inf)
