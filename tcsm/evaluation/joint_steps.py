"""A valid bound for joint posteriors, by the steps of their sampler, whatever V (11.5).

The sampler of T steps draws K candidates of q_ref(· | x_t) at a step, takes x̂ among them by the
weights e^{−E} and copies it to a random set R of masked positions, each of them with probability
J = (α_s − α_t)/(1 − α_t). R is drawn alike for the data, so that only the copied tokens count:

    −log p(x₁) ≤ Σ over steps of E_{x_t, R} [−log π_K(x₁^R | x_t)]
    π_K(x^R | x_t) = q_ref(x^R | x_t) E f,   f = K e^{−E(y)}/(e^{−E(y)} + Σ_{k<K} e^{−E(z_k)})

z_k and the completion of y = (x^R, the other masked positions) are draws of q_ref. f is the
density ratio of resampling to q_ref, K times the weight of one of K candidates that is y: the
data's own candidate is *among* the K, which the estimate Σ e^{−E(z_k)}/K of a normalizer alone
leaves out. The mean f̄ of M completions has the mean E f, so E[−log f̄] ≥ −log E f.

What is bounded is the sampler of K candidates and T steps, a normalized model for every K and T,
not its limit. K = 1 is the reference: f = 1. A step costs M + K − 1 energies, whatever V.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.evaluation.bound import Bound, Draws
from tcsm.models.base import draws as sequences
from tcsm.models.joint import Joint
from tcsm.noise import Antithetic, Noise
from tcsm.process.corruption import CountSampling
from tcsm.process.paths import Path


@dataclass(frozen=True)
class JointSteps(Bound):
    """−log p of the T-step sampler `Importance` on uniform times; each draw is one of its steps.

    Attributes:
        path: the noising process.
        steps: T.
        candidates: K of a step.
        completions: M, which tighten the bound and do not change the sampler.
        since: the time from which candidates are weighed; before it, x̂ is one draw of q_ref.

    Raises:
        InputError: a number below 1, a time outside [0, 1], or a source that is not the mask.
    """

    path: Path
    steps: int = 64
    candidates: int = 8
    completions: int = 4
    since: float = 0.0

    def __post_init__(self) -> None:
        """Refuse other sources than the mask, and numbers below 1."""
        CountSampling(self.path)
        for name in ("steps", "candidates", "completions"):
            if getattr(self, name) < 1:
                raise InputError(f"bound.{name} must be at least 1, found {getattr(self, name)}")
        if not 0 <= self.since <= 1:
            raise InputError(f"bound.since must lie in [0, 1], found {self.since}")

    def check(self, model: nn.Module) -> None:
        """Raise InputError for a model that is not joint."""
        if not isinstance(model, Joint):
            raise InputError(f"bound=joint_steps needs model=joint, found {type(model).__name__}")

    @cached_property
    def times(self) -> Float64[Tensor, "T"]:
        """Return t₀ … t_T."""
        return torch.linspace(0, 1, self.steps + 1, dtype=torch.float64)

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
        """Return M draws per sequence, T times the term of a step, steps stratified."""
        self.check(model)
        assert isinstance(model, Joint)
        if draws < 1:
            raise InputError(f"evaluation.draws must be at least 1, found {draws}")
        count = len(x_1)
        draw = torch.arange(draws, device=x_1.device).repeat(count)
        noise = Antithetic(seed, ids.repeat_interleave(draws), draw, draws)
        x_1 = x_1.repeat_interleave(draws, 0)
        real = None if real is None else real.repeat_interleave(draws, 0)
        index = (noise.stratified("step") * self.steps).long()
        t, s = (self.times.to(x_1.device)[index + end] for end in (0, 1))
        step = Step.draw(self.path, x_1, t, s, noise, real)
        reference, gain = self.terms(model, step, noise)
        nats = step.chance * reference - gain
        open_ = step.chance * step.noised.sum(-1)
        noised_nats = torch.where(open_ > 0, nats / open_, torch.nan)
        columns = (self.steps * nats, self.path.alpha(t), noised_nats)
        return Draws(*(column.view(count, draws) for column in columns))

    def terms(
        self, model: Joint, step: "Step", noise: Noise
    ) -> tuple[Float64[Tensor, "B"], Float64[Tensor, "B"]]:
        """Return Σ over masked positions of −log q_ref^i(x₁^i), of which R takes a share J; log f̄.

        The first is the same for every R in the mean, so that only log f̄ is drawn by R.
        """
        log_q = model.reference.log_conditionals(step.x_t, step.t, step.noised)
        row, column = step.noised.nonzero(as_tuple=True)
        label = log_q.gather(-1, step.x_1[row, column][:, None]).squeeze(-1).double()
        nats = torch.zeros(len(step.x_1), dtype=torch.float64, device=row.device)
        nats = nats.index_add(0, row, -label)
        total = self.candidates - 1 + self.completions
        guesses = sequences(log_q, step.x_t, step.noised, total, noise)
        own = torch.arange(total, device=row.device) >= self.candidates - 1
        copied = own[:, None] & step.revealed[:, None]
        guesses = torch.where(copied, step.x_1[:, None], guesses)
        log_weight = -model.net(guesses, step.x_t, step.t).double()
        others, here = log_weight[:, ~own], log_weight[:, own]
        everyone = torch.logaddexp(here, torch.logsumexp(others, -1, keepdim=True))
        log_f = here - everyone + math.log(self.candidates)
        gain = torch.logsumexp(log_f, -1) - math.log(self.completions)
        weighed = step.revealed.any(-1) & (step.t >= self.since)
        return nats, torch.where(weighed, gain, 0.0)


@dataclass(frozen=True)
class Step:
    """A step of the sampler at the data.

    Attributes:
        x_1: data.
        x_t: the state before it.
        t: its time.
        noised: masked positions.
        revealed: R.
        chance: J, with which a masked position is in R.
    """

    x_1: Int[Tensor, "B L"]
    x_t: Int[Tensor, "B L"]
    t: Float[Tensor, "B"]
    noised: Bool[Tensor, "B L"]
    revealed: Bool[Tensor, "B L"]
    chance: Float64[Tensor, "B"]

    @classmethod
    def draw(
        cls,
        path: Path,
        x_1: Int[Tensor, "B L"],
        t: Float[Tensor, "B"],
        s: Float[Tensor, "B"],
        noise: Noise,
        real: Bool[Tensor, "B L"] | None = None,
    ) -> "Step":
        """Draw x_t ∼ p_{t|1} and R; what is not ``real`` stays visible."""
        x_t = path.sample(x_1, t, noise)
        if real is not None:
            x_t = torch.where(real, x_t, x_1)
        noised = path.source.noised(x_t)
        if real is not None:
            noised = noised & real
        alpha_t, alpha_s = path.alpha(t), path.alpha(s)
        chance = (alpha_s - alpha_t) / (1 - alpha_t)
        revealed = noised & (noise.uniform("reveal", x_1.shape[1]) < chance[:, None])
        return cls(x_1, x_t, t, noised, revealed, chance)
