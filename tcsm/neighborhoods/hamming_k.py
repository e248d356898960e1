"""The k-Hamming ball: all sequences that differ from x at no more than k positions, in blocks.

ℓ(x) = (1/k) mean over blocks S of V^−k Σ_{y ∈ X^S} ψ(Σ_{i∈S} log q^i(y^i) − log q^i(x^i))   (6.1)

A block S is k noised positions, or all if there are fewer. Score matching over it identifies a
*joint* posterior better than the 1-ball does, but moves a *factorized* one off the marginals
(2.5).
"""

import itertools
import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tcsm.divergences.bregman import Bregman
from tcsm.divergences.symmetric import Blocks
from tcsm.errors import InputError
from tcsm.neighborhoods.base import Neighborhood, Neighbors, everywhere, require_tokens
from tcsm.noise import Noise, categorical

MOST = 2**20  # neighbors that may be listed


@dataclass(frozen=True)
class HammingK(Neighborhood):
    """All blocks of k positions; in closed form for a factorized posterior where there is one.

    Raises:
        InputError: fewer than two tokens, or no position in a block.
    """

    vocabulary: int
    size: int
    symmetric: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse fewer than two tokens, and blocks of no position."""
        require_tokens(self.vocabulary)
        if self.size < 1:
            raise InputError(f"neighborhood.size must be at least 1, found {self.size}")

    @property
    def one_position(self) -> bool:
        """Return whether blocks are single positions."""
        return self.size == 1

    def enumerate(self, x: Int[Tensor, "B L"], noised: Bool[Tensor, "B L"]) -> Neighbors:
        """Return V^k rewritings of each of C(L, k) sets of positions, with repetitions.

        If fewer than k positions are noised, a set also contains visible ones, which stay
        unchanged.

        Raises:
            InputError: the list would be too long.
        """
        length, size = x.shape[1], min(self.size, x.shape[1])
        count = math.comb(length, size) * self.vocabulary**size
        if count > MOST:
            raise InputError(
                f"neighborhood: {count} rewritings are too many to list, {MOST} at most; draw "
                "some (neighborhood=sampled_hamming_k or objective=score_drawn)"
            )
        subsets = torch.tensor(list(itertools.combinations(range(length), size)))
        words = torch.cartesian_prod(*[torch.arange(self.vocabulary)] * size).view(-1, size)
        positions = subsets.to(x.device).repeat_interleave(len(words), 0)
        tokens = words.to(x.device).repeat(len(subsets), 1)
        full = noised[:, positions].sum(-1) == self._sizes(noised)[:, None]
        weight = full / full.sum(-1, keepdim=True).double()
        return self._rewrite(x, noised, positions.expand(len(x), -1, -1), tokens, weight)

    def draw(
        self, x: Int[Tensor, "B L"], noised: Bool[Tensor, "B L"], count: int, noise: Noise
    ) -> Neighbors:
        """Return uniformly drawn blocks with uniformly drawn tokens (6.4)."""
        positions = self._blocks(noised, count, noise)
        tokens = (noise.uniform("tokens", *positions.shape[1:]) * self.vocabulary).long()
        weight = torch.full(positions.shape[:2], 1 / count, dtype=torch.float64, device=x.device)
        return self._rewrite(x, noised, positions, tokens, weight)

    def sequence_loss(
        self,
        divergence: Bregman,
        log_q: Float[Tensor, "n V"],
        x: Int[Tensor, "B L"],
        noised: Bool[Tensor, "B L"],
        noise: Noise,
    ) -> Float[Tensor, "B"]:
        """Return the mean over all blocks: in O(nVk) by moments (6.2, 6.3), else by the list."""
        values = divergence.over_blocks(log_q, x[noised], Blocks(noised, self.size))
        if values is None:
            return super().sequence_loss(divergence, log_q, x, noised, noise)
        return values / self._sizes(noised).clamp(min=1)

    def _sizes(self, noised: Bool[Tensor, "B L"]) -> Int[Tensor, "B"]:
        return Blocks(noised, self.size).sizes()

    def _blocks(
        self, noised: Bool[Tensor, "B L"], count: int, noise: Noise
    ) -> Int[Tensor, "B N k"]:
        """Return uniform subsets of noised positions, with visible ones if too few are noised."""
        rank = noise.uniform("blocks", count, noised.shape[1]) + 2 * ~noised[:, None]
        return rank.topk(min(self.size, rank.shape[-1]), largest=False).indices

    def _rewrite(
        self,
        x: Int[Tensor, "B L"],
        noised: Bool[Tensor, "B L"],
        positions: Int[Tensor, "B N k"],
        tokens: Int[Tensor, "*n k"],
        weight: Float[Tensor, "B N"],
    ) -> Neighbors:
        """Return blocks with their tokens, kept at visible positions, and weights over k."""
        free, here = (part[:, None].expand(-1, positions.shape[1], -1) for part in (noised, x))
        kept = torch.where(free.gather(-1, positions), tokens, here.gather(-1, positions))
        return Neighbors(positions, kept, weight / self._sizes(noised).clamp(min=1)[:, None])


@dataclass(frozen=True)
class SampledHammingK(HammingK):
    """Drawn blocks, with tokens y ∼ g = ∏ q^½/Z and weights 1/(V^k g(y)), g held fixed (6.2).

    For divergences without a closed form, or for BCE at less cost: its terms grow like √s at most,
    so that their weighted values are bounded. Unbiased in value and gradient.

    Raises:
        InputError: nothing is drawn.
    """

    draws: int = 16

    def __post_init__(self) -> None:
        """Refuse a mean over no draws."""
        super().__post_init__()
        if self.draws < 1:
            raise InputError(f"neighborhood.draws must be at least 1, found {self.draws}")

    def sequence_loss(
        self,
        divergence: Bregman,
        log_q: Float[Tensor, "n V"],
        x: Int[Tensor, "B L"],
        noised: Bool[Tensor, "B L"],
        noise: Noise,
    ) -> Float[Tensor, "B"]:
        """Return the weighted mean over ``draws`` blocks and rewritings."""
        distribution = everywhere(log_q, noised)
        near = self.propose(distribution.detach(), x, noised, noise)
        return near.sum(divergence.pair(near.log_ratio(distribution, x)))

    def propose(
        self,
        log_q: Float[Tensor, "B L V"],
        x: Int[Tensor, "B L"],
        noised: Bool[Tensor, "B L"],
        noise: Noise,
    ) -> Neighbors:
        """Return uniformly drawn blocks with tokens drawn by √q, and importance weights."""
        positions = self._blocks(noised, self.draws, noise)
        rows = torch.arange(len(x), device=x.device)[:, None, None]
        log_g = torch.log_softmax(log_q[rows, positions].double() / 2, -1)
        u = noise.uniform("tokens", *positions.shape[1:])
        tokens = categorical(log_g.flatten(0, 2), u.flatten()).view(positions.shape)
        log_g = log_g.gather(-1, tokens[..., None]).squeeze(-1) + math.log(self.vocabulary)
        weight = torch.where(noised[rows, positions], -log_g, 0.0).sum(-1).exp() / self.draws
        return self._rewrite(x, noised, positions, tokens, weight)
