"""ELBO-DPO with variance reduction: VRPO of LLaDA 1.5 (Zhu et al. 2025, arXiv:2505.19223) (10.9).

    −log σ(β [s(w) − s(l)]),        s(x) = B_θ(x) − B_ref(x)

B(x) is the bound on log p(x), in nats, as a mean over K draws of (t, x_t), one mask a time. Model
and reference have the same draws ("antithetic": their errors are subtracted), winner and loser
draws of their own. Where the bound is tight for both, s = log q/q_ref and the optimum is that of
DPO, ref e^{R/(temperature · β)}. For finite K the loss is biased by the variance of s.
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import softplus

from tcsm.errors import InputError
from tcsm.noise import Noise
from tcsm.objectives.base import CleanBatch, ReferenceObjective, Terms, as_posterior
from tcsm.objectives.density_ratio import at_sequences
from tcsm.process.corruption import Corrupted, Corruption
from tcsm.process.pairs import halves
from tcsm.process.sources import Mask


@dataclass(frozen=True)
class ElboPaired(ReferenceObjective):
    """−log σ(β [s(w) − s(l)]) of pairs, s by K draws that model and reference share.

    Attributes:
        corruption: distribution of (t, x_t) given a sequence, of the mask source.
        length: tokens of one sequence, L.
        beta: β > 0, how much of a preference one nat of s stands for.
        draws: K, noised states of each sequence.

    Raises:
        InputError: β or K is not positive, or the source is not the mask.
    """

    reads: ClassVar[str] = "pairs"

    corruption: Corruption
    length: int
    beta: float = 0.1
    draws: int = 4

    def __post_init__(self) -> None:
        """Refuse values without a loss."""
        if not 0 < self.beta < math.inf:
            raise InputError(f"objective.beta must be a positive number, found {self.beta}")
        if self.draws < 1:
            raise InputError(f"objective.draws must be 1 or more, found {self.draws}")
        if not isinstance(self.corruption.path.source, Mask):
            name = type(self.corruption.path.source).__name__
            raise InputError(f"objective=preference_elbo needs process=mask, found source {name}")

    def terms(self, model: nn.Module, data: CleanBatch, noise: Noise) -> Terms:
        """Return the loss and its diagnostics; ``margin`` is the mean of s(w) − s(l)."""
        batch = self._corrupt(data, noise)
        scores = self._scores(model, batch).view(2, self.draws, len(data.x_1)).mean(1)
        gap = scores[0] - scores[1]
        losses = softplus(-self.beta * gap)
        losses = losses if data.weight is None else losses * data.weight
        margin = gap.detach()
        return {
            "loss": losses.mean(),
            "margin": margin.mean(),
            "agreement": (margin > 0).double().mean(),
            "open": batch.noised_share(),
        }

    def _corrupt(self, data: CleanBatch, noise: Noise) -> Corrupted:
        """Return K noised states of all winners, then of all losers."""
        x_1 = self._repeated(data.x_1)
        real = None if data.real is None else self._repeated(data.real)
        count = 2 * self.draws
        rank = torch.arange(count, device=noise.ids.device)
        # Even strata are the winners': the K times of either spread over [0, 1].
        rank = torch.cat([rank[::2], rank[1::2]])
        ids = (rank[:, None] * noise.total + noise.ids).flatten()
        step = noise.step
        step = step.repeat(count) if isinstance(step, Tensor) else step
        many = replace(noise, step=step, ids=ids, total=count * noise.total)
        return self.corruption(x_1, many, real)

    def _repeated(self, rows: Tensor) -> Tensor:
        return torch.cat([half.repeat(self.draws, 1) for half in halves(rows, self.length)])

    def _scores(self, model: nn.Module, batch: Corrupted) -> Float[Tensor, "N"]:
        """Return ω Σ_i log q^i(x₁^i | x_t)/q_ref^i(x₁^i | x_t) of each noised sequence."""
        log_q = as_posterior(model, self).log_conditionals(batch.x_t, batch.t, batch.noised)
        own = batch.x_1[:, None]
        log_r = at_sequences(log_q, own, batch) - at_sequences(
            self.log_reference(batch), own, batch
        )
        return log_r.squeeze(1) * batch.omega.to(log_r.dtype)
