"""The contract of a neighborhood: a list of edits, and the score loss over them.

A neighbor of x is x with K positions replaced; each has a weight, and the loss is

    ℓ(x) = Σ_{y ∈ N(x)} c(x, y) ψ(log q(y) − log q(x))                                (2.3)

Objectives use one of three methods, which give the same value where they apply:

* ``position_loss`` of a `PerPosition` neighborhood, one number a noised position, evaluated chunk
  by chunk: neighbors that differ at one position, under a factorized posterior (3.1);
* ``sequence_loss``, one number a sequence, of a factorized posterior: in closed form where
  one exists, else over the list;
* ``enumerate`` or ``draw``, a list of neighbors with weights, for any posterior.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from tcsm.divergences import closed_form
from tcsm.divergences.bregman import Bregman
from tcsm.divergences.closed_form import ClosedForm
from tcsm.errors import InputError
from tcsm.noise import Noise


@dataclass(frozen=True)
class Neighbors:
    """N neighbors of each sequence; neighbor j replaces tokens at K positions.

    Attributes:
        positions: which positions, each once.
        tokens: their new tokens; at a visible position, its own.
        weight: weight in the loss: c, or an importance weight of a draw; 0 for padding.
    """

    positions: Int[Tensor, "B N K"]
    tokens: Int[Tensor, "B N K"]
    weight: Float64[Tensor, "B N"]

    def apply(self, x: Int[Tensor, "B L"]) -> Int[Tensor, "B N L"]:
        """Return the neighbors themselves."""
        spread = x[:, None].expand(-1, self.positions.shape[1], -1)
        return spread.scatter(-1, self.positions, self.tokens)

    def log_ratio(
        self, log_q: Float[Tensor, "B L V"], x: Int[Tensor, "B L"]
    ) -> Float[Tensor, "B N"]:
        """Return log q(y)/q(x) under a product distribution: Σ over rewritten positions."""
        batch, count, size = self.positions.shape
        flat = log_q.flatten(1)
        vocabulary = log_q.shape[-1]
        here = x.gather(1, self.positions.flatten(1))
        there = self.tokens.flatten(1)
        index = self.positions.flatten(1) * vocabulary
        change = flat.gather(1, index + there) - flat.gather(1, index + here)
        return change.view(batch, count, size).sum(-1)

    def sum(self, values: Float[Tensor, "B N"]) -> Float[Tensor, "B"]:
        """Return Σ weight · value; entries of weight 0 add nothing, even if not finite."""
        kept = torch.where(self.weight > 0, values, torch.zeros_like(values))
        return (self.weight.to(values.dtype) * kept).sum(-1)

    def draw(self, count: int, noise: Noise) -> "Neighbors":
        """Return ``count`` draws by weight, with replacement; weighted sums are unbiased."""
        cumulated = self.weight.cumsum(-1)
        total = cumulated[:, -1:]
        index = torch.searchsorted(
            cumulated, noise.uniform("neighbors", count) * total, right=True
        )
        index = index.clamp(max=cumulated.shape[1] - 1)
        spread = index[..., None].expand(-1, -1, self.positions.shape[-1])
        positions, tokens = (part.gather(1, spread) for part in (self.positions, self.tokens))
        return Neighbors(positions, tokens, (total / count).expand(-1, count))


class Neighborhood(ABC):
    """A set of neighbors for each sequence.

    Attributes:
        symmetric: y ∈ N(x) ⇔ x ∈ N(y), with one weight. The sample form (2.3) is wrong without it.
    """

    symmetric: ClassVar[bool]

    @property
    def one_position(self) -> bool:
        """Return whether neighbors differ at one position; else marginals are no optimum (2.5)."""
        return False

    @abstractmethod
    def enumerate(self, x: Int[Tensor, "B L"], noised: Bool[Tensor, "B L"]) -> Neighbors:
        """Return all neighbors that differ from x at noised positions only."""

    def draw(
        self, x: Int[Tensor, "B L"], noised: Bool[Tensor, "B L"], count: int, noise: Noise
    ) -> Neighbors:
        """Return ``count`` drawn neighbors; weighted sums over them are unbiased."""
        return self.enumerate(x, noised).draw(count, noise)

    def sequence_loss(
        self,
        divergence: Bregman,
        log_q: Float[Tensor, "n V"],
        x: Int[Tensor, "B L"],
        noised: Bool[Tensor, "B L"],
        noise: Noise,
    ) -> Float[Tensor, "B"]:
        """Return ℓ of each sequence from the log-conditionals of its noised positions."""
        near = self.enumerate(x, noised)
        return near.sum(divergence.pair(near.log_ratio(everywhere(log_q, noised), x)))


class PerPosition(Neighborhood):
    """A neighborhood of neighbors that differ at one position."""

    @property
    def one_position(self) -> bool:
        """Return True."""
        return True

    @abstractmethod
    def position_loss(
        self, divergence: Bregman, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"]
    ) -> Float[Tensor, "n"]:
        """Return the score loss of each position; ℓ is its mean over noised positions."""

    def closed_form(
        self,
        divergence: Bregman,
        log_q: Float[Tensor, "n V"],
        x: Int[Tensor, "n"],
        spare: Float[Tensor, "n V"],
    ) -> ClosedForm:
        """Return ``position_loss`` and its gradient by log q, here by autograd.

        It may overwrite ``log_q`` and ``spare``, memory for one more tensor of its size. Sums of
        the gradient over tokens are 0, so that it is also the gradient by logits.
        """
        return closed_form.by_autograd(lambda v: self.position_loss(divergence, v, x), log_q)

    def smoothed_form(
        self,
        divergence: Bregman,
        log_q: Float[Tensor, "n V"],
        x: Int[Tensor, "n"],
        spare: Float[Tensor, "n V"],
        epsilon: float,
    ) -> ClosedForm | None:
        """Return the loss of matched smoothing (3.7a) and its gradient, None for autograd."""
        return None

    def any_label_loss(
        self, divergence: Bregman, log_q: Float[Tensor, "n V"]
    ) -> Float[Tensor, "n"]:
        """Return (1/V) Σ_x ``position_loss`` over all labels x, for smoothing (3.7a)."""
        labels = torch.arange(log_q.shape[-1], device=log_q.device)
        each = [self.position_loss(divergence, log_q, x.expand(len(log_q))) for x in labels]
        return torch.stack(each).mean(0)


def require_symmetric(neighborhood: Neighborhood) -> None:
    """Refuse a neighborhood with which the sample form is wrong.

    Raises:
        InputError: a directed neighborhood, for which in- and out-neighbors count (2.4).
    """
    if not neighborhood.symmetric:
        name = type(neighborhood).__name__
        raise InputError(
            f"the sample form needs a symmetric neighborhood, {name} is not: there the loss of x "
            "has terms of its in-neighbors, with their weights (2.4); let x be a neighbor of y "
            "wherever y is one of x, with one weight"
        )


def require_tokens(vocabulary: int) -> None:
    """Refuse a vocabulary without neighbors.

    Raises:
        InputError: fewer than two tokens.
    """
    if vocabulary < 2:
        raise InputError(f"neighborhood.vocabulary must be at least 2, found {vocabulary}")


def everywhere(log_q: Float[Tensor, "n V"], noised: Bool[Tensor, "B L"]) -> Float[Tensor, "B L V"]:
    """Return the log-conditionals at their positions in the batch, 0 at visible positions."""
    blank = torch.zeros(*noised.shape, log_q.shape[-1], dtype=log_q.dtype, device=log_q.device)
    return blank.masked_scatter(noised[..., None], log_q)
