"""The log-probability that a model draws a sequence in a known order of unmasking (12.4).

    log q(x | order) = Σ_g Σ_{i ∈ g} log q^i(x^i | x^{unmasked before g})

The first-hitting sampler draws its order from noise alone and then from exactly this distribution,
group g by group. So for sequences that θ drew in known orders, the weights p_base(x | order) /
p_θ(x | order) are exact, and have mean 1 and the base sampler's distribution for every order
(10.5).
"""

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from tcsm.models.factorized import Factorized


@torch.no_grad()
def log_along(
    model: Factorized,
    x: Int64[Tensor, "B L"],
    order: Int64[Tensor, "B L"],
    t: Float64[Tensor, "B L"],
    at_once: int = 1,
) -> Float64[Tensor, "B"]:
    """Return log q(x | order) in nats, ⌈L/at_once⌉ passes.

    Args:
        model: a posterior of masks.
        x: clean sequences.
        order: positions, the first to be unmasked first.
        t: times at which they do, in that order; the first of a group is the group's.
        at_once: positions that are unmasked together, independently.
    """
    x_t = torch.full_like(x, model.path.source.vocabulary)
    total = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for first in range(0, x.shape[1], at_once):
        now = order[:, first : first + at_once]
        positions = torch.zeros_like(x, dtype=torch.bool).scatter(1, now, True)
        log_q = model.log_conditionals(x_t, t[:, first], positions).double()
        here = log_q.gather(-1, x[positions][:, None])
        total += here.view(len(x), -1).sum(-1)
        x_t = torch.where(positions, x, x_t)
    return total
