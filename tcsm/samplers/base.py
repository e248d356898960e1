"""The contract of samplers, and of those that invert a noising path (§12)."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Int, Int64
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.models.base import Posterior
from tcsm.noise import Noise
from tcsm.process.paths import Path
from tcsm.process.sources import Mask
from tcsm.samplers.conditioning import Conditioning, resolve_conditioning


@dataclass(frozen=True)
class Sampled:
    """Samples, and the number of network calls.

    Attributes:
        tokens: samples of x₁.
        network_calls: largest number of passes of the network over the batch, equal for all seeds.
        changed: the step of each position's last change, from 1; 0 if it never changed. None if
            the sampler does not say.
    """

    tokens: Int[Tensor, "B L"]
    network_calls: int
    changed: Int64[Tensor, "B L"] | None = None


@dataclass(frozen=True)
class Sampler(ABC):
    """A method to draw x₁ from a model.

    Attributes:
        steps: size of the time grid N.

    Raises:
        InputError: fewer than one step.
    """

    steps: int

    def __post_init__(self) -> None:
        """Refuse fewer than one step."""
        if self.steps < 1:
            raise InputError(f"sampler.steps must be at least 1, found {self.steps}")

    @abstractmethod
    def __call__(
        self,
        model: nn.Module,
        count: int,
        length: int,
        seed: int,
        conditioning: Conditioning | None = None,
    ) -> Sampled:
        """Draw ``count`` sequences; a pure function of the seed and the conditioning."""


@dataclass(frozen=True)
class PathSampler(Sampler):
    """A sampler that inverts a noising path.

    Attributes:
        path: the noising process.
    """

    path: Path

    def require_mask(self, name: str, instead: str) -> None:
        """Check that the source is the mask.

        Args:
            name: the choice of the sampler.
            instead: what takes another source.

        Raises:
            InputError: it is another.
        """
        if not isinstance(self.path.source, Mask):
            source = type(self.path.source).__name__
            raise InputError(
                f"sampler {name} needs the Mask source, found {source}; set sampler={instead}"
            )

    def posterior(self, model: nn.Module) -> Posterior:
        """Return the model, which must be a `Posterior`.

        Raises:
            InputError: it is not.
        """
        if not isinstance(model, Posterior):
            sampler, name = type(self).__name__, type(model).__name__
            raise InputError(
                f"sampler: {sampler} needs a posterior, found {name}; use next_token for an "
                "autoregressive model, importance for a joint one"
            )
        return model

    def conditioning(
        self, conditioning: Conditioning | None, length: int, model: nn.Module
    ) -> Conditioning:
        """Return the conditioning on the model's device; an empty one for None."""
        return resolve_conditioning(
            conditioning, length, self.path.source.vocabulary, device_of(model)
        )

    def start(self, count: int, seed: int, conditioning: Conditioning) -> Int[Tensor, "B L"]:
        """Draw x₀ ∼ p₀, with the known tokens at their positions."""
        device = conditioning.tokens.device
        noise = Noise(seed, -1, torch.arange(count, device=device), count)
        return conditioning.restore(
            self.path.source.draw(noise.uniform("start", len(conditioning.tokens)))
        )


def device_of(model: nn.Module) -> torch.device:
    """Return the device of a model's weights."""
    return next(model.parameters()).device
