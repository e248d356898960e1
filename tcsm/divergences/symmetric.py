"""Blocks: all k-subsets of the masked positions of a sequence, and means over them.

    mean over S of ∏_{i∈S} m_i = e_k(m_1, …, m_n)/C(n, k)                              (6.3)

with e_k the elementary symmetric polynomial, the coefficient of z^k in ∏ᵢ (1 + m_i z). Subsets are
not enumerated: the product is taken pairwise in logs, so that nothing overflows and n factors need
log₂ n rounds, of O(nk) operations in all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Complex128, Float, Float64, Int, Shaped
from torch import Tensor

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
        sizes = self.sizes()[:, None]
        return log_e.gather(-1, sizes).squeeze(-1) - self._log_count().to(log_e.dtype)

    def mean_of_products(self, m: Complex128[Tensor, "m N"]) -> Complex128[Tensor, "B N"]:
        """Return the mean over S of ∏_{i∈S} m_i for each of N columns; |m| ≤ 1."""
        spread = m.new_zeros(*self.noised.shape, m.shape[-1])
        spread[self.noised] = m
        e = symmetric(spread.mT.flatten(0, 1), self.limit).view(len(spread), m.shape[-1], -1)
        sizes = self.sizes()[:, None, None].expand(-1, m.shape[-1], 1)
        return e.gather(-1, sizes).squeeze(-1) * (-self._log_count()).exp()[:, None]

    def largest_sum(self, values: Float[Tensor, "m"]) -> Float[Tensor, "B"]:
        """Return the largest Σ_{i∈S} values_i of values ≥ 0; 0 where no position is masked."""
        spread = self._spread(values, 0.0)
        return spread.topk(min(self.limit, spread.shape[1])).values.sum(-1)

    def _log_count(self) -> Float64[Tensor, "B"]:
        """Return log C(n, k)."""
        sizes, count = self.sizes(), self.noised.sum(-1).double()
        return _log_factorial(count) - _log_factorial(sizes) - _log_factorial(count - sizes)

    def _spread(self, values: Shaped[Tensor, "m"], empty: float) -> Shaped[Tensor, "B L"]:
        """Scatter one value per masked position to its place in the batch."""
        blank = torch.full(self.noised.shape, empty, dtype=values.dtype, device=values.device)
        return blank.masked_scatter(self.noised, values)


class _Arithmetic(NamedTuple):
    """How numbers are added and multiplied: as they are, or as their logs."""

    zero: float
    one: float
    dot: Callable[[Tensor, Tensor], Tensor]


_NUMBERS = _Arithmetic(0.0, 1.0, lambda a, b: (a * b).sum(-1))
_LOGS = _Arithmetic(NOTHING, 0.0, lambda a, b: torch.logsumexp(a + b, -1))


def log_symmetric(log_m: Float[Tensor, "B n"], degree: int) -> Float[Tensor, "B j"]:
    """Return log e_0, …, log e_degree of m; those beyond n are `NOTHING` or less."""
    return _coefficients(log_m, degree, _LOGS)


def symmetric(m: Shaped[Tensor, "B n"], degree: int) -> Shaped[Tensor, "B j"]:
    """Return e_0, …, e_degree of m, numbers so small that none of these overflows."""
    return _coefficients(m, degree, _NUMBERS)


def _coefficients(m: Shaped[Tensor, "B n"], degree: int, by: _Arithmetic) -> Shaped[Tensor, "B j"]:
    """Return the coefficients of ∏ᵢ (1 + m_i z) up to a degree.

    A product of 2^l factors has degree 2^l at most, so that all of them cost O(n · degree).
    """
    polynomial = torch.stack([torch.full_like(m, by.one), m], -1)
    while polynomial.shape[1] > 1:
        if polynomial.shape[1] % 2:
            one = torch.full_like(polynomial[:, :1], by.zero)
            one[..., 0] = by.one
            polynomial = torch.cat([polynomial, one], 1)
        polynomial = _multiply(polynomial[:, ::2], polynomial[:, 1::2], degree, by)
    missing = polynomial.new_full((len(m), max(0, degree + 1 - polynomial.shape[-1])), by.zero)
    return torch.cat([polynomial.squeeze(1), missing], -1)


def _multiply(
    a: Shaped[Tensor, "B n j"], b: Shaped[Tensor, "B n j"], degree: int, by: _Arithmetic
) -> Shaped[Tensor, "B n i"]:
    """Return the coefficients of the product of two polynomials, cut at a degree."""
    size = a.shape[-1]
    sums = []
    for power in range(min(2 * size - 1, degree + 1)):
        first, last = max(0, power - size + 1), min(power, size - 1)
        other = b[..., power - last : power - first + 1].flip(-1)
        sums.append(by.dot(a[..., first : last + 1], other))
    return torch.stack(sums, -1)


def _log_factorial(n: Tensor) -> Float[Tensor, "B"]:
    return torch.lgamma(n.double() + 1)
