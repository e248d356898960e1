"""Schedules, exact posteriors, and the integrands of the uniform source's bounds."""

import string
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tcsm.models.factorized import LeaveOneOut
from tcsm.process.corruption import Positions
from tcsm.process.paths import Path
from tcsm.process.schedules import Cosine, Linear, Polynomial, Schedule
from tcsm.process.sources import Uniform
from tests.golden.losses import source
from tests.golden.verdict import Case, Comparison, UnknownKindError
from tests.tables import Table


@dataclass(frozen=True)
class Instant(Schedule):
    """One moment of some schedule, known by its α and α̇ alone."""

    level: float
    slope: float

    def alpha(self, t: Tensor) -> Tensor:
        return torch.full_like(t, self.level)

    def alpha_dot(self, t: Tensor) -> Tensor:
        return torch.full_like(t, self.slope)

    def inverse(self, alpha: Tensor) -> Tensor:
        return torch.full_like(alpha, 0.5)


def named_schedule(name: str) -> Schedule:
    """linear, cosine or poly<power>."""
    if name.startswith("poly") and name.removeprefix("poly")[:1] in string.digits:
        return Polynomial(float(name.removeprefix("poly")))
    kinds = {"linear": Linear(), "cosine": Cosine()}
    if name not in kinds:
        raise UnknownKindError(f"schedule {name}")
    return kinds[name]


def schedule(case: Case) -> Iterator[Comparison]:
    """α, α̇, κ, and back."""
    built, t = named_schedule(case["name"]), torch.tensor(case["t"], dtype=torch.float64)
    for name in ("alpha", "alpha_dot", "kappa"):
        yield Comparison(name, getattr(built, name)(t), case[name])
    yield Comparison("inverse", built.inverse(built.alpha(t)), case["t"])


def posterior(case: Case) -> Iterator[Comparison]:
    """Bayes' rule with the path's own likelihood: p_t, the joint, its marginals."""
    p_1 = torch.tensor(case["p1"], dtype=torch.float64)
    x_t, alpha = torch.tensor(case["xt"]), torch.tensor(case["alpha"], dtype=torch.float64)
    path = Path(source(case["source"], len(p_1)), Linear())
    log_evidence = path.log_likelihood(x_t, alpha.expand(x_t.shape))
    joint = p_1.log()
    for position, row in enumerate(log_evidence):
        joint = joint + row.view([-1 if axis == position else 1 for axis in range(p_1.dim())])
    yield Comparison("p_t", joint.exp().sum(), case["p_t"])
    joint = joint.exp() / joint.exp().sum()
    yield Comparison("joint", joint, case["joint"])
    axes = range(p_1.dim())
    actual = torch.stack([joint.sum([j for j in axes if j != i]) for i in axes])
    yield Comparison("marginals", actual, case["marginals"])


def integrands(case: Case) -> Iterator[Comparison]:
    """One position of the uniform source, from its leave-one-out logits (11.2, 11.4)."""
    path = Path(Uniform(case["V"]), Instant(case["alpha"], case["alpha_dot"]))
    x_t, x_1, t = torch.tensor([case["xt"]]), torch.tensor([case["x1"]]), torch.full((1,), 0.5)
    t = t.double()
    logits = torch.tensor([case["pi_logits"]], dtype=torch.float64)
    log_q = LeaveOneOut(Table(logits), path).conditionals(logits, Positions(x_1, x_t, t, range(1)))
    yield Comparison("q", log_q[0].exp(), case["q"])
    yield Comparison("score", scores(path, log_q, x_t, t), case["score"])
    yield Comparison("reverse", path.nelbo(log_q, x_1, x_t, t)[0], case["reverse_integrand"])
    yield Comparison("dfm", one_way(path, log_q, x_1, x_t, t)[0], case["dfm_integrand"])


def scores(path: Path, log_q: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
    """p_t(y)/p_t(x_t) = Σ_z q(z) p_{t|1}(y | z)/p_{t|1}(x_t | z) for every y (8.2)."""
    states = torch.arange(path.source.states)
    there = path.log_likelihood(states, path.alpha(t).expand(states.shape))
    here = path.log_likelihood(x_t, path.alpha(t))
    return torch.logsumexp(log_q + there - here, -1).exp()


def one_way(path: Path, log_q: Tensor, x_1: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
    """Σ_{y≠x} R − R* + R* log(R*/R) of the flow's rates, the truth's R* being to x₁ (11.1)."""
    label = torch.zeros_like(log_q).scatter(-1, x_1[:, None], 1.0)
    model, truth = path.rate(log_q, x_t, t), path.rate(label.log(), x_t, t)
    away = torch.ones_like(log_q).scatter(-1, x_t[:, None], 0.0).bool()
    gap = torch.where(truth > 0, torch.xlogy(truth, truth / model), torch.zeros_like(truth))
    return torch.where(away, model - truth + gap, torch.zeros_like(gap)).sum(-1)
