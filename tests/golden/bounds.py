"""Likelihood bounds of tabulated models, and the exact likelihood of the chains they define."""

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from tcsm.models.base import Posterior
from tcsm.models.factorized import Factorized, LeaveOneOut
from tcsm.models.losses import CrossEntropy
from tcsm.process.corruption import Corrupted
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask, Uniform
from tests.enumeration import logit_quadrature, sequences
from tests.golden.processes import one_way
from tests.golden.verdict import Case, Comparison, UnknownKindError
from tests.tables import Table, number

PositionValue = Callable[[Path, Tensor, Tensor, Tensor, Tensor], Tensor]


def elbo(case: Case) -> Iterator[Comparison]:
    """Every x₁ of a small space."""
    kinds = {"mask": masked, "uniform": uniform}
    if case["source"] not in kinds:
        raise UnknownKindError(f"elbo source {case['source']}")
    yield from kinds[case["source"]](case)


@torch.no_grad()
def masked(case: Case) -> Iterator[Comparison]:
    """Over all subsets of masked positions, with the estimator's own weights (11.3)."""
    path = Path(Mask(case["V"]), Linear())
    table = Table(torch.tensor(case["logits"], dtype=torch.float64), path.source.states)
    model = Factorized(table, path)
    data = torch.from_numpy(sequences(case["V"], case["L"]))
    yield Comparison("bound_nats", subset_bound(model, data), case["bound_nats"])
    yield Comparison("nll_nats", -order_distribution(model, data).log(), case["nll_nats"])


def subset_bound(model: Posterior, x_1: Tensor) -> Tensor:
    """E over n ∼ {1 … L} and subsets of n positions of what `Count` computes at them."""
    length = x_1.shape[1]
    return torch.stack(
        [
            torch.stack([at_subset(model, x_1, hidden) for hidden in subsets(length, n)]).mean(0)
            for n in range(1, length + 1)
        ]
    ).mean(0)


def subsets(length: int, n: int) -> Iterator[Tensor]:
    """All choices of n positions as flags."""
    for chosen in itertools.combinations(range(length), n):
        yield torch.zeros(length, dtype=torch.bool).index_fill(0, torch.tensor(chosen), True)


def at_subset(model: Posterior, x_1: Tensor, hidden: Tensor) -> Tensor:
    """Nats of each sequence when just these positions are masked."""
    path = model.path
    n, length = int(hidden.sum()), len(hidden)
    alpha = torch.full((len(x_1),), 1 - n / length, dtype=torch.float64)
    omega = torch.full_like(alpha, length / n)
    x_t = torch.where(hidden, path.source.vocabulary, x_1)
    drawn = Corrupted(x_1, x_t, path.schedule.inverse(alpha), path.source.noised(x_t), omega)
    weight = torch.ones(len(x_1) * n, dtype=torch.float64)
    result = model.weighted_loss(drawn, CrossEntropy(), weight)
    return omega * result.loss.view(len(x_1), n).sum(-1)


def order_distribution(model: Posterior, x_1: Tensor) -> Tensor:
    """p(x₁) of opening one position after the other in random order (12.4): mean over orders."""
    length, path = x_1.shape[1], model.path
    reached = {frozenset[int](): torch.ones(len(x_1), dtype=torch.float64)}
    for opened in itertools.chain.from_iterable(
        itertools.combinations(range(length), n) for n in range(length)
    ):
        seen = torch.zeros(length, dtype=torch.bool)
        seen[list(opened)] = True
        x_t = torch.where(seen, x_1, path.source.vocabulary)
        log_q = model.log_marginals(x_t, torch.zeros(len(x_1)).double(), path.source.noised(x_t))
        for position in set(range(length)) - set(opened):
            step = log_q[:, position].gather(-1, x_1[:, position, None])[:, 0].exp()
            share = reached[frozenset(opened)] * step / (length - len(opened))
            grown = frozenset(opened) | {position}
            reached[grown] = reached.get(grown, 0) + share
    return reached[frozenset(range(length))]


def uniform(case: Case) -> Iterator[Comparison]:
    """The reverse process's bound and the one-way flow's, each with its chain's distribution."""
    path = Path(Uniform(case["V"]), Linear())
    logits = torch.tensor(case["pi_logits"], dtype=torch.float64)
    model = LeaveOneOut(Table(logits, path.source.states), path)
    data = torch.from_numpy(sequences(case["V"], case["L"]))
    reverse = time_bound(model, data, Path.nelbo)
    flow = time_bound(model, data, one_way)
    chains = ((reverse, bridge_rates, "reverse"), (flow, flow_rates, "dfm"))
    for bound, rates, name in chains:
        yield Comparison(f"bound_{name}", bound, case[f"bound_{name}"], 1e-5)
        nats = -terminal_distribution(model, rates, case["L"]).log()
        yield Comparison(f"nll_{name}", nats, case[f"nll_{name}"], 1e-5)


@torch.no_grad()
def time_bound(model: Factorized, x_1: Tensor, integrand: PositionValue) -> Tensor:
    """∫ dt E_{x_t} Σ_i of a per-position integrand, for α = t, by quadrature."""
    path, (alpha, weight) = model.path, (torch.from_numpy(part) for part in logit_quadrature())
    total = torch.zeros(len(x_1), dtype=torch.float64)
    for x_t in torch.from_numpy(sequences(path.source.states, x_1.shape[1])):
        log_q = conditionals(model, x_t, alpha)
        here = x_t.expand(len(alpha), -1)
        evidence = path.log_likelihood(here, alpha[:, None].expand(here.shape))
        for row, data in enumerate(x_1):
            chance = evidence.gather(-1, data.expand(len(alpha), -1)[..., None]).sum((1, 2)).exp()
            positions = [
                integrand(path, log_q[:, i], *same(len(alpha), data[i], x_t[i]), alpha)
                for i in range(len(data))
            ]
            total[row] += (weight * chance * torch.stack(positions).sum(0)).sum()
    return total


def same(count: int, *tokens: Tensor) -> list[Tensor]:
    """Each token ``count`` times."""
    return [token.expand(count) for token in tokens]


def conditionals(model: Posterior, x_t: Tensor, t: Tensor) -> Tensor:
    """Log q^i(· | x_t) of one state at many times, (times, L, V)."""
    states, drawn = x_t.expand(len(t), -1), model.path.source.noised(x_t)
    return model.log_marginals(states, t, drawn.expand(len(t), -1))


def flow_rates(path: Path, log_q: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
    """The flow's rates (1.6)."""
    return path.rate(log_q, x_t, t)


def bridge_rates(path: Path, log_q: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
    """Rates of the reverse process: the derivative of the bridge, mixed over q (8.3).

    Two one-sided differences, extrapolated; the steps are small against both ends of time.
    """
    step = 1e-4 * t * (1 - t)

    def slope(h: Tensor) -> Tensor:
        labels = torch.arange(path.source.vocabulary).expand(*x_t.shape, -1)
        here, now, then = (part[..., None].expand(labels.shape) for part in (x_t, t, t + h))
        distribution = path.bridge(here, labels, now, then).distribution(here, labels, path.source)
        moved = (log_q.exp()[..., None] * distribution).sum(-2) / h[..., None]
        return moved.scatter(-1, x_t[..., None], 0.0)

    return 2 * slope(step / 2) - slope(step)


@torch.no_grad()
def terminal_distribution(model: Posterior, rates: Callable[..., Tensor], length: int) -> Tensor:
    """The distribution at t = 1 of the chain with these rates: RK4 in logit α, for α = t."""
    path, steps = model.path, 500
    states = torch.from_numpy(sequences(path.source.states, length))
    u = torch.linspace(-32, 30, 2 * steps + 1, dtype=torch.float64)
    alpha = torch.sigmoid(u)
    generator = torch.zeros(len(u), len(states), len(states), dtype=torch.float64)
    for row, x_t in enumerate(states):
        log_q = conditionals(model, x_t, alpha)
        for position in range(length):
            rate = rates(path, log_q[:, position], x_t[position].expand(len(u)), alpha)
            for token in set(range(path.source.states)) - {int(x_t[position])}:
                moved = x_t.index_fill(0, torch.tensor(position), token)
                target = number(moved[None], path.source.states)[0]
                generator[:, row, target] += rate[:, token] * alpha * torch.sigmoid(-u)
    diagonal = torch.arange(len(states))
    generator[:, diagonal, diagonal] -= generator.sum(-1)
    return runge_kutta(generator, float(u[2] - u[0]))


def runge_kutta(generator: Tensor, h: float) -> Tensor:
    """p′ = p G from the uniform distribution, G at steps and half steps."""
    grid, count = generator.numpy(), generator.shape[-1]
    p = np.full(count, 1 / count)
    for first in range(0, len(grid) - 2, 2):
        k_1 = p @ grid[first]
        k_2 = (p + h / 2 * k_1) @ grid[first + 1]
        k_3 = (p + h / 2 * k_2) @ grid[first + 1]
        k_4 = (p + h * k_3) @ grid[first + 2]
        p = p + h / 6 * (k_1 + 2 * k_2 + 2 * k_3 + k_4)
    return torch.from_numpy(p)
