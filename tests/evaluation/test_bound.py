"""Bounds against enumeration: exact expectations, tightness, and honest error bars."""

import math
from functools import partial

import pytest
import torch
from torch.testing import assert_close

from tcsm import config
from tcsm.errors import InputError
from tcsm.evaluation.bound import Count, Exact, Time
from tcsm.models.autoregressive import Autoregressive
from tcsm.models.factorized import Factorized, LeaveOneOut
from tcsm.nets.transformer import Transformer
from tcsm.process.corruption import Corrupted
from tcsm.process.paths import Path
from tcsm.process.schedules import Cosine, Linear
from tcsm.process.sources import Mask, Uniform
from tests.enumeration import (
    kernel,
    logit_quadrature,
    posterior_table,
    random_distribution,
    sequences,
)
from tests.golden.bounds import order_distribution, subset_bound, subsets, time_bound
from tests.golden.processes import one_way
from tests.tables import Oracle, Table, number

V = L = 3
P_1 = random_distribution(V, L, 3)
ALL = torch.from_numpy(sequences(V, L))
CLAMP = config.build(config.compose(["bound=time"]).bound).epsilon
MASKED, NOISED = Path(Mask(V), Linear()), Path(Uniform(V), Linear())
NATS = -torch.from_numpy(P_1).log().flatten()


def tabular(path, kind=Factorized):
    """A model that is nobody's posterior."""
    states = path.source.states
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(states**L, L, V, dtype=torch.float64, generator=generator)
    return kind(Table(logits, states), path)


def true_masked():
    """The exact posterior of P_1, the same at all times."""
    table = torch.from_numpy(posterior_table(P_1, kernel(0.5, V, True)))
    return Factorized(Table(table.log(), V + 1), MASKED)


def true_noised():
    """The exact posterior of P_1 under uniform noise, all times of a batch at once."""
    log_p = -NATS
    states = torch.from_numpy(sequences(V, L))

    def log_posterior(x, t):
        evidence = NOISED.log_likelihood(x, t[:, None].expand(x.shape))
        joint = log_p + evidence[:, torch.arange(L), states].sum(-1)
        one_hot = torch.nn.functional.one_hot(states, V).double()
        return torch.einsum("bn,nlv->blv", joint.softmax(-1), one_hot).log()

    return Factorized(Oracle(V, log_posterior), NOISED)


def standardized(draws, truth):
    """(estimate − truth) in the standard errors of each sequence's own draws."""
    error = draws.nats.std(-1) / draws.nats.shape[1] ** 0.5
    return (draws.nats.mean(-1) - truth) / error


def repeated(x_1, times):
    return x_1.repeat(times, 1), torch.arange(len(x_1) * times)


def test_masked_bound_is_minus_log_p_at_the_exact_posterior_sequence_by_sequence():
    assert_close(subset_bound(true_masked(), ALL), NATS)
    assert_close(order_distribution(true_masked(), ALL).log(), -NATS)


def test_uniform_reverse_bound_is_tight_and_the_one_way_bound_is_not():
    """(11.4)."""
    x_1 = ALL[[0, 5, 13, 26]]
    truth = NATS[number(x_1, V)]
    model = true_noised()
    assert_close(time_bound(model, x_1, Path.nelbo), truth, atol=1e-6, rtol=0)
    assert (time_bound(model, x_1, one_way) - truth > 0.05).all()


def test_any_masked_model_is_bounded_from_above():
    model = tabular(MASKED)
    gap = subset_bound(model, ALL) + order_distribution(model, ALL).log()
    assert (gap > 0).all()
    assert_close(order_distribution(model, ALL).sum(), torch.ones((), dtype=torch.float64))


@pytest.mark.parametrize("multiple", [1, 2])
def test_counts_cover_every_size_when_draws_are_a_multiple_of_the_length(multiple):
    draws = Count(path=MASKED)(tabular(MASKED), ALL, torch.arange(27), seed=0, draws=L * multiple)
    expected = 1 - torch.arange(1, L + 1).repeat_interleave(multiple).double() / L
    assert_close(draws.level, expected.expand(27, -1))


def test_one_stratified_round_over_all_subsets_is_the_exact_bound():
    """Averaged over many rounds each subset of a size comes equally often: only its own variance
    remains, and the draw of size L has none at all."""
    model = tabular(MASKED)
    x_1, ids = repeated(ALL[[7]], 3000)
    draws = Count(path=MASKED)(model, x_1, ids, seed=1, draws=L)
    estimate, exact = draws.nats.mean(-1), subset_bound(model, ALL[[7]])
    assert abs(estimate.mean() - exact) < 4 * estimate.std() / len(ids) ** 0.5
    assert draws.nats[:, -1].std() < 1e-12
    single = {tuple(sorted({round(v, 9) for v in column.tolist()})) for column in draws.nats.T}
    assert sorted(len(values) for values in single) == [1, 3, 3]


def test_the_control_has_mean_zero_over_all_subsets_of_a_size():
    model, bound = tabular(MASKED), Count(path=MASKED)
    for n in range(1, L + 1):
        hidden = torch.stack(list(subsets(L, n))).repeat_interleave(27, 0)
        x_1 = ALL.repeat(len(hidden) // 27, 1)
        omega = torch.full((len(x_1),), L / n, dtype=torch.float64)
        x_t = torch.where(hidden, V, x_1)
        batch = Corrupted(x_1, x_t, torch.zeros_like(omega), hidden, omega)
        control = bound.control(model, batch)
        assert_close(control.view(-1, 27).mean(0), torch.zeros(27).double(), atol=1e-12, rtol=0)
        assert (control.abs().max() > 0.1) == (n < L)


def test_the_control_lowers_the_variance_where_tokens_differ_more_than_contexts():
    """All of it if the network reads no context."""
    logits = torch.log_softmax(3 * torch.randn(L, V, dtype=torch.float64), -1)
    alone = Factorized(Table(logits), MASKED)
    draws = Count(path=MASKED)(alone, ALL, torch.arange(27), seed=0, draws=2)
    assert_close(draws.nats, subset_bound(alone, ALL)[:, None].expand(-1, 2))


@pytest.mark.parametrize("schedule", [Linear(), Cosine()], ids=str)
def test_estimates_by_count_lie_within_their_error_bars(schedule):
    """Every schedule has the one bound of a time-free network (11.3)."""
    path = Path(Mask(V), schedule)
    table = tabular(MASKED)
    model = Factorized(table.net, path)
    draws = Count(path=path)(model, ALL, torch.arange(27), seed=2, draws=3000)
    z = standardized(draws, subset_bound(table, ALL))
    assert z.abs().max() < 3.7  # 27 sequences: a chance of 0.6 % for honest bars
    assert z.std() > 0.1


@pytest.mark.parametrize("schedule", [Linear(), Cosine()], ids=str)
def test_estimates_by_time_lie_within_their_error_bars(schedule):
    path = Path(Mask(V), schedule)
    table = tabular(MASKED)
    model = Factorized(table.net, path)
    draws = Time(path=path, epsilon=1e-4)(model, ALL, torch.arange(27), seed=2, draws=6000)
    truth = subset_bound(table, ALL)
    assert (standardized(draws, truth).abs() < 3.7).all()


def test_estimates_of_uniform_noise_lie_within_their_error_bars():
    model = tabular(NOISED, LeaveOneOut)
    x_1 = ALL[[0, 7, 25]]
    truth = time_bound(model, x_1, Path.nelbo)
    draws = Time(path=NOISED, epsilon=1e-6)(model, x_1, torch.arange(3), seed=0, draws=20_000)
    assert (standardized(draws, truth).abs() < 3.7).all()
    exact = Time(path=NOISED, epsilon=1e-6)(true_noised(), x_1, torch.arange(3), 1, draws=20_000)
    assert (standardized(exact, NATS[number(x_1, V)]).abs() < 3.7).all()


def test_the_clamp_drops_the_end_of_time_and_nothing_else():
    """∫₀^{1−ε}, not rescaled: low by the clean end, where κ is large but few are noised."""
    epsilon = 0.3
    model = tabular(MASKED)
    x_1, ids = repeated(ALL[[7]], 2000)
    draws = Time(path=MASKED, epsilon=epsilon)(model, x_1, ids, seed=0, draws=8)
    node, weight = (
        torch.tensor(part).double() for part in ([-(0.6**0.5), 0, 0.6**0.5], [5, 8, 5])
    )
    t, weight = (1 - epsilon) * (node + 1) / 2, (1 - epsilon) * weight / 18
    truth = 0.0
    for flags in range(1, 2**L):
        hidden = torch.tensor([bool(flags >> i & 1) for i in range(L)])
        n = int(hidden.sum())
        x_t = torch.where(hidden, V, ALL[[7]])
        log_q = model.log_marginals(x_t, torch.zeros(1).double(), MASKED.source.noised(x_t))
        nats = -log_q[0, torch.arange(L), ALL[7]].sum()
        truth += nats * (weight * t ** (L - n) * (1 - t) ** (n - 1)).sum()
    estimate = draws.nats.mean(-1)
    assert abs(estimate.mean() - truth) < 4 * estimate.std() / len(ids) ** 0.5
    assert truth < 0.95 * subset_bound(model, ALL[[7]])
    assert draws.level.max() <= 1 - epsilon


@pytest.mark.parametrize("schedule", [Linear(), Cosine()], ids=str)
def test_the_clamp_of_uniform_noise_drops_less_than_is_read_of_a_bound(schedule):
    """One Zipf-distributed letter: no other position informs it; the sum is the entropy (11.4)."""
    source, size = Uniform(27), 27
    log_p = -torch.arange(1, size + 1).double().log()
    log_p -= log_p.logsumexp(0)
    alpha, weight = (torch.from_numpy(part) for part in logit_quadrature())
    log_pi = log_p.expand(len(alpha), -1)
    actual = torch.zeros(len(alpha), dtype=torch.float64)
    for here, data in torch.cartesian_prod(torch.arange(size), torch.arange(size)):
        chance = log_p[data].exp() * (alpha * (here == data) + (1 - alpha) / size)
        x_t, x_1 = here.expand(len(alpha)), data.expand(len(alpha))
        actual += weight * chance * source.nelbo(log_pi, x_1, x_t, alpha)
    assert actual.sum().item() == pytest.approx(-(log_p.exp() * log_p).sum().item(), abs=1e-6)
    for epsilon, most in ((1e-3, 0.015), (CLAMP, 3e-4)):
        end = schedule.alpha(torch.tensor(1 - epsilon).double())
        assert most / 10 < actual[alpha > end].sum() < most


def test_stratification_lowers_the_variance():
    """(11.6): far below independent draws of the same estimator."""
    model = tabular(MASKED)
    x_1, ids = repeated(ALL[[7]], 1000)
    stratified = Count(path=MASKED)(model, x_1, ids, seed=0, draws=L).nats.mean(-1)
    alone = Count(path=MASKED)(model, x_1.repeat(L, 1), torch.arange(1000 * L), seed=0, draws=1)
    independent = alone.nats.view(L, 1000).mean(0)
    assert stratified.std() < 0.9 * independent.std()
    assert abs(stratified.mean() - independent.mean()) < 4 * independent.std() / 1000**0.5


@pytest.mark.parametrize("kind", [Count, Time])
def test_draws_belong_to_a_sequence_whatever_the_batch_or_model(kind):
    bound, ids = partial(kind(path=MASKED), draws=4), torch.arange(27)
    model = tabular(MASKED)
    whole = bound(model, ALL, ids, seed=9)
    part = bound(model, ALL[10:14], ids[10:14], seed=9)
    assert torch.equal(part.nats, whole.nats[10:14])
    assert torch.equal(bound(true_masked(), ALL, ids, seed=9).level, whole.level)
    assert not torch.equal(bound(model, ALL, ids, seed=10).nats, whole.nats)
    assert not torch.equal(bound(model, ALL, ids + 1, seed=9).nats, whole.nats)


def test_noised_positions_are_reported_by_their_mean():
    uniform = Factorized(Table(torch.zeros(L, V)), MASKED)
    draws = Count(path=MASKED)(uniform, ALL, torch.arange(27), seed=0, draws=5)
    log_3 = torch.full((27, 5), math.log(3), dtype=torch.float64)
    assert_close(draws.noised_nats, log_3)
    assert_close(draws.nats, L * log_3)
    closed = Time(path=MASKED)(uniform, ALL[:1], torch.arange(1), seed=0, draws=64)
    empty = closed.nats == 0
    assert empty.any()
    assert torch.equal(closed.noised_nats.isnan(), empty)


def test_exact_is_the_models_own_likelihood():
    net = Transformer(vocabulary=V, extra=1, dim=8, depth=1, heads=1, causal=True)
    with torch.no_grad():
        net.head.weight.normal_()
        model = Autoregressive(net)
        draws = Exact()(model, ALL, torch.arange(27), seed=0)
        assert_close(draws.nats[:, 0], -model.log_prob(ALL))
    assert_close((-draws.nats).exp().sum().item(), 1.0, atol=1e-6, rtol=0)
    assert_close(draws.noised_nats, draws.nats / L)
    assert draws.level.isnan().all()


def test_refusals():
    ids = torch.arange(27)
    with pytest.raises(InputError, match=r"evaluation\.draws .*0"):
        Time(path=MASKED)(tabular(MASKED), ALL, ids, seed=0, draws=0)
    with pytest.raises(InputError, match="needs the Mask source, found Uniform"):
        Count(path=NOISED)
    with pytest.raises(InputError, match="bound=exact needs model=autoregressive"):
        Exact()(tabular(MASKED), ALL, ids, seed=0)
    timed = Factorized(Oracle(V, lambda x, t: torch.zeros(*x.shape, V)), MASKED)
    with pytest.raises(InputError, match="bound=count needs"):
        Count(path=MASKED)(timed, ALL, ids, seed=0, draws=1)
