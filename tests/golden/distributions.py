"""Exact output distributions of samplers, by propagation of the path's own kernels (12.1-12.4)."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from tcsm.models.base import Posterior
from tcsm.models.factorized import Factorized
from tcsm.process.paths import Mixture, Path
from tests.enumeration import product_kernel, sequences, total_variation
from tests.golden.bounds import order_distribution
from tests.golden.losses import source
from tests.golden.processes import named_schedule
from tests.golden.verdict import Case, Comparison, UnknownKindError
from tests.tables import exact

PositionKernel = Callable[[Path, Tensor, Tensor, Tensor, Tensor], Tensor]


def mixed(kernel: Callable[..., Mixture], path: Path, log_q: Tensor, *rest: Tensor) -> Tensor:
    """Σ_{x₁} q(x₁) kernel(a | x_t, x₁) at each position, (N, L, states)."""
    x_t, t, s = rest
    labels = torch.arange(path.source.vocabulary).expand(*x_t.shape, -1)
    here = x_t[..., None].expand(labels.shape)
    now, then = (path.schedule.alpha(time).expand(labels.shape) for time in (t, s))
    distribution = kernel(path, here, labels, now, then).distribution(here, labels, path.source)
    return (log_q.exp()[..., None] * distribution).sum(-2)


def leap(path: Path, x_t: Tensor, x_1: Tensor, now: Tensor, then: Tensor) -> Mixture:
    """`Path.leap` with the bridge's signature."""
    return path.leap(x_t, now, then)


def euler(path: Path, log_q: Tensor, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
    """δ_x + h · rate, h cut where it would leave less than nothing; all jump in the last step."""
    if s == 1:
        return mixed(leap, path, log_q, x_t, t, s)
    h = torch.minimum(s - t, 1 / path.schedule.kappa(t))
    gain = h * path.rate(log_q, x_t, t.expand(x_t.shape))
    stay = torch.nn.functional.one_hot(x_t, path.source.states).double()
    masks = path.source.states - path.source.vocabulary  # the rate is towards clean tokens only
    return stay * (1 - (gain.sum(-1, keepdim=True))) + torch.nn.functional.pad(gain, (0, masks))


KERNELS: dict[str, list[PositionKernel]] = {
    "ancestral": [partial(mixed, leap)],
    "tau": [partial(mixed, leap)],
    "d3pm": [partial(mixed, Path.bridge)],
    "euler": [euler],
}


def sampler(case: Case) -> Iterator[Comparison]:
    """The distribution after n steps with the exact posterior, and its TV to p₁."""
    p_1 = torch.tensor(case["p1"], dtype=torch.float64)
    path = Path(source(case["source"], len(p_1)), named_schedule(case["schedule"]))
    model = Factorized(exact(path, p_1.numpy()), path)
    for distribution in output_distributions(case, model, p_1.dim()):
        clean = distribution[clean_rows(path, p_1.dim())]
        yield Comparison("final_law_clean", clean, case["final_law_clean"])
        missing = float(distribution.sum() - clean.sum()) / 2
        tv = total_variation(clean.numpy(), p_1.flatten().numpy()) + missing
        yield Comparison("tv", tv, case["tv"])


def output_distributions(case: Case, model: Factorized, length: int) -> Iterator[Tensor]:
    """One distribution for each kernel; for the mask, leap and bridge are one."""
    kernels = list(KERNELS.get(case["sampler"], []))
    if case["source"] == "mask" and case["sampler"] in ("ancestral", "tau"):
        kernels += KERNELS["d3pm"]
    for kernel in kernels:
        yield propagate(model, kernel, case["n_steps"], length)
    if case["sampler"] == "first_hitting":
        states = torch.from_numpy(sequences(model.path.source.states, length))
        distribution = torch.zeros(len(states), dtype=torch.float64)
        rows = clean_rows(model.path, length)
        distribution[rows] = order_distribution(model, states[rows])
        yield distribution
    elif not kernels:
        raise UnknownKindError(f"sampler {case['sampler']}")


def clean_rows(path: Path, length: int) -> Tensor:
    """Which states hold no mask, in lexicographic order."""
    states = torch.from_numpy(sequences(path.source.states, length))
    return (states < path.source.vocabulary).all(-1)


@torch.no_grad()
def propagate(model: Posterior, kernel: PositionKernel, steps: int, length: int) -> Tensor:
    """p_N = p₀ T₁ … T_N over all sequences."""
    path = model.path
    states = torch.from_numpy(sequences(path.source.states, length))
    distribution = path.source.probability(states).prod(-1)
    grid = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    for t, s in itertools.pairwise(grid):
        every = path.source.noised(states)
        log_q = model.log_marginals(states, t.expand(len(states)), every)
        positions = kernel(path, log_q, states, t, s)
        closed = torch.nn.functional.one_hot(states, path.source.states).double()
        positions = torch.where(every[..., None], positions, closed)
        distribution = distribution @ torch.from_numpy(product_kernel(positions.numpy()))
    return distribution
