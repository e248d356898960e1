"""A valid bound for joint posteriors: one position at a time, its marginal from candidates (11.5).

    −log p(x₁) ≤ E_n L E_{i ∈ S} [−log q̂^i(x₁^i | x_t)],      n ∼ {1 … L}, S masked     (11.3)

−log q(x₁ | x_t) of the joint distribution itself is *no* bound: with the exact posterior it falls
below the entropy. Here q̂^i is a distribution for every number K of candidates, so that this
bounds the chain which unmasks positions one by one in random order by K candidates each, for any
K; more of them tighten it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.evaluation.bound import Bound, Draws
from tcsm.models.joint import Joint
from tcsm.noise import Antithetic
from tcsm.process.corruption import CountSampling
from tcsm.process.paths import Path


@dataclass(frozen=True)
class JointCount(Bound):
    """K·V energies a draw, at one random masked position; time-free networks, mask source.

    Attributes:
        path: the noising process.
        candidates: K.

    Raises:
        InputError: no candidate, or a source that is not the mask.
    """

    path: Path
    candidates: int = 8

    def __post_init__(self) -> None:
        """Refuse other sources than the mask."""
        CountSampling(self.path)
        if self.candidates < 1:
            raise InputError(f"bound.candidates must be at least 1, found {self.candidates}")

    def check(self, model: nn.Module) -> None:
        """Raise InputError for a model that is not joint, or is time-conditioned."""
        if not isinstance(model, Joint):
            raise InputError(f"bound=joint needs model=joint, found {type(model).__name__}")
        if any(getattr(part, "timed", False) for part in model.modules()):
            raise InputError("bound=joint needs net.timed=false, found true")

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
        """Return M draws per sequence, each by one masked position of a corruption."""
        self.check(model)
        assert isinstance(model, Joint)
        if draws < 1:
            raise InputError(f"evaluation.draws must be at least 1, found {draws}")
        count, length = x_1.shape
        draw = torch.arange(draws, device=x_1.device).repeat(count)
        noise = Antithetic(seed, ids.repeat_interleave(draws), draw, draws)
        real = None if real is None else real.repeat_interleave(draws, 0)
        batch = CountSampling(self.path)(x_1.repeat_interleave(draws, 0), noise, real)
        position = (noise.uniform("site", length) * batch.noised).argmax(-1)
        log_q = model.log_marginal(batch, position, self.candidates, noise)
        label = batch.x_1.gather(1, position[:, None])
        nats = -log_q.gather(-1, label).squeeze(-1)
        columns = (batch.lengths() * nats, self.path.alpha(batch.t), nats)
        return Draws(*(column.view(count, draws) for column in columns))
