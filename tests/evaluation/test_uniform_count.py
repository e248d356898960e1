"""The bound of uniform noise by count: against enumeration, and against the bound by time."""

import itertools
from functools import partial

import pytest
import torch
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.evaluation.bound import Time
from tcsm.evaluation.uniform_count import (
    ByCount,
    UniformControl,
    UniformCount,
    integrand,
    rule,
)
from tcsm.models.factorized import Factorized, LeaveOneOut
from tcsm.process.corruption import Corrupted, Positions
from tcsm.process.paths import Path
from tcsm.process.schedules import Cosine, Linear
from tcsm.process.sources import Mask, Uniform
from tests.enumeration import random_distribution, sequences
from tests.golden.bounds import subsets, time_bound
from tests.tables import Oracle, Table

V = L = 3
ALL = torch.from_numpy(sequences(V, L))
P_1 = random_distribution(V, L, 3)
NOISED = Path(Uniform(V), Linear())


def tabular(path=NOISED, kind=LeaveOneOut):
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(V**L, L, V, dtype=torch.float64, generator=generator)
    return kind(Table(logits, V), path)


def by_count(model, x_1, n, x_t):
    """Σ over positions of the mean over α | n, of one x₁ at many x_t."""
    rows, path = len(x_t), model.path
    t = path.schedule.inverse(torch.full((rows,), 0.3).double())
    log_q = model.log_conditionals(x_t, t, torch.ones_like(x_t, dtype=torch.bool))
    loss = ByCount(path, torch.full((rows * L,), n), torch.full((rows * L,), L))
    index = range(rows * L)
    positions = Positions(x_1.repeat(rows), x_t.flatten(), t.repeat_interleave(L), index)
    return loss(log_q, positions).view(rows, L).sum(-1)


@torch.no_grad()
def enumerated(value, x_1):
    """E over n ∈ {0 … L}, subsets and redrawn tokens."""
    means = []
    for n in range(L + 1):
        states = []
        for hidden in subsets(L, n) if n else [torch.zeros(L, dtype=torch.bool)]:
            for tokens in itertools.product(range(V), repeat=n):
                states.append(x_1.masked_scatter(hidden, torch.tensor(tokens, dtype=torch.int64)))
        means.append(value(x_1, n, torch.stack(states)).mean())
    return torch.stack(means).mean()


def control(x_1, n, x_t):
    t = torch.full((len(x_t),), (L - n + 1) / (L + 2), dtype=torch.float64)
    everywhere = torch.ones_like(x_t, dtype=torch.bool)
    batch = Corrupted(x_1.expand_as(x_t), x_t, t, everywhere, torch.ones_like(t))
    return UniformControl(NOISED).control(tabular(), batch)


def test_the_control_variate_has_mean_zero():
    """Exact up to the few nodes over α."""
    truth = time_bound(tabular(), ALL[[0, 7, 25]], Path.nelbo)
    for row, nats in zip(ALL[[0, 7, 25]], truth, strict=True):
        assert abs(enumerated(control, row)) < 1e-4 * nats
        assert control(row, 1, ALL).abs().max() > 0.1


@pytest.mark.parametrize("schedule", [Linear(), Cosine()], ids=str)
def test_over_all_counts_subsets_and_tokens_it_is_the_bound_by_time(schedule):
    """Exact up to the few nodes over α, at any schedule."""
    x_1 = ALL[[0, 7, 25]]
    truth = time_bound(tabular(), x_1, Path.nelbo)
    actual = torch.stack(
        [enumerated(partial(by_count, tabular(Path(Uniform(V), schedule))), row) for row in x_1]
    )
    assert_close(actual, truth, rtol=1e-4, atol=0)


def test_the_integrand_is_that_of_the_path():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(500, 27, dtype=torch.float64, generator=generator)
    x_1, other = torch.randint(27, (2, 500), generator=generator)
    x_t = torch.where(torch.arange(500) % 2 == 0, x_1, other)
    alpha = torch.linspace(-8, 14, 500, dtype=torch.float64).sigmoid()
    log_pi = logits.log_softmax(-1)
    expected = Uniform(27).nelbo(log_pi, x_1, x_t, alpha)
    columns = (part[:, None] for part in (x_1, x_t, alpha))
    actual = integrand(27 * log_pi.exp() - 1, *columns).squeeze(-1)
    assert_close(actual, expected, rtol=1e-8, atol=0)


@pytest.mark.parametrize("length", [1, 3, 64, 1024])
def test_nodes_and_weights_have_the_moments_of_a_beta_distribution(length):
    alpha, weight = rule(length)
    n = torch.arange(length + 1).double()
    assert_close((weight * alpha).sum(1), (length - n + 1) / (length + 2), rtol=1e-3, atol=1e-5)
    grown = (weight / (1 - alpha)).sum(1)[1:]
    assert_close(grown, (length + 1) / n[1:], rtol=1e-3, atol=0)


def test_draws_lie_within_their_error_bars_and_much_closer_than_by_time():
    x_1, ids = ALL[[7]].expand(2000, -1), torch.arange(2000)
    truth = time_bound(tabular(), ALL[[7]], Path.nelbo)
    by_count = UniformCount(NOISED)(tabular(), x_1, ids, seed=0, draws=4).nats.mean(1)
    by_time = Time(NOISED)(tabular(), x_1, ids, seed=0, draws=4).nats.mean(1)
    assert abs(by_count.mean() - truth) < 4 * by_count.std() / 2000**0.5
    assert by_count.var() < by_time.var() / 4


@pytest.mark.parametrize("draws", [1, 4])
def test_a_control_variate_leaves_the_mean_and_a_fraction_of_the_variance(draws):
    """A model that is right about single tokens and a little about their context."""
    x_1, ids = ALL[[7]].expand(2000, -1), torch.arange(2000)
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(V**L, L, V, dtype=torch.float64, generator=generator) / 4
    model = LeaveOneOut(Table(logits + torch.tensor([2.0, 0.0, -1.0]), V), NOISED)
    truth = time_bound(model, ALL[[7]], Path.nelbo)
    plain, controlled = (
        kind(NOISED)(model, x_1, ids, seed=0, draws=draws).nats.mean(1)
        for kind in (UniformCount, UniformControl)
    )
    assert abs(controlled.mean() - truth) < 4 * controlled.std() / 2000**0.5
    assert controlled.var() < plain.var() / 5


@pytest.mark.parametrize("bound", [UniformCount(NOISED), UniformControl(NOISED)], ids=str)
def test_a_draw_belongs_to_a_sequence(bound):
    model = tabular()
    whole = bound(model, ALL, torch.arange(27), seed=9, draws=4)
    part = bound(model, ALL[10:14], torch.arange(10, 14), seed=9, draws=4)
    assert torch.equal(part.nats, whole.nats[10:14])
    assert ((whole.level > 0) & (whole.level < 1)).all()


def test_refusals():
    with pytest.raises(InputError, match="path=uniform, found Mask"):
        UniformCount(Path(Mask(V), Linear()))
    timed = LeaveOneOut(Oracle(V, lambda x, t: torch.zeros(*x.shape, V)), NOISED)
    for model in (timed, tabular(kind=Factorized)):
        with pytest.raises(InputError, match=r"model=leave_one_out, net\.timed=false"):
            UniformCount(NOISED).check(model)
