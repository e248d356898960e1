"""The k-Hamming ball: all sequences that differ from x at no more than k positions, in blocks.

ℓ(x) = (1/k) mean over blocks S of V^−k Σ_{y ∈ X^S} ψ(Σ_{i∈S} log q^i(y^i) − log q^i(x^i))   (6.1)

A block S is k noised positions, or all where fewer are open. Score matching over it identifies a
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

from tcsm.blocks import Blocks
from tcsm.bregman import Bregman
from tcsm.errors import InputError
from tcsm.neighborhoods.base import Neighborhood, Neighbors, everywhere
from tcsm.noise import Noise, categorical

MOST = 2**20  # rewritings that may be listed


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
        """Refuse a ball around the only sequence, and one of no radius."""
        if self.vocabulary < 2:
            found = self.vocabulary
            raise InputError(f"neighborhood.vocabulary must be at least 2, found {found}")
        if self.size < 1:
            raise InputError(f"neighborhood.size must be at least 1, found {self.size}")

    @property
    def one_position(self) -> bool:
        """Blocks of one position make the 1-ball."""
        return self.size == 1

    def enumerate(self, x: Int[Tensor, "B L"], noised: Bool[Tensor, "B L"]) -> Neighbors:
        """V^k rewritings of each of C(L, k) sets of positions; a neighbor may come several times.

        Where fewer than k positions are open, a set holds closed ones too, which stay as they are.

        Raises:
            InputError: the list would be too long.
        """
        length, size = x.shape[1], min(self.size, x.shape[1])
        found = math.comb(length, size) * self.vocabulary**size
        if found > MOST:
            raise InputError(
                f"neighborhood: {found} rewritings are too many to list, {MOST} at most; draw "
                "some (neighborhood=sampled_hamming_k or objective=score_drawn)"
            )
        subsets = torch.tensor(list(itertools.combinations(range(length), size)))
        words = torch.cartesian_prod(*[torch.arange(self.vocabulary)] * size).view(-1, size)
        positions = subsets.to(x.device).repeat_interleave(len(words), 0)
        tokens = words.to(x.device).repeat(len(subsets), 1)
        whole = noised[:, positions].sum(-1) == self._sizes(noised)[:, None]
        weight = whole / whole.sum(-1, keepdim=True).double()
        return self._rewrite(x, noised, positions.expand(len(x), -1, -1), tokens, weight)

    def draw(
        self, x: Int[Tensor, "B L"], noised: Bool[Tensor, "B L"], count: int, noise: Noise
    ) -> Neighbors:
        """Blocks drawn uniformly (6.4), and their tokens."""
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
        """All blocks: in O(nVk) by moments (6.2, 6.3), else by the list."""
        closed = divergence.over_blocks(log_q, x[noised], Blocks(noised, self.size))
        if closed is None:
            return super().sequence_loss(divergence, log_q, x, noised, noise)
        return closed / self._sizes(noised).clamp(min=1)

    def _sizes(self, noised: Bool[Tensor, "B L"]) -> Int[Tensor, "B"]:
        return Blocks(noised, self.size).sizes()

    def _blocks(
        self, noised: Bool[Tensor, "B L"], count: int, noise: Noise
    ) -> Int[Tensor, "B N k"]:
        """Uniform subsets of the noised positions, with visible ones where too few are noised."""
        rank = noise.uniform("blocks", count, noised.shape[1]) + 2 * ~noised[:, None]
        return rank.argsort(-1)[..., : self.size]

    def _rewrite(
        self,
        x: Int[Tensor, "B L"],
        noised: Bool[Tensor, "B L"],
        positions: Int[Tensor, "B N k"],
        tokens: Int[Tensor, "*n k"],
        weight: Float[Tensor, "B N"],
    ) -> Neighbors:
        """Visible positions keep their token; the k positions of a block share its weight."""
        free, here = (part[:, None].expand(-1, positions.shape[1], -1) for part in (noised, x))
        kept = torch.where(free.gather(-1, positions), tokens, here.gather(-1, positions))
        return Neighbors(positions, kept, weight / self._sizes(noised).clamp(min=1)[:, None])


@dataclass(frozen=True)
class SampledHammingK(HammingK):
    """Drawn blocks, with tokens y ∼ g = ∏ q^½/Z and weights 1/(V^k g(y)), g held fixed (6.2).

    For divergences without a closed form: BCE's terms grow like √s at most, so that their weighted
    values are bounded. Unbiased in value and gradient.

    Raises:
        InputError: nothing is drawn.
    """

    draws: int = 16

    def __post_init__(self) -> None:
        """A mean needs a draw."""
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
        """Mean over ``draws`` blocks and rewritings."""
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
        """Blocks drawn uniformly, tokens by √q."""
        positions = self._blocks(noised, self.draws, noise)
        rows = torch.arange(len(x), device=x.device)[:, None, None]
        log_g = torch.log_softmax(log_q[rows, positions].double() / 2, -1)
        u = noise.uniform("tokens", *positions.shape[1:])
        tokens = categorical(log_g.flatten(0, 2), u.flatten()).view(positions.shape)
        log_g = log_g.gather(-1, tokens[..., None]).squeeze(-1) + math.log(self.vocabulary)
        weight = torch.where(noised[rows, positions], -log_g, 0.0).sum(-1).exp() / self.draws
        return self._rewrite(x, noised, positions, tokens, weight)
