"""The k-Hamming ball with each neighbor once: all sequences at 1 … k noised positions from x.

    ℓ(x) = c Σ_{j ≤ k} T_j,   T_j = Σ over y at distance j of ψ(log q(y) − log q(x))   (2.3, 6.3)

`HammingK` is the mean over blocks of k positions instead, in which a neighbor at distance j is
counted C(n − j, k − j) times: there a distance is Binomial(k, 1 − 1/V), here it is j with
probability ∝ C(n, j)(V − 1)^j, in a long sequence nearly always k. Both have one total weight,
c = (1 − V^−k)/k over the number of neighbors, so that losses are of one size and k = 1 is
`Hamming`.
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from tcsm.divergences.bregman import Bregman
from tcsm.divergences.symmetric import Blocks
from tcsm.neighborhoods.base import Neighborhood, Neighbors
from tcsm.neighborhoods.hamming_k import HammingK
from tcsm.noise import Noise, categorical


@dataclass(frozen=True)
class HammingBall(HammingK):
    """All y with 1 ≤ d(x, y) ≤ k at noised positions, one weight for all.

    Raises:
        InputError: as `HammingK`.
    """

    def enumerate(self, x: Int[Tensor, "B L"], noised: Bool[Tensor, "B L"]) -> Neighbors:
        """Return the list of blocks; what it repeats C(n − j, k − j) times has weights to match.

        Raises:
            InputError: the list would be too long.
        """
        near = super().enumerate(x, noised)
        here = x[:, None].expand(-1, near.tokens.shape[1], -1).gather(-1, near.positions)
        changed = (near.tokens != here).sum(-1)
        count, size = noised.sum(-1, keepdim=True), self._sizes(noised)[:, None]
        again = _log_choose(count - changed, size - changed).exp()
        weight = ((near.weight > 0) & (changed > 0)) / again.clamp(min=1)
        weight = weight / weight.sum(-1, keepdim=True).clamp(min=1e-300)
        return replace(near, weight=weight * self._total(noised)[:, None])

    def draw(
        self, x: Int[Tensor, "B L"], noised: Bool[Tensor, "B L"], count: int, noise: Noise
    ) -> Neighbors:
        """Return ``count`` uniform draws of the ball: a distance, positions, then other tokens."""
        positions = self._blocks(noised, count, noise)  # noised ones first, in random order
        here = x[:, None].expand(-1, count, -1).gather(-1, positions)
        chances = self._log_shells(noised)[:, None].expand(-1, count, -1).flatten(0, 1)
        distance = 1 + categorical(chances, noise.uniform("distance", count).flatten())
        place = torch.arange(positions.shape[-1], device=x.device)
        moved = noised[:, None].expand(-1, count, -1).gather(-1, positions)
        moved = moved & (place < distance.view(*positions.shape[:2], 1))
        step = 1 + (noise.uniform("tokens", *positions.shape[1:]) * (self.vocabulary - 1)).long()
        tokens = torch.where(moved, (here + step) % self.vocabulary, here)
        weight = (self._total(noised) / count)[:, None].expand(-1, count)
        return Neighbors(positions, tokens, weight)

    def sequence_loss(
        self,
        divergence: Bregman,
        log_q: Float[Tensor, "n V"],
        x: Int[Tensor, "B L"],
        noised: Bool[Tensor, "B L"],
        noise: Noise,
    ) -> Float[Tensor, "B"]:
        """Return ℓ in O(nVk²) by the means over blocks of 1 … k, if they have a closed form.

        The mean over blocks of m is Σ_j C(m, j)(V − 1)^j V^−m A_j, with A_j the mean over the
        neighbors at distance j: A_1, A_2, … follow one after the other.
        """
        odds, shells = self.vocabulary - 1, self._log_shells(noised).softmax(-1)
        means: list[Tensor] = []
        for size in range(1, self.size + 1):
            mean = divergence.over_blocks(log_q, x[noised], Blocks(noised, size))
            if mean is None:
                return Neighborhood.sequence_loss(self, divergence, log_q, x, noised, noise)
            nearer = [math.comb(size, j + 1) * odds ** (j + 1) * a for j, a in enumerate(means)]
            means.append((self.vocabulary**size * mean.double() - sum(nearer)) / odds**size)
        total = torch.where(shells > 0, shells * torch.stack(means, -1), 0.0).sum(-1)
        return (self._total(noised) * total).to(log_q.dtype)

    def _log_shells(self, noised: Bool[Tensor, "B L"]) -> Float64[Tensor, "B k"]:
        """Return the logs of C(n, j)(V − 1)^j for j = 1 … k; −∞ beyond n, but at j = 1."""
        distance = torch.arange(1, self.size + 1, device=noised.device)
        count = noised.sum(-1, keepdim=True).clamp(min=1)
        logs = _log_choose(count, distance) + distance * math.log(self.vocabulary - 1)
        return logs.masked_fill(distance > count, -torch.inf)

    def _total(self, noised: Bool[Tensor, "B L"]) -> Float64[Tensor, "B"]:
        """Return (1 − V^−k)/k, the weight of all neighbors together; 0 where there is none."""
        size = self._sizes(noised).double()
        return -torch.expm1(-size * math.log(self.vocabulary)) / size.clamp(min=1)


def _log_choose(n: Tensor, k: Tensor) -> Float64[Tensor, "*s"]:
    """Return log C(n, k), of no meaning where k > n or k < 0."""
    n, k = n.double(), k.double()
    return torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma((n - k).clamp(min=0) + 1)
