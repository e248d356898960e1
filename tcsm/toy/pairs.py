"""A toy distribution: pairs of positions that agree, but for a leak.

    p₁(x) = p(a₁) ∏_j p(a_j | a_{j−1}) · ∏_j ℓ(b_j | a_j),      (a_j, b_j) = (x^{2j−1}, x^{2j})
    ℓ(b | a) = (1 − leak) 1[b = a] + leak/(V − 1) 1[b ≠ a]

With V = L = 2 and no leak it is the distribution on {00, 11} whose odds no 1-Hamming ball
identifies (2.2). The modes a_j are a Markov chain, so that there are odds to learn within pairs
and between them.
"""

import zlib
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from tcsm.errors import InputError
from tcsm.noise import Noise
from tcsm.toy.base import World, all_sequences


@dataclass(frozen=True)
class Pairs(World):
    """V^(L/2) modes at Hamming distance 2 or more, with improbable sequences between them.

    Attributes:
        leak: probability that a pair differs.
        spread: the chain's log-probabilities are uniform on an interval of this width, up to
            their normalizer.
        seed: seed of the chain, independent of a run's seed, so that all runs share it.

    Raises:
        InputError: an odd length, a leak outside (0, 1), or a negative spread.
    """

    leak: float = 1e-3
    spread: float = 3.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse an odd length, and a leak or spread out of range."""
        super().__post_init__()
        if self.length % 2:
            raise InputError(f"world.length must be even, found {self.length}")
        if not 0 < self.leak < 1:
            raise InputError(f"world.leak must lie in (0, 1), found {self.leak}")
        if not self.spread >= 0:
            raise InputError(f"world.spread must be 0 or more, found {self.spread}")

    def log_weights(self) -> Float64[Tensor, "N"]:
        """Return the sum of the chain's and the pairs' log-probabilities."""
        x = all_sequences(self.vocabulary, self.length)
        a, b = x[:, ::2], x[:, 1::2]
        leak = torch.tensor(self.leak, dtype=torch.float64)
        apart = torch.log(leak / (self.vocabulary - 1))
        agree = torch.where(a == b, torch.log1p(-leak), apart).sum(1)
        steps = self.log_steps()
        before = torch.cat([torch.full_like(a[:, :1], self.vocabulary), a[:, :-1]], 1)
        return agree + steps[torch.arange(a.shape[1]), before, a].sum(1)

    def log_steps(self) -> Float64[Tensor, "P W V"]:
        """Return log p(a_j | a_{j−1}) for every pair j; row V is that of the first pair."""
        pairs, rows = self.length // 2, self.vocabulary + 1
        noise = Noise(self.seed, zlib.crc32(b"pairs"), torch.arange(pairs), pairs)
        logits = self.spread * noise.uniform("steps", rows, self.vocabulary)
        return torch.log_softmax(logits, -1)
