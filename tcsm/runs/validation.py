"""The validation of a training: its learning curve."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from tcsm.evaluation.bound import Bound
from tcsm.training.devices import Devices

VALIDATION_SEED = 1  # seed of the validation draws of every run


@dataclass(frozen=True)
class Validation:
    """The likelihood bound on a few validation windows during training: the learning curve.

    Attributes:
        model: The model in training.
        net: Its unwrapped network.
        bound: The estimator.
        windows: Validation data, the same for every run.
        draws: Corruptions of each window.
        every: Steps between two validations: the first record at or after each multiple, and the
            last.
        log_every: Steps between two records.
        steps: Steps of the training.
        devices: Devices of the run.
        final_weights: A context in which the network has the weights that the run will save.
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
        """Return nats per token and bits, or an empty mapping at a step without validation."""
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
