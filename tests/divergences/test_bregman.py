import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from tcsm.divergences.bregman import (
    BinaryCrossEntropy,
    Bregman,
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

# F and the scale F″(1) of (3.4), written in s rather than in log s.
FORMULAS = {
    "gkl": (generalized_kl, lambda s: s * s.log() - s, 1),
    "is": (itakura_saito, lambda s: -s.log(), 1),
    "lsif": (lsif, lambda s: (s - 1) ** 2 / 2, 1),
    "pearson": (pearson, lambda s: (s - 1) ** 2, 2),
    "neyman": (neyman, lambda s: (1 - s) ** 2 / s, 2),
    "bce": (bce, lambda s: s * s.log() - (1 + s) * (1 + s).log(), 0.5),
    "hellinger": (hellinger, lambda s: -4 * (s.sqrt() - s / 2 - 0.5), 1),
    "power 3": (Power(3.0), lambda s: (s**3 - 3 * s + 2) / 6, 1),
    "power -0.7": (Power(-0.7), lambda s: (s**-0.7 + 0.7 * s - 1.7) / 1.19, 1),
    "power 1": (Power(1.0), lambda s: s * s.log() - s + 1, 1),
    "power 0": (Power(0.0), lambda s: s - 1 - s.log(), 1),
}
# ψ of (3.4).
PAIRS = {
    "gkl": lambda u: torch.expm1(u) + u,
    "is": lambda u: torch.expm1(u) + u,
    "lsif": lambda u: torch.expm1(2 * u) / 2 - torch.expm1(-u),
    "pearson": lambda u: torch.expm1(2 * u) - 2 * torch.expm1(-u),
    "neyman": lambda u: torch.expm1(2 * u) - 2 * torch.expm1(-u),
    "bce": lambda u: 2 * torch.log1p(u.exp()) - 2 * math.log(2),
    "hellinger": lambda u: 4 * torch.expm1(u / 2),
    "power 3": lambda u: torch.expm1(3 * u) / 3 - torch.expm1(-2 * u) / 2,
    "power -0.7": lambda u: torch.expm1(-0.7 * u) / -0.7 + torch.expm1(1.7 * u) / 1.7,
}
every = pytest.mark.parametrize("name", FORMULAS)
GRID = torch.linspace(-3, 3, 61, dtype=torch.float64)
logs = st.floats(-6, 6)


def by_autograd(function, s):
    s = s.clone().requires_grad_()
    value = function(s)
    (slope,) = torch.autograd.grad(value.sum(), s)
    return value.detach(), slope


def log_q(seed=0, positions=4, vocabulary=5):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(positions, vocabulary, dtype=torch.float64, generator=generator) * 2
    return logits.log_softmax(-1), torch.randint(vocabulary, (positions,), generator=generator)


@every
def test_generator_slope_and_dual_are_those_of_the_formula(name):
    divergence, formula, _ = FORMULAS[name]
    value, slope = by_autograd(formula, GRID.exp())
    assert_close(divergence.generator(GRID), value)
    assert_close(divergence.slope(GRID), slope)
    assert_close(divergence.dual(GRID), GRID.exp() * slope - value)


@every
def test_rates_are_the_derivatives_by_the_log(name):
    """The last columns of (9.1)."""
    divergence, _, _ = FORMULAS[name]
    for function, rate in (
        (divergence.slope, divergence.slope_rate),
        (divergence.dual, divergence.dual_rate),
    ):
        assert_close(rate(GRID), by_autograd(function, GRID)[1])


def test_rates_of_the_logistic_loss_are_bounded():
    far = torch.tensor([-200.0, 200.0])
    assert_close(bce.slope_rate(far), torch.tensor([1.0, 0.0]))
    assert_close(bce.dual_rate(far), torch.tensor([0.0, 1.0]))


@every
def test_slope_at_one_is_the_scale_of_gradients(name):
    divergence, _, scale = FORMULAS[name]
    _, curvature = by_autograd(lambda s: divergence.slope(s.log()), torch.ones(1).double())
    assert_close(curvature, torch.tensor([scale]).double())
    _, at_zero = by_autograd(divergence.pair, torch.zeros(1).double())
    assert_close(at_zero, 2 * torch.tensor([scale]).double())


@every
@given(a=logs, b=logs)
def test_divergence_is_nonnegative_and_zero_only_at_equality(name, a, b):
    divergence, formula, _ = FORMULAS[name]
    a, b = torch.tensor(a).double(), torch.tensor(b).double()
    value, slope = by_autograd(formula, b.exp())
    direct = formula(a.exp()) - value - slope * (a.exp() - b.exp())
    actual = divergence.between(a, b)
    scale = 1 + formula(a.exp()).abs() + value.abs() + (slope * (a.exp() + b.exp())).abs()
    assert abs(actual - direct) < 1e-12 * scale
    assert actual > -1e-12 * scale
    assert abs(divergence.between(b, b)) < 1e-12 * scale
    if abs(a - b) > 0.1:
        assert actual > 0


@pytest.mark.parametrize(
    "name", ["gkl", "lsif", "pearson", "bce", "hellinger", "power 3", "power 1"]
)
def test_a_target_ratio_of_zero_is_finite_where_the_generator_is(name):
    divergence, formula, _ = FORMULAS[name]
    limit = formula(torch.tensor(1e-200, dtype=torch.float64))
    log_zero = torch.tensor(-torch.inf, dtype=torch.float64)
    assert_close(divergence.generator(log_zero), limit, atol=1e-9, rtol=0)
    actual = divergence.between(log_zero, torch.zeros((), dtype=torch.float64))
    assert_close(actual, limit + divergence.dual(torch.zeros((), dtype=torch.float64)))


@pytest.mark.parametrize("name", PAIRS)
def test_pair_is_the_table_and_the_difference_of_sample_forms(name):
    divergence = FORMULAS[name][0]
    assert_close(divergence.pair(GRID), PAIRS[name](GRID))
    assert_close(divergence.pair(GRID), Bregman.pair(divergence, GRID))
    assert divergence.pair(torch.zeros(1).double()) == 0


@every
def test_sample_form_from_the_definition(name):
    divergence, formula, _ = FORMULAS[name]
    value, slope = by_autograd(formula, GRID.exp())
    _, opposite = by_autograd(formula, (-GRID).exp())
    assert_close(divergence.from_samples(GRID), GRID.exp() * slope - value - opposite)


@every
def test_derivative_of_a_pair_is_positive_and_symmetrized(name):
    divergence, formula, _ = FORMULAS[name]
    _, actual = by_autograd(divergence.pair, GRID)
    s = GRID.exp().requires_grad_()

    def weight(s):
        """w(s) = s² F″(s) (3.2)."""
        (first,) = torch.autograd.grad(formula(s).sum(), s, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), s, create_graph=True)
        return s**2 * second

    assert (actual > 0).all()
    assert_close(actual, (weight(s) + s * weight(1 / s)).detach())


@pytest.mark.parametrize(
    ("one", "other", "factor"),
    [
        (generalized_kl, itakura_saito, 1),
        (pearson, neyman, 1),
        (pearson, lsif, 2),
        (Power(0.3), Power(0.7), 1),
        (Power(2.5), Power(-1.5), 1),
        (generalized_kl, Power(1.0), 1),
        (itakura_saito, Power(0.0), 1),
    ],
)
def test_adjoint_generators_are_one_loss_at_score_level(one, other, factor):
    q, x = log_q()
    assert_close(one.pair(GRID), factor * other.pair(GRID))
    assert_close(one.at_position(q, x), factor * other.at_position(q, x))
    assert_close(one.at_any_label(q), factor * other.at_any_label(q))


def test_adjoint_generators_differ_as_divergences():
    assert abs(generalized_kl.between(GRID, -GRID) - itakura_saito.between(GRID, -GRID)).max() > 1


@pytest.mark.parametrize("name", PAIRS)
def test_closed_forms_of_a_position_equal_the_sums(name):
    divergence = FORMULAS[name][0]
    q, x = log_q()
    by_hand = torch.stack(
        [PAIRS[name](row - row[label]).mean() for row, label in zip(q, x, strict=True)]
    )
    assert_close(divergence.at_position(q, x), by_hand)
    assert_close(divergence.at_position(q, x), Bregman.at_position(divergence, q, x))
    any_label = torch.stack([divergence.at_position(q, torch.full_like(x, y)) for y in range(5)])
    assert_close(divergence.at_any_label(q), any_label.mean(0))
    assert_close(divergence.at_any_label(q), Bregman.at_any_label(divergence, q))


@pytest.mark.parametrize("name", PAIRS)
def test_positions_ignore_the_normalizer_of_logits(name):
    divergence = FORMULAS[name][0]
    q, x = log_q()
    assert_close(divergence.at_position(q + 3, x), divergence.at_position(q, x))
    assert_close(divergence.at_any_label(q - 3), divergence.at_any_label(q))


def test_growth_of_gradients():
    """(3.4): like s^max(λ, 1−λ) for small q_x; BCE is bounded by 2, LSIF explodes both ways."""
    far = torch.tensor([-20.0, 20.0]).double()
    for power in (0.5, 0.25, 1.5):
        _, slope = by_autograd(Power(power).pair, far)
        high, low = max(power, 1 - power), min(power, 1 - power)
        # at power ½ both terms are the same: a factor of 2
        assert_close(slope.log(), torch.tensor([-20 * low, 20 * high]).double(), atol=0.7, rtol=0)
    _, slope = by_autograd(bce.pair, far)
    assert_close(slope, torch.tensor([2 * math.exp(-20), 2.0]).double(), atol=1e-8, rtol=0)
    _, slope = by_autograd(lsif.pair, far)
    assert (slope > math.exp(19)).all()


def test_generalized_kl_is_cross_entropy_plus_itakura_saito():
    """(4.2): −log q_x + 1/(V q_x) + mean log q − 1, V KL + IS over all pairs (4.1)."""
    q, x = log_q()
    q_x = q.gather(-1, x[:, None])[:, 0]
    assert_close(generalized_kl.at_position(q, x), -q_x + (-q_x).exp() / 5 + q.mean(-1) - 1)
    p, q = log_q(1)[0], log_q(2)[0]
    total = (
        p.exp()[:, :, None]
        * generalized_kl.between(p[:, None] - p[:, :, None], q[:, None] - q[:, :, None])
    ).sum((1, 2))
    kl = (p.exp() * (p - q)).sum(-1)
    saito = torch.expm1(p - q).sum(-1) - (p - q).sum(-1)
    assert_close(total, 5 * kl + saito)


def test_bce_is_the_bradley_terry_likelihood_of_pairs():
    """(3.8): E_p ℓ = Σ_{x<y} 2 (p_x + p_y) CE(p_x/(p_x + p_y), q_x/(q_x + q_y)) − const."""
    p, q = log_q(1, positions=1)[0][0], log_q(2, positions=1)[0][0]
    total = sum(p[x].exp() * (bce.pair(q - q[x]).sum() + 4 * 2 * math.log(2)) for x in range(5))
    truth = torch.zeros(()).double()
    for x in range(5):
        for y in range(x + 1, 5):
            both = torch.logaddexp(p[x], p[y])
            ours = torch.logaddexp(q[x], q[y])
            share = (p[x] - both).exp()
            entropy = -share * (q[x] - ours) - (1 - share) * (q[y] - ours)
            truth = truth + 2 * both.exp() * entropy
    assert_close(total, truth)


def test_single_precision_survives_confident_models():
    q = torch.tensor([[25.0, -30.0, 0.0], [-20.0, 5.0, 18.0]]).log_softmax(-1)
    x = torch.tensor([0, 0])
    for divergence in (generalized_kl, hellinger, bce):
        exact = divergence.at_position(q.double(), x)
        assert_close(divergence.at_position(q, x).double(), exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"power": math.nan}, "divergence.power must be a finite number, found nan"),
        ({"power": math.inf}, "divergence.power"),
        ({"power": 1.0, "scale": 0.0}, "divergence.scale must be positive, found 0.0"),
    ],
)
def test_what_is_no_divergence_is_refused(fields, message):
    with pytest.raises(InputError, match=message):
        Power(**fields)


def test_named_divergences_are_values():
    assert Power(0.5) == hellinger
    assert bce == BinaryCrossEntropy()
    assert Power(2.0, scale=2.0) == pearson


@every
def test_closed_form_is_autograds(name):
    """At a position, and with sums of the gradient over tokens 0 (3.2)."""
    divergence, _, _ = FORMULAS[name]
    values, x = log_q(3)
    leaf = values.clone().requires_grad_()
    loss = divergence.at_position(leaf, x)
    (gradient,) = torch.autograd.grad(loss.sum(), leaf)
    closed = divergence.closed_form(values.clone(), x, torch.empty_like(values))
    actual = closed.gradient()
    assert_close(actual, gradient)
    assert_close(actual.sum(-1), torch.zeros(len(x), dtype=torch.float64))
    assert_close(closed.loss, loss.detach())


def test_a_new_definition_takes_no_old_form_with_it():
    """Of ratios, means and smoothing too, not of the ball's gradient alone."""

    class Shifted(Power):
        def dual(self, b):
            return super().dual(b) + 1

    log_p, log_v = torch.randn(2, 3, 5).double().log_softmax(-1).unbind()
    for kind, more in ((Power, 0), (Shifted, 1)):
        mean, _ = kind(2.0).mean_dual(log_p, log_v.clone())
        assert_close(mean, (log_p.exp() * torch.expm1(2 * log_v)).sum(-1) / 2 + more)
    assert Shifted.smoothed_form is not Power.smoothed_form


@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_all_labels_by_cosines_are_all_pairs_of_tokens(scale):
    generator = torch.Generator().manual_seed(0)
    log_q = (scale * torch.randn(2, 300, generator=generator).double()).log_softmax(-1)
    actual, expected = (log_q.clone().requires_grad_() for _ in range(2))
    values, pairs = bce.at_any_label(actual), Bregman.at_any_label(bce, expected)
    assert_close(values, pairs, atol=1e-10, rtol=1e-10)
    (values + pairs).sum().backward()
    assert_close(actual.grad, expected.grad, atol=1e-10, rtol=0)
