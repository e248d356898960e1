"""Self-normalized importance resampling of a joint posterior, then its noising process's bridge.

At each step K candidates x₁ ∼ q_ref(· | x_t), one of them by softmax(−E), then x_s ∼ p_{s|t,1}
(8.3, 9.6).
"""

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Int
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.models.joint import Joint
from tcsm.samplers.base import Sampled
from tcsm.samplers.conditioning import Conditioning
from tcsm.samplers.stepping import GridSampler, SamplerStep


@dataclass(frozen=True)
class Importance(GridSampler):
    """Ancestral sampling with x₁ resampled from candidates by their weights.

    Attributes:
        candidates: K; 1 draws from the reference.
        since: the time from which there are K; before it there is one. With much masked, weights
            of few candidates tell little (11.5).

    Raises:
        InputError: no candidate, or a time outside [0, 1].
    """

    candidates: int = 8
    since: float = 0.0

    def __post_init__(self) -> None:
        """Refuse fewer than one candidate."""
        super().__post_init__()
        if self.candidates < 1:
            raise InputError(f"sampler.candidates must be at least 1, found {self.candidates}")
        if not 0 <= self.since <= 1:
            raise InputError(f"sampler.since must lie in [0, 1], found {self.since}")

    @torch.no_grad()
    def __call__(
        self,
        model: nn.Module,
        count: int,
        length: int,
        seed: int,
        conditioning: Conditioning | None = None,
    ) -> Sampled:
        """Draw sequences; each step costs one pass of the reference and K energies."""
        if not isinstance(model, Joint):
            raise InputError(f"sampler=importance needs model=joint, found {type(model).__name__}")
        known = self.conditioning(conditioning, length, model)
        x_t = self.start(count, seed, known)
        x_t = self.walk(partial(self.step, model), x_t, seed, known)
        weighed = int((self.times[:-1] >= self.since).sum())
        return Sampled(x_t, self.steps + weighed * self.candidates)

    def step(self, joint: Joint, step: SamplerStep) -> Int[Tensor, "B L"]:
        """Return the state at the end of the step; all candidates keep the known positions."""
        x_t, noised, times = step.x_t, step.noised, (step.t, step.s)
        if bool((step.t >= self.since).all()):  # all sequences are at one step
            x_1 = joint.resample(x_t, step.t, noised, self.candidates, step.noise)
        else:
            x_1 = joint.candidates(x_t, step.t, noised, 1, step.noise)[:, 0]
        alpha_t, alpha_s = (self.path.alpha(time)[:, None].expand(x_t.shape) for time in times)
        u = step.noise.uniform("step", x_t.shape[1], 2)
        bridge = self.path.bridge(x_t[noised], x_1[noised], alpha_t[noised], alpha_s[noised])
        crossed = bridge.draw(x_t[noised], x_1[noised], self.path.source, u[noised])
        return x_t.masked_scatter(noised, crossed)
