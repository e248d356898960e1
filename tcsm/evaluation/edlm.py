"""EDLM's evaluation of a joint model, which is *no bound* (11.5): to compare with its numbers.

    E_n (L/n) [−log q_ref(x₁^S | x_t) + E(x₁, x_t) + log (1/K) Σ_k e^{−E(z_k, x_t)}],  z ∼ q_ref

puts −log q of all masked positions *together* where a bound has the sum over positions of
−log q^i, since the process unmasks them one by one: for the exact posterior it is below the
entropy of the data. And the log of the estimated normalizer is too small on average.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.evaluation.bound import Bound, Draws
from tcsm.models.base import draws as sequences
from tcsm.models.joint import Joint
from tcsm.noise import Antithetic
from tcsm.process.corruption import CountSampling
from tcsm.process.paths import Path


@dataclass(frozen=True)
class Edlm(Bound):
    """EDLM's estimate, no bound; 1 + K energies a draw.

    Attributes:
        path: the noising process, of the mask source.
        candidates: K.

    Raises:
        InputError: no candidate, or a source that is not the mask.
    """

    path: Path
    candidates: int = 1

    def __post_init__(self) -> None:
        """Refuse other sources than the mask."""
        CountSampling(self.path)
        if self.candidates < 1:
            raise InputError(f"bound.candidates must be at least 1, found {self.candidates}")

    def check(self, model: nn.Module) -> None:
        """Raise InputError for a model that is not joint, or is time-conditioned."""
        if not isinstance(model, Joint):
            raise InputError(f"bound=edlm needs model=joint, found {type(model).__name__}")
        if any(getattr(part, "timed", False) for part in model.modules()):
            raise InputError("bound=edlm needs net.timed=false, found true")

    @torch.no_grad()
    def __call__(
        self,
        model: nn.Module,
        x_1: Int[Tensor, "N L"],
        ids: Tensor,
        seed: int,
        draws: int = 1,
        real: Bool[Tensor, "N L"] | None = None,
    ) -> Draws:
        """Return M draws per sequence, each of one corruption."""
        self.check(model)
        assert isinstance(model, Joint)
        if draws < 1:
            raise InputError(f"evaluation.draws must be at least 1, found {draws}")
        draw = torch.arange(draws, device=x_1.device).repeat(len(x_1))
        noise = Antithetic(seed, ids.repeat_interleave(draws), draw, draws)
        real = None if real is None else real.repeat_interleave(draws, 0)
        batch = CountSampling(self.path)(x_1.repeat_interleave(draws, 0), noise, real)
        log_q = model.reference.log_conditionals(batch.x_t, batch.t, batch.noised)
        row, column = batch.places
        label = log_q.gather(-1, batch.x_1[row, column][:, None]).squeeze(-1).double()
        nats = torch.zeros_like(batch.omega).index_add(0, row, -label)
        others = sequences(log_q, batch.x_t, batch.noised, self.candidates, noise)
        guesses = torch.cat([batch.x_1[:, None], others], 1)
        energy = model.net(guesses, batch.x_t, batch.t).double()
        log_z = torch.logsumexp(-energy[:, 1:], -1) - math.log(self.candidates)
        nats = nats + energy[:, 0] + log_z
        columns = (batch.omega * nats, self.path.alpha(batch.t), nats / batch.noised.sum(-1))
        return Draws(*(column.view(len(x_1), draws) for column in columns))
