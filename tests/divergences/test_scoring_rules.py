import math

import pytest
import torch
from torch.testing import assert_close

from tcsm.divergences.scoring_rules import (
    KL,
    Brier,
    GeneralizedKL,
    ItakuraSaito,
    OneVsRest,
    ScoringRule,
    Spherical,
    Tsallis,
)
from tcsm.errors import InputError

# The rules and their F of (5.1).
RULES = {
    "kl": (KL(), lambda q: (q * q.log()).sum(-1)),
    "gkl": (GeneralizedKL(), lambda q: (q * q.log() - q).sum(-1)),
    "is": (ItakuraSaito(), lambda q: -q.log().sum(-1)),
    "brier": (Brier(), lambda q: (q**2).sum(-1)),
    "spherical": (Spherical(), lambda q: (q**2).sum(-1).sqrt()),
    "tsallis 1.5": (Tsallis(1.5), lambda q: (q**1.5).sum(-1) / 0.75),
    "tsallis 0.5": (Tsallis(0.5), lambda q: (q**0.5).sum(-1) / -0.25),
    "tsallis 3": (Tsallis(3.0), lambda q: (q**3).sum(-1) / 6),
    "ovr": (OneVsRest(), lambda q: (q * q.log() + (1 - q) * (1 - q).log()).sum(-1)),
}
every = pytest.mark.parametrize("name", RULES)
V = 4


def distributions(seed, count=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, V, dtype=torch.float64, generator=generator).log_softmax(-1)


def all_labels(rule, log_q):
    """ℓ(y; q) for every y, (n, V)."""
    labels = [torch.full((len(log_q),), y) for y in range(V)]
    return torch.stack([rule(log_q, label) for label in labels], -1)


@every
def test_is_savages_form_of_its_generator(name):
    rule, generator = RULES[name]
    q = distributions(0).exp().requires_grad_()
    value = generator(q)
    (slope,) = torch.autograd.grad(value.sum(), q)
    savage = (-value + (slope * q).sum(-1))[:, None] - slope
    assert_close(all_labels(rule, distributions(0)), savage.detach())


@every
def test_expectation_is_a_bregman_divergence_hence_proper(name):
    rule, generator = RULES[name]
    p, q = distributions(1), distributions(2)
    grown = q.exp().requires_grad_()
    value = generator(grown)
    (slope,) = torch.autograd.grad(value.sum(), grown)
    divergence = generator(p.exp()) - value - (slope * (p.exp() - q.exp())).sum(-1)
    excess = (p.exp() * all_labels(rule, q)).sum(-1) + generator(p.exp())
    assert_close(excess, divergence)
    assert (divergence > 0).all()


@every
def test_gradient_at_the_truth_is_zero(name):
    rule, _ = RULES[name]
    logits = distributions(3).requires_grad_()
    p = distributions(3).exp()
    (gradient,) = torch.autograd.grad((p * all_labels(rule, logits.log_softmax(-1))).sum(), logits)
    assert_close(gradient, torch.zeros_like(gradient), atol=1e-12, rtol=0)


@every
def test_closed_form_is_autograds(name):
    rule, _ = RULES[name]
    logits, x = distributions(4).requires_grad_(), torch.tensor([0, 3, 2])
    log_q = logits.log_softmax(-1)
    (gradient,) = torch.autograd.grad(rule(log_q, x).sum(), logits)
    for form in (type(rule).closed_form, ScoringRule.closed_form):
        given = form(rule, log_q.detach().clone(), x, torch.empty_like(log_q))
        assert_close(given.gradient(), gradient)
        assert_close(given.loss, rule(log_q.detach(), x))


def test_relations_between_rules():
    q, x = distributions(5), torch.tensor([1, 0, 2])
    assert_close(Tsallis(2.0)(q, x), Brier()(q, x) / 2)
    assert_close(GeneralizedKL()(q, x), KL()(q, x) + 1)
    near = Tsallis(1 + 2.0**-20)(q, x) + 2.0**20 - 1
    assert_close(near, KL()(q, x), atol=1e-4, rtol=0)


def test_one_vs_rest_is_finite_where_the_model_is_certain():
    log_q = torch.tensor([[0.0, -math.inf], [-1e-20, -50.0], [-50.0, -1e-20]]).double()
    x = torch.tensor([0, 0, 0])
    loss = OneVsRest()(log_q, x)
    assert torch.isfinite(loss).all()
    assert_close(loss[:2], torch.zeros(2).double(), atol=1e-12, rtol=0)
    assert loss[2] > 90


def test_one_vs_rest_keeps_its_digits_at_both_ends():
    small = torch.tensor([[-40.0, 0.0, -3.0]]).double().log_softmax(-1)
    q = small.exp()
    loss = OneVsRest()(small, torch.tensor([1]))
    assert_close(
        loss, -small[:, 1] - torch.log1p(-q[:, 0]) - torch.log1p(-q[:, 2]), rtol=1e-14, atol=0
    )


@pytest.mark.parametrize("order", [0.0, 1.0, math.inf, math.nan])
def test_orders_without_a_formula_are_refused(order):
    with pytest.raises(InputError, match=r"scoring\.order "):
        Tsallis(order)
