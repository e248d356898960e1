"""The exact law of a model, by enumeration, and how far the truth is from it.

A joint posterior's law is q(x | all masked) ∝ q_ref e^{−E} (6.6). A factorized one has no law of
its own but that of the chain that opens site after site in uniformly random order, each by q^i:
the mean over all orders of ∏ q (11.3). Summed by dynamic programming over the partly masked
sequences, of which there are (V + 1)^L; samplers that take one site a step draw from it.
"""

import itertools
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.posteriors.factorized import Factorized
from tcsm.posteriors.joint import Joint
from tcsm.worlds.base import every

CHUNK = 4096  # sequences that a network sees at once


@torch.no_grad()
def log_law(model: nn.Module, length: int) -> Float64[Tensor, "N"]:
    """Log of the exact law over all V^L sequences, in lexicographic order.

    Raises:
        InputError: the model is neither joint nor factorized.
    """
    if isinstance(model, Joint):
        return joint_law(model, length)
    if isinstance(model, Factorized):
        return chain_law(model, length).log()
    raise InputError(f"an exact law needs model=factorized or joint, found {type(model).__name__}")


def joint_law(model: Joint, length: int) -> Float64[Tensor, "N"]:
    """Log q(x | all masked): energies and reference, normalized over all sequences."""
    vocabulary = model.path.source.vocabulary
    guesses = every(vocabulary, length)
    x_t, t = torch.full((1, length), vocabulary), torch.zeros(1, dtype=torch.float64)
    reference = model.reference.log_conditionals(x_t, t, torch.ones_like(x_t, dtype=torch.bool))
    energy = torch.cat([model.net(part[None], x_t, t)[0] for part in torch.split(guesses, CHUNK)])
    return torch.log_softmax(per_site(reference.double(), guesses) - energy.double(), 0)


def per_site(log_q: Float[Tensor, "L V"], x: Int[Tensor, "N L"]) -> Float[Tensor, "N"]:
    """Σᵢ log q^i(x^i)."""
    return log_q[torch.arange(x.shape[1]), x].sum(-1)


def chain_law(model: Factorized, length: int) -> Float64[Tensor, "N"]:
    """Law of the chain that opens one site at a time, in uniformly random order, from all masked.

    The mass of a partly masked sequence moves, in equal shares, to each of its n masked sites and
    on to the tokens there by q^i, level by level from n = L.
    """
    conditionals = _conditionals(model, length)
    vocabulary = conditionals.shape[-1]
    masked = every(vocabulary + 1, length) == vocabulary
    place = (vocabulary + 1) ** torch.arange(length - 1, -1, -1)
    change = (torch.arange(vocabulary) - vocabulary) * place[:, None]
    law = torch.zeros(len(masked), dtype=torch.float64)
    law[-1] = 1
    for count in range(length, 0, -1):
        rows = (masked.sum(-1) == count).nonzero().squeeze(-1)
        moved = law[rows, None, None] / count * conditionals[rows]
        target = rows[:, None, None] + change
        open = masked[rows]
        law.index_add_(0, target[open].flatten(), moved[open].flatten())
    return law[~masked.any(-1)]


@torch.no_grad()
def log_chain(model: Factorized, x: Int[Tensor, "B L"]) -> Float64[Tensor, "B"]:
    """Log of the same law at a few short sequences: L calls for each of the L! orders."""
    length, mask = x.shape[1], model.path.source.vocabulary
    orders = [
        sum(
            (_log_site(model, x, order[:n], order[n], mask) for n in range(length)),
            x.new_zeros(()),
        )
        for order in itertools.permutations(range(length))
    ]
    return torch.logsumexp(torch.stack(orders), 0) - math.log(len(orders))


def _log_site(
    model: Factorized, x: Int[Tensor, "B L"], known: Sequence[int], site: int, mask: int
) -> Float64[Tensor, "B"]:
    """Log q of the token at a site, where some others are known."""
    open = torch.ones_like(x, dtype=torch.bool)
    open[:, list(known)] = False
    here = torch.zeros_like(open)
    here[:, site] = True
    t = model.path.schedule.inverse(1 - open.double().mean(-1))
    log_q = model.log_conditionals(x.masked_fill(open, mask), t, here).double()
    return log_q.gather(-1, x[:, site, None]).squeeze(-1)


def _conditionals(model: Factorized, length: int) -> Float64[Tensor, "M L V"]:
    """Q^i(· | x_t) of every partly masked sequence in lexicographic order; 0 at open sites."""
    vocabulary = model.path.source.vocabulary
    found = []
    for x_t in torch.split(every(vocabulary + 1, length), CHUNK):
        open = x_t == vocabulary
        t = model.path.schedule.inverse(1 - open.double().mean(-1))
        q = model.log_conditionals(x_t, t, open).double().exp()
        blank = torch.zeros(*x_t.shape, vocabulary, dtype=torch.float64)
        found.append(blank.masked_scatter(open[..., None], q))
    return torch.cat(found)


def kl(log_p: Float64[Tensor, "N"], log_q: Float64[Tensor, "N"]) -> float:
    """KL(p ‖ q) in nats; not a number or infinite where q is."""
    p = log_p.exp()
    return float(torch.where(p > 0, p * (log_p - log_q), 0.0).sum())
