"""The condition number of a score-matching loss at its optimum, as a function of the neighborhood.

Around q = p the loss over N(x) has the Hessian of a graph's Laplacian (2.3),

    vᵀ H v = Σ_x p(x) Σ_{y ∈ N(x)} c ψ″(log p(y) − log p(x)) (v(y) − v(x))²,

v a change of log q, and KL(p ‖ q) has vᵀ C v = Var_p v. The condition number is λ_max/λ_min of
H v = λ C v: 1 if the loss is a multiple of KL, large if some directions of KL hardly change the
loss. With BCE and a leak ε the odds of modes that single substitutions do not connect have
λ = O(ε) for k = 1 and O(1) for k = 2 (2.2).
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float64
from torch import Tensor

from tcsm.divergences.bregman import Bregman
from tcsm.neighborhoods.base import Neighborhood
from tcsm.toy.base import World, all_sequences


@dataclass(frozen=True)
class LossHessian:
    """A score-matching loss at q = p, all positions masked.

    Attributes:
        world: gives p.
        neighborhood: N.
        divergence: D_F.
    """

    world: World
    neighborhood: Neighborhood
    divergence: Bregman


@lru_cache(maxsize=64)
def condition(hessian: LossHessian) -> float:
    """Return λ_max/λ_min at q = p, with v in the sums of functions of two positions.

    Of joint models: p is their optimum for every k, while that of a factorized one moves (2.5).
    """
    directions = contrasts(hessian.world.vocabulary, hessian.world.length)
    h = directions.T @ (laplacian(hessian) @ directions)
    p = hessian.world.log_p.exp()
    mean = p @ directions
    root = torch.linalg.cholesky(directions.T @ (p[:, None] * directions) - mean[:, None] * mean)
    half = torch.linalg.solve_triangular(root, h, upper=False)
    values = torch.linalg.eigvalsh(torch.linalg.solve_triangular(root, half.T, upper=False))
    return float(values[-1] / values[0])


def laplacian(hessian: LossHessian) -> Float64[Tensor, "N N"]:
    """Return H over all N sequences."""
    x, log_p = all_sequences(hessian.world.vocabulary, hessian.world.length), hessian.world.log_p
    near = hessian.neighborhood.enumerate(x, torch.ones_like(x, dtype=torch.bool))
    place = hessian.world.vocabulary ** torch.arange(x.shape[1] - 1, -1, -1)
    y = (near.apply(x) * place).sum(-1)
    edges = torch.zeros(len(x), len(x), dtype=torch.float64).scatter_add_(1, y, near.weight)
    start, end = edges.nonzero(as_tuple=True)
    second = _second(hessian.divergence, log_p[end] - log_p[start])
    edges[start, end] *= log_p[start].exp() * second
    both = edges + edges.T
    return torch.diag(both.sum(1)) - both


def _second(divergence: Bregman, u: Float64[Tensor, "n"]) -> Float64[Tensor, "n"]:
    """Return ψ″(u), by differentiating twice."""
    u = u.detach().requires_grad_()
    (first,) = torch.autograd.grad(divergence.pair(u).sum(), u, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), u)
    return second


def contrasts(vocabulary: int, length: int) -> Float64[Tensor, "N P"]:
    """Return a basis of all sums of functions of one or two positions, without the constant."""
    x = all_sequences(vocabulary, length)
    single = (x[..., None] == torch.arange(1, vocabulary)).double()
    first, second = torch.combinations(torch.arange(length)).unbind(-1)
    pairs = single[:, first, :, None] * single[:, second, None, :]
    return torch.cat([single.flatten(1), pairs.flatten(1)], 1)
