"""The loss of a training: an objective with the noise of its seed."""

from dataclasses import dataclass

from torch import nn

from tcsm.data.batches import Batch
from tcsm.noise import Noise
from tcsm.objectives.base import Objective, Terms


@dataclass(frozen=True)
class Loss:
    """(network, batch) ↦ the objective's terms.

    The network from the loop may be wrapped for data parallelism, so it replaces the model's own
    network during the pass.
    """

    model: nn.Module
    objective: Objective
    seed: int

    def __call__(self, net: nn.Module, batch: Batch) -> Terms:
        """Return the terms of a batch."""
        self.model.net = net
        noise = Noise(self.seed, batch.step, batch.ids, batch.total)
        return self.objective(self.model, batch.tokens, noise, batch.weight, batch.real)
