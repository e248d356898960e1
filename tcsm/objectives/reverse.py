"""Losses on what a posterior is used for: the rates of its flow, its reverse steps (§8).

Both are divergences of laws that the path makes of q, against the same laws made of the data.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tcsm.errors import InputError
from tcsm.objectives.base import Denoising
from tcsm.posteriors.site import SiteLoss
from tcsm.process.corruption import Sites
from tcsm.process.paths import Path
from tcsm.process.steps import StepSampling


@dataclass(frozen=True)
class RateMatching(Denoising):
    """Discrete flow matching by generalized KL between the flow's rates (11.2).

        κ (1[x_t = x₁] − q(x_t) − 1[x_t ≠ x₁] log q(x₁))

    With the mask source MDLM's loss; with the uniform one a bound, valid but loose.
    """

    def site_loss(self) -> SiteLoss:
        """At a site and its time."""
        return _Rates(self.corruption.path)


@dataclass(frozen=True)
class _Rates(SiteLoss):
    path: Path

    def __call__(self, log_q: Float[Tensor, "n V"], sites: Sites) -> Float[Tensor, "n"]:
        log_q, same = log_q.double(), (sites.x_t == sites.x_1).double()
        tokens = torch.arange(log_q.shape[-1], device=log_q.device)
        here = (sites.x_t[:, None] == tokens).double()  # nowhere at a masked site
        at_x_1 = log_q.gather(-1, sites.x_1[:, None]).squeeze(-1)
        gap = same - (here * log_q.exp()).sum(-1) - (1 - same) * at_x_1
        return self.path.schedule.kappa(sites.t) * gap


@dataclass(frozen=True)
class StepMatching(Denoising):
    """D3PM: T · KL between the reverse steps p(x_s | x_t, x₁) of the data and of q (8.3).

    Its mean over the T steps of `StepSampling` is the bound on −log p(x₁), O(V²) a site.

    Raises:
        InputError: the corruption knows no steps.
    """

    def __post_init__(self) -> None:
        """Refuse continuous time."""
        if not isinstance(self.corruption, StepSampling):
            found = type(self.corruption).__name__
            raise InputError(f"objective=steps needs corruption=steps, found {found}")

    def site_loss(self) -> SiteLoss:
        """At a site, from its time to the next."""
        assert isinstance(self.corruption, StepSampling)
        return _Step(self.corruption)


@dataclass(frozen=True)
class _Step(SiteLoss):
    corruption: StepSampling

    def __call__(self, log_q: Float[Tensor, "n V"], sites: Sites) -> Float[Tensor, "n"]:
        path = self.corruption.path
        labels = torch.arange(log_q.shape[-1], device=log_q.device).expand(log_q.shape)
        x_t = sites.x_t[:, None].expand(labels.shape)
        times = (sites.t, self.corruption.after(sites.t))
        now, then = (path.alpha(time)[:, None].expand(labels.shape) for time in times)
        laws = path.bridge(x_t, labels, now, then).law(x_t, labels, path.source)
        truth = laws[torch.arange(len(laws), device=laws.device), sites.x_1]
        model = (log_q.double().exp()[..., None] * laws).sum(1)
        least = torch.finfo(truth.dtype).tiny
        gap = torch.log(truth.clamp(min=least)) - torch.log(model.clamp(min=least))
        return self.corruption.steps * (truth * gap).sum(-1)
