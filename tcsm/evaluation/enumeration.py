"""The exact distribution of a model, by enumeration.

A joint posterior's distribution is q(x | all masked) ∝ q_ref e^{−E} (6.6). A factorized one has
only that of the chain which unmasks positions one by one in uniformly random order, each by q^i:
the mean over all orders of ∏ q (11.3). It is summed by dynamic programming over the (V + 1)^L
partly masked sequences; samplers that unmask one position per step draw from it.
"""

import itertools
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.models.factorized import Factorized
from tcsm.models.joint import Joint
from tcsm.toy.base import all_sequences

CHUNK = 4096  # sequences in one network call


@torch.no_grad()
def log_distribution(model: nn.Module, length: int) -> Float64[Tensor, "N"]:
    """Return the exact log-distribution over all V^L sequences, in lexicographic order.

    Raises:
        InputError: the model is neither joint nor factorized.
    """
    if isinstance(model, Joint):
        return joint_distribution(model, length)
    if isinstance(model, Factorized):
        return chain_distribution(model, length).log()
    raise InputError(
        f"an exact distribution needs model=factorized or joint, found {type(model).__name__}"
    )


def joint_distribution(model: Joint, length: int) -> Float64[Tensor, "N"]:
    """Return log q(x | all masked), normalized over all sequences."""
    vocabulary = model.path.source.vocabulary
    guesses = all_sequences(vocabulary, length)
    x_t, t = torch.full((1, length), vocabulary), torch.zeros(1, dtype=torch.float64)
    reference = model.reference.log_conditionals(x_t, t, torch.ones_like(x_t, dtype=torch.bool))
    energy = torch.cat([model.net(part[None], x_t, t)[0] for part in torch.split(guesses, CHUNK)])
    return torch.log_softmax(per_position(reference.double(), guesses) - energy.double(), 0)


def per_position(log_q: Float[Tensor, "L V"], x: Int[Tensor, "N L"]) -> Float[Tensor, "N"]:
    """Return Σᵢ log q^i(x^i)."""
    return log_q[torch.arange(x.shape[1]), x].sum(-1)


def chain_distribution(model: Factorized, length: int) -> Float64[Tensor, "N"]:
    """Return the distribution of the chain that unmasks one position at a time, in random order.

    The mass of a partly masked sequence moves, in equal shares, to each of its n masked positions
    and on to the tokens there by q^i, level by level from n = L.
    """
    conditionals = _conditionals(model, length)
    vocabulary = conditionals.shape[-1]
    masked = all_sequences(vocabulary + 1, length) == vocabulary
    place = (vocabulary + 1) ** torch.arange(length - 1, -1, -1)
    change = (torch.arange(vocabulary) - vocabulary) * place[:, None]
    distribution = torch.zeros(len(masked), dtype=torch.float64)
    distribution[-1] = 1
    for count in range(length, 0, -1):
        rows = (masked.sum(-1) == count).nonzero().squeeze(-1)
        moved = distribution[rows, None, None] / count * conditionals[rows]
        target = rows[:, None, None] + change
        noised = masked[rows]
        distribution.index_add_(0, target[noised].flatten(), moved[noised].flatten())
    return distribution[~masked.any(-1)]


@torch.no_grad()
def log_chain(model: Factorized, x: Int[Tensor, "B L"]) -> Float64[Tensor, "B"]:
    """Return the chain's log-probability of short sequences: L calls for each of the L! orders."""
    length, mask = x.shape[1], model.path.source.vocabulary
    orders = [
        sum(
            (_log_position(model, x, order[:n], order[n], mask) for n in range(length)),
            x.new_zeros(()),
        )
        for order in itertools.permutations(range(length))
    ]
    return torch.logsumexp(torch.stack(orders), 0) - math.log(len(orders))


def _log_position(
    model: Factorized, x: Int[Tensor, "B L"], known: Sequence[int], position: int, mask: int
) -> Float64[Tensor, "B"]:
    """Return log q of the token at a position, given the tokens at known positions."""
    noised = torch.ones_like(x, dtype=torch.bool)
    noised[:, list(known)] = False
    here = torch.zeros_like(noised)
    here[:, position] = True
    t = model.path.schedule.inverse(1 - noised.double().mean(-1))
    log_q = model.log_conditionals(x.masked_fill(noised, mask), t, here).double()
    return log_q.gather(-1, x[:, position, None]).squeeze(-1)


def _conditionals(model: Factorized, length: int) -> Float64[Tensor, "M L V"]:
    """Return q^i(· | x_t) of all partly masked sequences, in lexicographic order; 0 if visible."""
    vocabulary = model.path.source.vocabulary
    parts = []
    for x_t in torch.split(all_sequences(vocabulary + 1, length), CHUNK):
        noised = x_t == vocabulary
        t = model.path.schedule.inverse(1 - noised.double().mean(-1))
        q = model.log_conditionals(x_t, t, noised).double().exp()
        blank = torch.zeros(*x_t.shape, vocabulary, dtype=torch.float64)
        parts.append(blank.masked_scatter(noised[..., None], q))
    return torch.cat(parts)


def kl(log_p: Float64[Tensor, "N"], log_q: Float64[Tensor, "N"]) -> float:
    """Return KL(p ‖ q) in nats."""
    p = log_p.exp()
    return float(torch.where(p > 0, p * (log_p - log_q), 0.0).sum())
