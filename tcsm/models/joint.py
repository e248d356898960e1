"""Joint posteriors: a residual energy on a fixed factorized reference (6.6).

    q(x | x_t) ∝ q_ref(x | x_t) e^{−E(x, x_t)}

Ratios need no normalizer, so score matching trains E over neighborhoods of any kind; its optimum
is E = log(q_ref/p) + const. What needs the normalizer is estimated from candidates x ∼ q_ref with
weights softmax(−E) (9.6).
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tcsm.models.base import ConcreteScore
from tcsm.models.factorized import Factorized
from tcsm.neighborhoods.base import Neighbors
from tcsm.noise import Noise, categorical
from tcsm.process.corruption import Corrupted
from tcsm.process.paths import Path


class Joint(ConcreteScore):
    """A joint posterior whose energy is trained and whose reference is frozen.

    Args:
        net: (guesses (B, N, L), x_t, t) ↦ E, (B, N).
        reference: q_ref, frozen here.
    """

    def __init__(self, net: nn.Module, reference: Factorized) -> None:
        super().__init__()
        self.net, self.reference = net, reference.requires_grad_(False)

    @property
    def path(self) -> Path:
        """Return the reference's."""
        return self.reference.path

    def log_ratio(self, batch: Corrupted, near: Neighbors) -> Float[Tensor, "B N"]:
        """Return log q_ref(y)/q_ref(x₁) − E(y) + E(x₁): 1 + N energies of one x_t."""
        with torch.no_grad():
            reference = self.reference.log_ratio(batch, near)
        guesses = torch.cat([batch.x_1[:, None], near.apply(batch.x_1)], 1)
        energy: Tensor = self.net(guesses, batch.x_t, batch.t)
        return reference - energy[:, 1:] + energy[:, :1]

    def candidates(
        self,
        x_t: Int[Tensor, "B L"],
        t: Float[Tensor, "B"],
        noised: Bool[Tensor, "B L"],
        count: int,
        noise: Noise,
    ) -> Int[Tensor, "B K L"]:
        """Return K draws of q_ref(· | x_t); visible positions carry x_t over."""
        return self.reference.candidates(x_t, t, noised, count, noise)

    @torch.no_grad()
    def resample(
        self,
        x_t: Int[Tensor, "B L"],
        t: Float[Tensor, "B"],
        noised: Bool[Tensor, "B L"],
        count: int,
        noise: Noise,
    ) -> Int[Tensor, "B L"]:
        """Return one of K candidates by the weights softmax(−E) (9.6); the error is O(1/K)."""
        guesses = self.candidates(x_t, t, noised, count, noise)
        log_weight = torch.log_softmax(-self.net(guesses, x_t, t).double(), -1)
        pick = categorical(log_weight, noise.uniform("pick"))
        return guesses[torch.arange(len(pick), device=x_t.device), pick]

    @torch.no_grad()
    def log_marginal(
        self,
        batch: Corrupted,
        position: Int[Tensor, "B"],
        count: int,
        noise: Noise,
    ) -> Float[Tensor, "B V"]:
        """Return log q̂^i(· | x_t) at one noised position i a sequence, by K candidates (11.5).

        q̂^i(y) ∝ Σ_k q_ref^i(y) e^{−E(x_k^{i←y})} is a normalized distribution for every K, that
        of a sampler which unmasks position i by drawing candidates, then y. It tends to q^i.
        """
        guesses = self.candidates(batch.x_t, batch.t, batch.noised, count, noise)
        here = torch.zeros_like(batch.noised).scatter(1, position[:, None], True)
        reference = self.reference.log_conditionals(batch.x_t, batch.t, here)
        vocabulary = reference.shape[1]
        tokens = torch.arange(vocabulary, device=position.device)
        every = guesses[:, :, None].repeat(1, 1, vocabulary, 1)
        index = position[:, None, None, None].expand(-1, count, vocabulary, 1)
        every = every.scatter(-1, index, tokens[:, None].expand_as(index))
        energy = self.net(every.flatten(1, 2), batch.x_t, batch.t).view(
            len(guesses), count, vocabulary
        )
        return torch.log_softmax(reference.double() + torch.logsumexp(-energy.double(), 1), -1)
