"""Means of log cosh over all blocks and rewritings, by a product of means of cosines.

    log cosh(u/2) = ∫₀^∞ (1 − cos ωu)/(ω sinh πω) dω                                    (6.2)

The cosine of a sum is the real part of a product over positions, so that its mean over all blocks
S and all V^k rewritings is a symmetric polynomial of the means over y of exp(iω v_{i,y}). All
numbers are bounded by 1: nothing overflows. The midpoint rule of step h errs by about
exp(|u| − 2π/h).
"""

import math

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from tcsm.divergences.symmetric import Blocks

NODES, MARGIN = 128, 25.0  # an error of exp(−25) by the step, 2π/(max |u| + 25)
SCRATCH = 2**21  # angles that exist at once


def mean_log_cosh(v: Float[Tensor, "m V"], blocks: Blocks) -> Float64[Tensor, "B"]:
    """Return the mean over blocks S and y ∈ X^S of log cosh(½ Σ_{i∈S} v_{i,y_i}).

    It costs O(n(V + k)) for each of 128 nodes. The error is below 1e-8 for sums up to 100, and
    0.2 % for sums of a thousand.
    """
    v = v.double()
    step = 2 * math.pi / (blocks.largest_sum(v.detach().abs().amax(-1)) + MARGIN)
    nodes = torch.arange(NODES, device=v.device) + 0.5
    parts = nodes.split(max(1, SCRATCH // max(1, v.numel())))  # type: ignore[no-untyped-call]
    sums = [checkpoint(_sum, v, part, step, blocks, use_reentrant=False) for part in parts]
    return torch.stack(sums).sum(0)


def _sum(
    v: Float64[Tensor, "m V"],
    nodes: Float[Tensor, "N"],
    step: Float64[Tensor, "B"],
    blocks: Blocks,
) -> Float64[Tensor, "B"]:
    """Return the terms of some nodes."""
    omega = step[:, None] * nodes
    angle = v[..., None] * omega[blocks.noised.nonzero()[:, 0], None]
    mean = torch.complex(angle.cos().mean(1), angle.sin().mean(1))
    weight = step[:, None] / (omega * torch.sinh(math.pi * omega))
    return (weight * (1 - blocks.mean_of_products(mean).real)).sum(-1)
