"""Blocks: all k-subsets of the masked positions of a sequence, and means over them.

    mean over S of ∏_{i∈S} m_i = e_k(m_1, …, m_n)/C(n, k)                              (6.3)

with e_k the elementary symmetric polynomial, the coefficient of z^k in ∏ᵢ (1 + m_i z). Subsets are
not enumerated: the product is taken pairwise in logs, so that nothing overflows and n factors need
log₂ n rounds, of O(nk) operations in all.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

NOTHING = -1e30  # log of 0 that leaves gradients finite


@dataclass(frozen=True)
class Blocks:
    """The blocks of each sequence of a batch.

    Attributes:
        noised: masked positions, of which blocks consist; n in a sequence.
        limit: k; a sequence with fewer masked positions has one block, all of them.
    """

    noised: Bool[Tensor, "B L"]
    limit: int

    def sizes(self) -> Int[Tensor, "B"]:
        """Return the size of the blocks of each sequence, min(k, n)."""
        return self.noised.sum(-1).clamp(max=self.limit)

    def mean_of_sums(self, values: Float[Tensor, "m"]) -> Float[Tensor, "B"]:
        """Return the mean over S of Σ_{i∈S} values_i; 0 where no position is masked."""
        total = self._spread(values, 0.0).sum(-1)
        return total * self.sizes() / self.noised.sum(-1).clamp(min=1)

    def log_mean_of_products(self, log_m: Float[Tensor, "m"]) -> Float[Tensor, "B"]:
        """Return the log of the mean over S of ∏_{i∈S} m_i (6.3); 0 for an empty sequence."""
        log_e = log_symmetric(self._spread(log_m, NOTHING), self.limit)
        sizes, count = self.sizes(), self.noised.sum(-1).double()
        log_choices = _log_factorial(count) - _log_factorial(sizes) - _log_factorial(count - sizes)
        return log_e.gather(-1, sizes[:, None]).squeeze(-1) - log_choices.to(log_e.dtype)

    def _spread(self, values: Float[Tensor, "m"], empty: float) -> Float[Tensor, "B L"]:
        """Scatter one value per masked position to its place in the batch."""
        blank = torch.full(self.noised.shape, empty, dtype=values.dtype, device=values.device)
        return blank.masked_scatter(self.noised, values)


def log_symmetric(log_m: Float[Tensor, "B n"], degree: int) -> Float[Tensor, "B j"]:
    """Return log e_0, …, log e_degree of m; those beyond n are `NOTHING` or less.

    A product of 2^l factors has degree 2^l at most, so that all of them cost O(n · degree).
    """
    polynomial = torch.stack([torch.zeros_like(log_m), log_m], -1)
    while polynomial.shape[1] > 1:
        if polynomial.shape[1] % 2:
            one = torch.full_like(polynomial[:, :1], NOTHING)
            one[..., 0] = 0
            polynomial = torch.cat([polynomial, one], 1)
        polynomial = _multiply(polynomial[:, ::2], polynomial[:, 1::2], degree)
    missing = degree + 1 - polynomial.shape[-1]
    return functional.pad(polynomial.squeeze(1), (0, missing), value=NOTHING)


def _multiply(
    a: Float[Tensor, "B n j"], b: Float[Tensor, "B n j"], degree: int
) -> Float[Tensor, "B n i"]:
    """Return the log-coefficients of the product of two polynomials, cut at a degree."""
    size = a.shape[-1]
    terms = []
    for power in range(min(2 * size - 1, degree + 1)):
        first, last = max(0, power - size + 1), min(power, size - 1)
        terms.append(a[..., first : last + 1] + b[..., power - last : power - first + 1].flip(-1))
    return torch.stack([torch.logsumexp(term, -1) for term in terms], -1)


def _log_factorial(n: Tensor) -> Float[Tensor, "B"]:
    return torch.lgamma(n.double() + 1)
