"""The validation of a training on text: its learning curve."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor, nn

from tcsm.evaluation.bound import Bound
from tcsm.io.records import Record
from tcsm.training.devices import Devices
from tcsm.training.state import TrainState

VALIDATION_SEED = 1  # seed of the validation draws of every run


@dataclass(frozen=True)
class BoundValidation:
    """The likelihood bound on a few validation windows during training: the learning curve.

    Attributes:
        model: The model in training.
        net: Its unwrapped network.
        bound: The estimator.
        windows: Validation data, the same for every run.
        draws: Corruptions of each window.
        every: Steps between two validations: the first record at or after each multiple, and the
            last.
        devices: Devices of the run.
    """

    model: nn.Module
    net: nn.Module
    bound: Bound
    windows: Int[Tensor, "N L"]
    draws: int
    every: int
    devices: Devices

    def initial(self, state: TrainState) -> Record:
        """Return nothing: the learning curve begins with the first record."""
        return {}

    def __call__(self, state: TrainState) -> Record:
        """Return nats per token and bits, or an empty mapping at a step without validation."""
        if state.step % self.every >= state.optim.log_every and state.step != state.optim.steps:
            return {}
        self.model.net = self.net
        ids = torch.arange(len(self.windows))
        device = self.devices.device
        with self.devices.autocast(), torch.no_grad(), state.final_weights():
            draws = self.bound(
                self.model, self.windows.to(device), ids.to(device), VALIDATION_SEED, self.draws
            )
        nats = float(draws.nats.mean(1).sum() / self.windows.numel())
        return {"valid_nats_per_token": nats, "valid_bits_per_token": nats / math.log(2)}
