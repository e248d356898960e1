"""The sequences of a collection: samples of a frozen model, with importance weights."""

import sys
import zlib
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float64, Int64
from torch import Tensor, nn

from tcsm.data.tilts import LOW, relative_ess
from tcsm.errors import InputError
from tcsm.evaluation.ordered import log_along
from tcsm.models.factorized import Factorized
from tcsm.noise import fold
from tcsm.runs.drafts import Draft, Tensors
from tcsm.samplers.base import PathSampler, Sampler
from tcsm.samplers.first_hitting import FirstHitting
from tcsm.training.devices import Devices


@dataclass(frozen=True)
class Drawn:
    """Sequences with their log importance weights and their cost.

    Attributes:
        tokens: The sequences.
        log_weight: log w, nats.
        calls: Number of forward passes over a batch.
    """

    tokens: Int64[Tensor, "N L"]
    log_weight: Float64[Tensor, "N"]
    calls: int = 0


@dataclass(frozen=True)
class Collection:
    """A collection of samples: its models, and how many are drawn.

    Attributes:
        models: The model that draws, and the base that the draws are weighed towards, or None.
        sampler: The sampler, on the path of the model.
        length: Tokens of a sequence.
        count: Number of sequences.
        batch: Sequences in memory at once.
        seed: Seed of the draws.

    Raises:
        InputError: Models or a sampler whose draws cannot be weighed.
    """

    models: tuple[nn.Module, nn.Module | None]
    sampler: Sampler
    length: int
    count: int
    batch: int
    seed: int

    def __post_init__(self) -> None:
        """Check what weights need."""
        model, base = self.models
        if base is not None:
            _check_weighed((model, base), self.sampler)

    def draw(self, kept: Draft, devices: Devices) -> Drawn:
        """Return the samples with their importance weights, those of a draft if it has them."""

        def batches() -> Tensors:
            with devices.autocast():
                return self._batches()

        tensors = kept.load_or_draw(batches)
        drawn = Drawn(tensors["tokens"], tensors["log_weight"], int(tensors["calls"]))
        _warn(drawn.log_weight)
        return drawn

    def _batches(self) -> Tensors:
        """Return all samples, their log-weights and the number of forward passes."""
        model, base = self.models
        parts = []
        for first in range(0, self.count, self.batch):
            count = min(self.batch, self.count - first)
            seed = int(fold(self.seed, zlib.crc32(b"collect"), first))
            sampled = self.sampler(model, count, self.length, seed)
            part = Drawn(sampled.tokens, torch.zeros(count).double(), sampled.network_calls)
            if base is not None:
                part = weighed(part, (model, base), self.sampler, seed)
            parts.append(part)
        return {
            "tokens": torch.cat([part.tokens.cpu() for part in parts]),
            "log_weight": torch.cat([part.log_weight.cpu() for part in parts]),
            "calls": torch.tensor(sum(part.calls for part in parts)),
        }


def sampler_of(sampler: Sampler, model: nn.Module, steps: int) -> Sampler:
    """Return a sampler with this number of steps, on the path of the model."""
    sampler = replace(sampler, steps=steps)
    if isinstance(sampler, PathSampler):
        sampler = replace(sampler, path=getattr(model, "path", sampler.path))
    return sampler


def weighed(
    drawn: Drawn, models: tuple[nn.Module, nn.Module], sampler: Sampler, seed: int
) -> Drawn:
    """Return draws with log w = log p_base(x | order) − log p_θ(x | order), in their order.

    Args:
        drawn: Draws from θ.
        models: θ and the base.
        sampler: The sampler of the draws.
        seed: The seed of the draws.

    Raises:
        InputError: The order is unknown, or a model has no marginals.
    """
    walk, factorized = _check_weighed(models, sampler)
    x = drawn.tokens
    count, length = x.shape
    unmasking = walk.unmasking(count, length, seed, x.device)
    t = walk.path.schedule.inverse(unmasking.level)
    log_p = []
    for model in factorized:
        log_p.append(log_along(model, x, unmasking.order, t, unmasking.at_once))
    drawn_log_p, base_log_p = log_p
    return Drawn(x, base_log_p - drawn_log_p, 3 * drawn.calls)


def _check_weighed(
    models: tuple[nn.Module, nn.Module], sampler: Sampler
) -> tuple[FirstHitting, list[Factorized]]:
    """Return a sampler with a known order, and models that have marginals.

    Raises:
        InputError: Others are configured.
    """
    if not isinstance(sampler, FirstHitting):
        name = type(sampler).__name__
        raise InputError(f"base: its weights need sampler=first_hitting, found {name}")
    factorized = [model for model in models if isinstance(model, Factorized)]
    if len(factorized) < len(models):
        kinds = ", ".join(type(model).__name__ for model in models)
        raise InputError(f"base: its weights need two factorized models, found {kinds}")
    return sampler, factorized


def _warn(log_weight: Float64[Tensor, "N"]) -> None:
    """Warn if the importance weights have a small effective sample size."""
    ess = relative_ess(log_weight)
    if ess < LOW:
        print(
            f"tcsm: collect: relative effective sample size {ess:.3f} of the importance weights; "
            "the reference is far from the base: collect more, or refresh by stages (base=null)",
            file=sys.stderr,
        )
