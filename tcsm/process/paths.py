"""The path p_{t|1} from a source to the data, position by position independent (1.1).

    p_{t|1}(a | x) = α 1[a = x] + (1 − α) p₀(a)

Every kernel between two times is, given x₁ and x_t, a mixture of three distributions: take the
data value, stay, or draw afresh from the source. `Mixture` holds the weights, so that what is
sampled and what is enumerated in the tests is the same object.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

from tcsm.noise import Noise
from tcsm.process.schedules import Schedule
from tcsm.process.sources import Source


@dataclass(frozen=True)
class Mixture:
    """A kernel's weights at each position: to the data value, stay, afresh from the source.

    The weights need not be normalized. All float64, of one shape.
    """

    to_data: Float[Tensor, "*s"]
    stay: Float[Tensor, "*s"]
    afresh: Float[Tensor, "*s"]

    def distribution(
        self, x_t: Int[Tensor, "*s"], x_1: Int[Tensor, "*s"], source: Source
    ) -> Tensor:
        """Return the probabilities of all states, shape (*s, states)."""
        states = torch.arange(source.states, device=x_t.device)
        distribution = (
            self.to_data[..., None] * one_hot(x_1, source.states)
            + self.stay[..., None] * one_hot(x_t, source.states)
            + self.afresh[..., None] * source.probability(states)
        )
        return distribution / distribution.sum(-1, keepdim=True)

    def draw(
        self, x_t: Int[Tensor, "*s"], x_1: Int[Tensor, "*s"], source: Source, u: Tensor
    ) -> Int[Tensor, "*s"]:
        """Return a draw by uniforms u of shape (*s, 2): one for the branch, one for the source."""
        which = u[..., 0] * (self.to_data + self.stay + self.afresh)
        kept = torch.where(which < self.to_data, x_1, x_t)
        return torch.where(which < self.to_data + self.stay, kept, source.draw(u[..., 1]))


@dataclass(frozen=True)
class Path:
    """A source and a schedule: p_{t|1}, its reverse kernel, rates and evidence."""

    source: Source
    schedule: Schedule

    def alpha(self, t: Float[Tensor, "B"]) -> Float[Tensor, "B"]:
        """Return α(t), float64."""
        return self.schedule.alpha(t.double())

    def sample(
        self, x_1: Int[Tensor, "B L"], t: Float[Tensor, "B"], noise: Noise
    ) -> Int[Tensor, "B L"]:
        """Draw x_t ∼ p_{t|1}(· | x₁) (1.1)."""
        u = noise.uniform("corrupt", x_1.shape[1], 2)
        keep = u[..., 0] < self.alpha(t)[:, None]
        return torch.where(keep, x_1, self.source.draw(u[..., 1]))

    def log_likelihood(
        self, x_t: Int[Tensor, "*s"], alpha: Float[Tensor, "*s"]
    ) -> Float[Tensor, "*s V"]:
        """Return log p_{t|1}(x_t^i | x₁^i = v) for every clean token v; −∞ if impossible (1.1)."""
        tokens = torch.arange(self.source.vocabulary, device=x_t.device)
        noise = ((1 - alpha) * self.source.probability(x_t))[..., None]
        return torch.log(alpha[..., None] * (x_t[..., None] == tokens) + noise)

    def bridge(
        self,
        x_t: Int[Tensor, "*s"],
        x_1: Int[Tensor, "*s"],
        alpha_t: Float[Tensor, "*s"],
        alpha_s: Float[Tensor, "*s"],
    ) -> Mixture:
        """Return p_{s|t,1}(a | x_t, x₁) ∝ p_{s|1}(a | x₁) p_{t|s}(x_t | a), t < s, exactly (8.3).

        With α_ts = α_t/α_s the product of the two mixtures has four terms; two give a = x₁.
        """
        alpha_ts = alpha_t / alpha_s
        p_0 = self.source.probability(x_t)
        same = (x_t == x_1).double()
        return Mixture(
            to_data=alpha_s * (alpha_ts * same + (1 - alpha_ts) * p_0),
            stay=(1 - alpha_s) * p_0 * alpha_ts,
            afresh=(1 - alpha_s) * p_0 * (1 - alpha_ts),
        )

    def leap(
        self,
        x_t: Int[Tensor, "*s"],
        alpha_t: Float[Tensor, "*#s"],
        alpha_s: Float[Tensor, "*#s"],
    ) -> Mixture:
        """Return the flow's kernel: to x₁ with probability (α_s − α_t)/(1 − α_t) (12.1, 12.2).

        It is the exact exponential of the rates (1.6) with x₁ held fixed over the step.
        """
        jump = ((alpha_s - alpha_t) / (1 - alpha_t)).expand(x_t.shape)
        return Mixture(to_data=jump, stay=1 - jump, afresh=torch.zeros_like(jump))

    def rate(
        self, log_q: Float[Tensor, "*s V"], x: Int[Tensor, "*s"], t: Float[Tensor, "*s"]
    ) -> Float[Tensor, "*s V"]:
        """Return u_t(y, x) = κ (q(y | x_t) − 1[y = x]), towards every clean token y (1.6)."""
        tokens = torch.arange(self.source.vocabulary, device=x.device)
        here = (x[..., None] == tokens).to(log_q.dtype)
        return self.schedule.kappa(t)[..., None] * (log_q.exp() - here)

    def leave_one_out(
        self, log_q: Float[Tensor, "n V"], x_t: Int[Tensor, "n"], alpha: Float[Tensor, "n"]
    ) -> Float[Tensor, "n V"]:
        """Return log π of log q, the posterior without the evidence of its own x_t^i (1.5)."""
        evidence = self.source.evidence(alpha).to(log_q.dtype)
        return torch.log_softmax(add_at(log_q, x_t, -evidence), -1)

    def nelbo(
        self,
        log_q: Float[Tensor, "n V"],
        x_1: Int[Tensor, "n"],
        x_t: Int[Tensor, "n"],
        t: Float[Tensor, "n"],
    ) -> Float[Tensor, "n"]:
        """Return the integrand over t of the bound on −log p(x₁), in nats (11.3, 11.4)."""
        alpha = self.schedule.alpha(t.double())
        log_pi = self.leave_one_out(log_q.double(), x_t, alpha)
        return self.schedule.alpha_dot(t.double()) * self.source.nelbo(log_pi, x_1, x_t, alpha)


def add_at(
    values: Float[Tensor, "n V"], x: Int[Tensor, "n"], amount: Float[Tensor, "n"]
) -> Float[Tensor, "n V"]:
    """Return ``values`` with ``amount`` added at column x; a mask state x adds nothing."""
    tokens = torch.arange(values.shape[-1], device=values.device)
    return torch.where(x[:, None] == tokens, values + amount[:, None], values)


def add_at_(values: Float[Tensor, "n V"], x: Int[Tensor, "n"], amount: Float[Tensor, "n"]) -> None:
    """Do the same in the memory of ``values``, which autograd does not follow."""
    last = values.shape[-1] - 1
    index = x.clamp(max=last)[:, None]
    values.scatter_add_(-1, index, amount.where(x <= last, 0)[:, None])
