"""Temperature and top-p (nucleus) draws with any sampler of a posterior (Holtzman et al. 2020).

q̃^i ∝ (q^i)^(1/T) on the smallest set of likeliest tokens whose probability reaches p. The samples
are not those of the model's distribution any more, so their likelihood is another one.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.models.base import Posterior
from tcsm.models.losses import PositionLoss
from tcsm.nets.head import WeightedLoss
from tcsm.process.corruption import Corrupted
from tcsm.samplers.base import PathSampler, Sampled, Sampler
from tcsm.samplers.conditioning import Conditioning


def truncate(
    log_q: Float[Tensor, "n V"], temperature: float, top_p: float
) -> Float[Tensor, "n V"]:
    """Return log q̃, normalized; −∞ outside of the nucleus, which holds the likeliest token."""
    log_q = torch.log_softmax(log_q.double() / temperature, -1)
    if top_p < 1:
        ranked, tokens = log_q.sort(-1, descending=True)
        before = ranked.exp().cumsum(-1) - ranked.exp()  # of the likelier tokens
        outside = (before >= top_p).scatter(-1, tokens, before >= top_p)
        log_q = log_q.masked_fill(outside, -torch.inf)
    return torch.log_softmax(log_q, -1)


class TruncatedPosterior(Posterior):
    """A posterior whose conditionals are truncated; it is sampled from, and not trained.

    Args:
        posterior: The model.
        temperature: T.
        top_p: p.
    """

    def __init__(self, posterior: Posterior, temperature: float, top_p: float) -> None:
        """Attach the model; its weights are shared."""
        super().__init__()
        self.posterior, self.temperature, self.top_p = posterior, temperature, top_p

    def log_conditionals(
        self, x_t: Int[Tensor, "B L"], t: Float[Tensor, "B"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return log q̃^i(· | x_t)."""
        log_q = self.posterior.log_conditionals(x_t, t, positions)
        return truncate(log_q, self.temperature, self.top_p)

    def weighted_loss(
        self, batch: Corrupted, loss: PositionLoss, weight: Float[Tensor, "n"]
    ) -> WeightedLoss:
        """Refuse.

        Raises:
            InputError: always.
        """
        raise InputError("sampler: a truncated model has no loss; train the model itself")


@dataclass(frozen=True)
class Truncated(Sampler):
    """Another sampler of the truncated model.

    Attributes:
        inner: the sampler; its number of steps is set here.
        temperature: T > 0; 1 changes nothing.
        top_p: p in (0, 1]; 1 keeps all tokens.

    Raises:
        InputError: a value out of its range, or a sampler that does not read a posterior.
    """

    inner: Sampler
    temperature: float = 1.0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values out of their range."""
        super().__post_init__()
        if not 0 < self.temperature < float("inf"):
            raise InputError(
                f"sampler.temperature must be a positive number, found {self.temperature}"
            )
        if not 0 < self.top_p <= 1:
            raise InputError(f"sampler.top_p must be in (0, 1], found {self.top_p}")
        if not isinstance(self.inner, PathSampler):
            name = type(self.inner).__name__
            raise InputError(f"sampler.inner: {name} does not read a posterior; set ancestral")

    def __call__(
        self,
        model: nn.Module,
        count: int,
        length: int,
        seed: int,
        conditioning: Conditioning | None = None,
    ) -> Sampled:
        """Draw sequences of the truncated model."""
        assert isinstance(self.inner, PathSampler)
        posterior = self.inner.posterior(model)
        truncated = TruncatedPosterior(posterior, self.temperature, self.top_p)
        inner = replace(self.inner, steps=self.steps)
        return inner(truncated, count, length, seed, conditioning)
