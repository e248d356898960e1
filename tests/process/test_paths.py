"""The path against Bayes' rule, all sequences enumerated (V = L = 3, float64)."""

import itertools

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from tcsm.noise import batch_noise
from tcsm.process.paths import Mixture, Path, add_at
from tcsm.process.schedules import Cosine, Linear
from tcsm.process.sources import Mask, Uniform
from tests.enumeration import bayes, between, kernel, marginals, random_distribution, sequences

V = L = 3
P_1 = random_distribution(V, L, 0)
SOURCES = [Mask(V), Uniform(V)]
both = pytest.mark.parametrize("source", SOURCES, ids=["mask", "uniform"])
levels = pytest.mark.parametrize("alpha", [0.05, 0.4, 0.9])


def fixed(value, like):
    return torch.full(like.shape, value, dtype=torch.float64)


def position_kernel(source, alpha):
    return kernel(alpha, V, isinstance(source, Mask))


@both
@levels
def test_likelihood_of_a_state(source, alpha):
    states = torch.arange(source.states)
    actual = Path(source, Linear()).log_likelihood(states, fixed(alpha, states)).exp()
    assert_close(actual.T, torch.from_numpy(position_kernel(source, alpha)))


@both
@levels
def test_target_concrete_score_identity(source, alpha):
    """(1.2): posterior ratios are data ratios times likelihood ratios."""
    path, data = Path(source, Linear()), torch.from_numpy(sequences(V, L))
    log_p = torch.from_numpy(P_1).log().flatten()
    for x_t in sequences(source.states, L):
        posterior, total = bayes(P_1, x_t, position_kernel(source, alpha))
        if total == 0:
            continue
        state = torch.from_numpy(x_t)
        by_token = path.log_likelihood(state, fixed(alpha, state))
        log_joint = log_p + by_token[torch.arange(L), data].sum(-1)
        truth = torch.from_numpy(posterior).flatten()
        x = truth.argmax()
        assert_close((log_joint - log_joint[x]).exp(), truth / truth[x])


@both
@levels
def test_leave_one_out_is_the_posterior_without_its_own_position(source, alpha):
    """(1.5): π^i hides x_t^i; q^i ∝ π^i p_{t|1}(x_t^i | ·)."""
    path, matrix = Path(source, Linear()), position_kernel(source, alpha)
    for x_t in sequences(source.states, L):
        noised = source.noised(torch.from_numpy(x_t))
        q = torch.from_numpy(marginals(bayes(P_1, x_t, matrix)[0]))
        for position in range(L):
            if not noised[position]:
                continue
            joint = P_1
            for other in set(range(L)) - {position}:
                shape = [1] * L
                shape[other] = V
                joint = joint * matrix[:, x_t[other]].reshape(shape)
            hidden = torch.from_numpy(marginals(joint / joint.sum())[position])
            here = torch.from_numpy(x_t[position : position + 1])
            actual = path.leave_one_out(q[None, position].log(), here, fixed(alpha, here))
            assert_close(actual[0].exp(), hidden)
            weighed = hidden * path.log_likelihood(here, fixed(alpha, here))[0].exp()
            assert_close(weighed / weighed.sum(), q[position])


@both
@pytest.mark.parametrize(("alpha_t", "alpha_s"), [(0.0, 0.3), (0.2, 0.7), (0.6, 1.0), (0.0, 1.0)])
def test_bridge_is_bayes_on_the_forward_kernels(source, alpha_t, alpha_s):
    """(8.3): p(x_s | x_t, x₁) ∝ p_{s|1}(x_s | x₁) p_{t|s}(x_t | x_s)."""
    first = position_kernel(source, alpha_s)
    second = between(alpha_t, alpha_s, V, isinstance(source, Mask))
    assert_close(
        torch.from_numpy(first @ second), torch.from_numpy(position_kernel(source, alpha_t))
    )
    x_1, x_t = (
        part.flatten()
        for part in torch.meshgrid(torch.arange(V), torch.arange(source.states), indexing="ij")
    )
    joint = torch.from_numpy(first[:, :, None] * second[None]).movedim(1, 2)[x_1, x_t]
    possible = joint.sum(-1) > 0
    mixture = Path(source, Linear()).bridge(x_t, x_1, fixed(alpha_t, x_t), fixed(alpha_s, x_t))
    distribution = mixture.distribution(x_t, x_1, source)
    truth = joint / joint.sum(-1, keepdim=True)
    assert_close(distribution[possible], truth[possible])


@pytest.mark.parametrize(("alpha_t", "alpha_s"), [(0.1, 0.3), (0.2, 0.7), (0.6, 0.99)])
def test_uniform_bridge_over_the_posterior_is_the_plug_in_of_leave_one_out(alpha_t, alpha_s):
    """(8.3): mixing over q equals plugging π in; mixing over π would be wrong."""
    path, x_t = Path(Uniform(V), Linear()), torch.tensor([1])
    log_q = torch.tensor([[0.2, -1.0, 0.9]]).double().log_softmax(-1)
    pi = path.leave_one_out(log_q, x_t, fixed(alpha_t, x_t)).exp()[0]
    labels, here = torch.arange(V), x_t.expand(V)
    distribution = path.bridge(
        here, labels, fixed(alpha_t, here), fixed(alpha_s, here)
    ).distribution(here, labels, path.source)
    ratio = alpha_t / alpha_s
    stay = ratio * (labels == x_t) + (1 - ratio) / V
    plug_in = (alpha_s * pi + (1 - alpha_s) / V) * stay
    plug_in = plug_in / plug_in.sum()
    assert_close(log_q[0].exp() @ distribution, plug_in)
    assert (pi @ distribution - plug_in).abs().max() > 1e-3


@both
def test_leap_jumps_with_the_rates_exponential(source):
    """(12.1, 12.2): stay with probability exp(−∫κ) = (1 − α_s)/(1 − α_t)."""
    schedule = Cosine()
    path, t, s = Path(source, schedule), 0.3, 0.8
    node, weight = np.polynomial.legendre.leggauss(30)
    times = torch.from_numpy(t + (s - t) * (node + 1) / 2)
    integral = (schedule.kappa(times) * torch.from_numpy(weight)).sum() * (s - t) / 2
    x_t, x_1 = torch.tensor([2, 2]), torch.tensor([1, 2])
    alpha_t, alpha_s = (schedule.alpha(fixed(time, x_t)) for time in (t, s))
    distribution = path.leap(x_t, alpha_t, alpha_s).distribution(x_t, x_1, source)
    stay = torch.exp(-integral)
    expected = torch.zeros(2, source.states).double()
    expected[0, 1], expected[0, 2], expected[1, 2] = 1 - stay, stay, 1
    assert_close(distribution, expected)
    last = path.leap(x_t, alpha_t, fixed(1.0, x_t))
    assert (last.to_data == 1).all()
    assert (last.stay == 0).all()


def test_masked_bridge_and_leap_are_one_distribution():
    path, x_t, x_1 = Path(Mask(V), Linear()), torch.full((V,), V), torch.arange(V)
    alpha_t, alpha_s = fixed(0.3, x_t), fixed(0.45, x_t)
    bridge = path.bridge(x_t, x_1, alpha_t, alpha_s).distribution(x_t, x_1, path.source)
    assert_close(bridge, path.leap(x_t, alpha_t, alpha_s).distribution(x_t, x_1, path.source))


@both
def test_rates_sum_to_zero_and_point_to_the_marginals(source):
    path, x = Path(source, Cosine()), torch.tensor([0, source.states - 1])
    t = torch.tensor([0.2, 0.7]).double()
    log_q = torch.randn(2, V, dtype=torch.float64).log_softmax(-1)
    rate = path.rate(log_q, x, t) / path.schedule.kappa(t)[:, None]
    here = torch.nn.functional.one_hot(x, source.states)[:, :V]
    assert_close(rate + here, log_q.exp())
    assert_close(rate.sum(-1), 1 - here.double().sum(-1))


@both
@pytest.mark.parametrize("t", [1e-3, 0.3, 0.95])
def test_bound_integrand_is_that_of_the_reverse_rates(source, t):
    """(11.1) with reverse rates R(x→y) = (α̇/α) p₀(x) p_t(y)/p_t(x), whatever the source."""
    path, time = Path(source, Cosine()), torch.tensor([t]).double()
    alpha = path.schedule.alpha(time).item()
    forward = path.schedule.alpha_dot(time).item() / alpha
    matrix = position_kernel(source, alpha)
    log_q = torch.tensor([[0.3, -0.4, 1.1]]).double().log_softmax(-1)
    states = range(source.states) if isinstance(source, Uniform) else [V]
    for x, x_1 in itertools.product(states, range(V)):
        p_0 = kernel(0, V, isinstance(source, Mask))[0, x]
        truth = forward * p_0 * matrix[x_1] / matrix[x_1, x]
        model = forward * p_0 * (log_q[0].exp().numpy() / matrix[:, x]) @ matrix
        away = [y for y in range(source.states) if y != x]
        gap = sum(model[y] - truth[y] + xlogy(truth[y], truth[y] / model[y]) for y in away)
        actual = path.nelbo(log_q, torch.tensor([x_1]), torch.tensor([x]), time)
        assert_close(actual, torch.tensor([gap]).double(), atol=1e-9, rtol=1e-7)
        assert actual >= 0


def xlogy(x, y):
    return x * np.log(y) if x > 0 else 0.0


@both
@levels
def test_samples_follow_the_path(source, alpha):
    x_1 = torch.tensor([[0, 2]]).expand(20000, -1)
    t = torch.full((20000,), alpha, dtype=torch.float64)
    x_t = Path(source, Linear()).sample(x_1, t, batch_noise(1, 0, 20000))
    distribution = position_kernel(source, alpha)
    for position, token in enumerate((0, 2)):
        share = x_t[:, position].bincount(minlength=source.states) / 20000
        # five standard errors of a share
        assert (share - torch.from_numpy(distribution[token])).abs().max() < 5 * 0.5 / 20000**0.5
    together = ((x_t[:, 0] == 0) & (x_t[:, 1] == 2)).double().mean()
    assert abs(together - distribution[0, 0] * distribution[2, 2]) < 5 * 0.5 / 20000**0.5


@both
def test_mixture_draws_its_own_distribution(source):
    """All branches of a mixture whose weights are not normalized, over a fine grid of u."""
    grid = (torch.arange(300).double() + 0.5) / 300
    u = torch.cartesian_prod(grid, grid)
    mixture = Mixture(*(torch.full((len(u),), w, dtype=torch.float64) for w in (0.5, 0.2, 0.9)))
    x_t, x_1 = torch.full((len(u),), source.states - 1), torch.zeros(len(u), dtype=torch.int64)
    share = mixture.draw(x_t, x_1, source, u).bincount(minlength=source.states) / len(u)
    assert_close(share.double(), mixture.distribution(x_t, x_1, source)[0], atol=1e-2, rtol=0)


def test_add_at_leaves_masked_rows_alone():
    values = torch.zeros(2, 3)
    actual = add_at(values, torch.tensor([1, 3]), torch.tensor([2.0, 5.0]))
    assert actual.tolist() == [[0, 2, 0], [0, 0, 0]]
