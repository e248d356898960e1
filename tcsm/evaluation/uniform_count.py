"""The bound of uniform noise by the number of redrawn positions (11.6): no clamp, no heavy tail.

A position is redrawn with probability 1 − α, the number n of redrawn ones of L is binomial given
α, and a network without a time input gives the same π = p(x₁^i | x_t^{≠i}) at every α. The
integral over α of the integrand h (11.4) therefore comes after the draw of x_t,

    b = ∫ dα E_{x_t | α} Σ_i h(π^i, α) = E_n E_{x_t | n} Σ_i E_{α | n} h(π^i, α),

n uniform on {0 … L}, α | n ∼ Beta(L − n + 1, n + 1), and its inner mean is a sum over a few nodes.
By time 1/(1 − α) has no finite variance; its mean over α | n is (L + 1)/n.

Most of what remains of the variance is that of which positions are redrawn, and a model that reads
no context has it, too: `UniformControl` subtracts it.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from tcsm.errors import InputError
from tcsm.evaluation.bound import SampledBound
from tcsm.models.base import Posterior
from tcsm.models.factorized import LeaveOneOut
from tcsm.models.losses import PositionLoss
from tcsm.noise import Noise
from tcsm.process.corruption import Corrupted, Positions
from tcsm.process.paths import Path
from tcsm.process.sources import Uniform

NODES, TAIL = 24, 14.0  # less than 1e-4 of the bound, by the test


@dataclass(frozen=True)
class UniformCount(SampledBound):
    """Σ over positions of E_{α | n} of the integrand, n stratified on {0 … L} (11.4, 11.6).

    For time-free leave-one-out models and the uniform source: no clamp, bounded weights.

    Raises:
        InputError: another source.
    """

    def __post_init__(self) -> None:
        """Refuse other sources than the uniform one."""
        if not isinstance(self.path.source, Uniform):
            name = type(self.path.source).__name__
            raise InputError(
                f"bound: counts of redrawn positions need path=uniform, found {name}; set "
                "bound=count"
            )

    def check(self, model: nn.Module) -> None:
        """Raise InputError unless the model's π is a function of x_t alone."""
        super().check(model)
        timed = bool(getattr(getattr(model, "net", None), "timed", False))
        if not isinstance(model, LeaveOneOut) or timed:
            model_kind = f"{type(model).__name__}, net.timed={str(timed).lower()}"
            raise InputError(
                "bound: counts of redrawn positions need model=leave_one_out, net.timed=false, "
                f"found {model_kind}; set bound=time"
            )

    def draw(
        self, x_1: Int[Tensor, "B L"], noise: Noise, real: Bool[Tensor, "B L"] | None = None
    ) -> tuple[Corrupted, PositionLoss, Tensor]:
        """Return n redrawn positions of each row, all positions noised; the factor is 1."""
        u, text = noise.uniform("subset", x_1.shape[1]), torch.ones_like(x_1, dtype=torch.bool)
        if real is not None:  # others come last in every order
            u, text = u.masked_fill(~real, 2.0), real
        length = text.sum(-1)
        count = (noise.stratified("count") * (length + 1)).long()
        redrawn = u.argsort(-1).argsort(-1) < count[:, None]
        fresh = self.path.source.draw(noise.uniform("corrupt", x_1.shape[1]))
        x_t = torch.where(redrawn, fresh, x_1)
        t = self.path.schedule.inverse((length - count + 1).double() / (length + 2))
        one, row = torch.ones_like(t), text.nonzero()[:, 0]
        batch = Corrupted(x_1, x_t, t, self.path.source.noised(x_t) & text, one, real)
        return batch, ByCount(self.path, count[row], length[row]), one


@dataclass(frozen=True)
class ByCount(PositionLoss):
    """E over α | n of the integrand of a path.

    Attributes:
        path: the path, of the uniform source.
        count: n of each noised position's row.
        length: L of each noised position's row.
    """

    path: Path
    count: Int[Tensor, "N"]
    length: Int[Tensor, "N"]

    def __call__(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Float[Tensor, "n"]:
        """Return the sum over nodes."""
        count, length = positions.of(self.count), positions.of(self.length)
        log_pi = self.path.leave_one_out(
            log_q.double(), positions.x_t, self.path.alpha(positions.t)
        )
        x_1, x_t = positions.x_1[:, None], positions.x_t[:, None]
        return over_nodes(log_pi, x_1, x_t, count, length).squeeze(-1)


@dataclass(frozen=True)
class UniformControl(UniformCount):
    """`UniformCount` with a control variate: the same draw for a model that reads no context.

    The reverse process of a fixed distribution π⁰ of a position is exact, so that its bound is
    −log π⁰(x₁) itself, and for every π⁰ the mean over n and x_t vanishes of

        −Σ_i log π⁰(x₁^i) − Σ_i E_{α | n} h(π⁰, α).
    """

    def control(self, model: Posterior, batch: Corrupted) -> Float64[Tensor, "B"]:
        """Return the control variate, π⁰ by one pass over one sequence."""
        length = batch.lengths()
        count = length + 1 - self.path.alpha(batch.t) * (length + 2)  # as t was chosen by `draw`
        log_pi = self.context_free(model, batch.x_1.shape[1], batch.x_1.device)
        drawn = over_nodes(log_pi[None], batch.x_1, batch.x_t, count.round().long(), length.long())
        return ((-log_pi[batch.x_1] - drawn) * batch.noised).sum(-1)

    def context_free(
        self, model: Posterior, length: int, device: torch.device
    ) -> Float64[Tensor, "V"]:
        """Return log π⁰, the mean over positions of the model's π at a sequence of pure noise."""
        noise = Noise(0, 0, torch.zeros(1, dtype=torch.int64, device=device), 1)
        x = self.path.source.draw(noise.uniform("corrupt", length))
        t = torch.zeros(1, dtype=torch.float64, device=device)
        log_q = model.log_conditionals(x, t, torch.ones_like(x, dtype=torch.bool)).double()
        log_pi = self.path.leave_one_out(log_q, x[0], self.path.alpha(t).expand(length))
        return log_pi.logsumexp(0).log_softmax(-1)


def over_nodes(
    log_pi: Float64[Tensor, "#n V"],
    x_1: Int[Tensor, "n m"],
    x_t: Int[Tensor, "n m"],
    count: Int[Tensor, "n"],
    length: Int[Tensor, "n"],
) -> Float64[Tensor, "n m"]:
    """Return E over α | n of the integrand, for m positions of each π."""
    nodes = torch.zeros(2, len(count), NODES, dtype=torch.float64, device=count.device)
    for size in torch.unique(length).tolist():
        here = length == size
        for node, part in zip(nodes, rule(size), strict=True):
            node[here] = part.to(count.device)[count[here]]
    odds = torch.expm1(log_pi + math.log(log_pi.shape[-1]))
    total = torch.zeros(x_1.shape, dtype=torch.float64, device=x_1.device)
    for alpha, weight in zip(nodes[0].T, nodes[1].T, strict=True):
        total += weight[:, None] * integrand(odds, x_1, x_t, alpha[:, None])
    return total


def integrand(
    odds: Float64[Tensor, "#n V"],
    x_1: Int[Tensor, "n m"],
    x_t: Int[Tensor, "n m"],
    alpha: Float64[Tensor, "n 1"],
) -> Float64[Tensor, "n m"]:
    """Return `Uniform.nelbo` by one logarithm a token: (αV)⁻¹ Σ_y s_y − r_y + r_y log(r_y/s_y).

    r_y = w(y|x₁)/w(x_t|x₁) has two values, Σ s and Σ r are known, and s_y = F_y/F_{x_t} with
    F = 1 + α · odds, odds = Vπ − 1.
    """
    size, rest = odds.shape[-1], 1 - alpha
    log_f = torch.log1p(alpha * odds)
    f_1, f_t = (log_f.gather(-1, x) for x in (x_1, x_t))
    w_1 = 1 + alpha * (size - 1)
    w_t = torch.where(x_t == x_1, w_1, rest)
    others = rest * ((size - 1) * rest.log() - log_f.sum(-1, keepdim=True) + f_1)
    cross = others + w_1 * (w_1.log() - f_1) + size * (f_t - w_t.log())
    return ((-f_t).exp() + (cross / size - 1) / w_t) / alpha


@lru_cache(maxsize=64)
def rule(length: int, nodes: int = NODES) -> tuple[Float64[Tensor, "N K"], Float64[Tensor, "N K"]]:
    """Return nodes α and weights of the mean over α | n, a row for each n = 0 … L.

    The trapezoidal rule in u = logit α, where the density falls exponentially on both sides and
    the integrand has no singularity nearer to the real axis than iπ: its error falls
    exponentially with the nodes. They span what is more than e^−TAIL of the largest value of the
    density times the integrand's growth, 1/(1 − α) where x_t ≠ x₁, which needs n > 0.
    """
    n = torch.arange(length + 1).double()[:, None]
    u = torch.linspace(-40, 40, 4001, dtype=torch.float64)
    grown = (length - n + 1) * logsigmoid(u) + n.clamp(min=1) * logsigmoid(-u)
    outside = grown < grown.amax(1, keepdim=True) - TAIL
    low = u.expand_as(grown).masked_fill(outside, torch.inf).amin(1, keepdim=True)
    high = u.expand_as(grown).masked_fill(outside, -torch.inf).amax(1, keepdim=True)
    u = low + (high - low) * torch.linspace(0, 1, nodes, dtype=torch.float64)
    density = (length - n + 1) * logsigmoid(u) + (n + 1) * logsigmoid(-u)
    return u.sigmoid(), density.softmax(1)
