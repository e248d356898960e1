"""Where the wings meet in training: the loop's loss is an objective with its noise."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from tcsm.data.batches import Batch
from tcsm.evaluation.bound import Bound
from tcsm.noise import Noise
from tcsm.objectives.base import Objective, Terms
from tcsm.training.devices import Devices

VALIDATION_SEED = 1  # of the draws that every run is validated on


@dataclass(frozen=True)
class Loss:
    """(network, batch) ↦ the objective's terms.

    The network that the loop hands over may be wrapped for data parallelism, so it takes its place
    in the model for the time of the pass.
    """

    model: nn.Module
    objective: Objective
    seed: int

    def __call__(self, net: nn.Module, batch: Batch) -> Terms:
        """The terms of a batch."""
        self.model.net = net
        noise = Noise(self.seed, batch.step, batch.ids, batch.total)
        return self.objective(self.model, batch.tokens, noise, batch.weight, batch.real)


@dataclass(frozen=True)
class Validation:
    """The likelihood bound on a few validation windows, while training: the learning curve.

    Attributes:
        model: what is trained.
        net: its bare network.
        bound: the estimator.
        windows: validation data, the same for every run.
        draws: corruptions of each window.
        every: steps between two validations: the first record at or after each multiple is one,
            and the last.
        log_every: steps between two records.
        steps: of the whole training.
        devices: where it computes.
        final_weights: a context in which the network has the weights that the run will save.
    """

    model: nn.Module
    net: nn.Module
    bound: Bound
    windows: Int[Tensor, "N L"]
    draws: int
    every: int
    log_every: int
    steps: int
    devices: Devices
    final_weights: Callable[[], AbstractContextManager[None]] = nullcontext

    def __call__(self, step: int) -> dict[str, Any]:
        """Nats a token and bits, or nothing at a step without validation."""
        if step % self.every >= self.log_every and step != self.steps:
            return {}
        self.model.net = self.net
        ids = torch.arange(len(self.windows))
        device = self.devices.device
        with self.devices.autocast(), torch.no_grad(), self.final_weights():
            draws = self.bound(
                self.model, self.windows.to(device), ids.to(device), VALIDATION_SEED, self.draws
            )
        nats = float(draws.nats.mean(1).sum() / self.windows.numel())
        return {"valid_nats_per_token": nats, "valid_bits_per_token": nats / math.log(2)}
