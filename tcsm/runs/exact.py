"""Shared by the stages of toy worlds: fresh samples, and a training with exact evaluation."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from tcsm.data.batches import Batch, part
from tcsm.evaluation import enumeration
from tcsm.io.records import Writer
from tcsm.noise import Noise
from tcsm.runs.loss import Loss
from tcsm.runs.models import unwrap
from tcsm.toy.base import World
from tcsm.training.devices import Devices
from tcsm.training.hooks import Hooks, NotFiniteError
from tcsm.training.loop import Batches, fit
from tcsm.training.state import TrainState, assign, named_tensors


@dataclass(frozen=True)
class Fresh:
    """Batches of new samples at every step, a pure function of (seed, step)."""

    world: World
    size: int
    seed: int

    def at(
        self, step: int, rank: int = 0, world: int = 1, micro: int = 0, micros: int = 1
    ) -> Batch:
        """Return the share of a rank in one micro-batch of a step."""
        ids = part(self.size, rank, world, micro, micros)
        tokens = self.world.sample(Noise(self.seed, step, ids, self.size))
        return Batch(tokens, torch.ones(len(ids)), step, ids, self.size)


@dataclass
class Counter:
    """Count the sequences that a network sees in training."""

    seen: int = 0

    def __call__(self, net: nn.Module, arguments: tuple[Any, ...]) -> None:
        """Count a forward pass over sequences x (…, L), the first argument."""
        if torch.is_grad_enabled():
            self.seen += arguments[0].numel() // arguments[0].shape[-1]


@dataclass(frozen=True)
class ExactEvaluation:
    """Evaluate a model in training exactly.

    Attributes:
        length: L.
        model: A copy that gets the weights to evaluate.
        state: The training.
        judge: Log of the model's exact distribution ↦ numbers about it.
        curve: These numbers, step by step.
    """

    length: int
    model: nn.Module
    state: TrainState
    judge: Callable[[Tensor], dict[str, Any]]
    curve: list[dict[str, Any]] = field(default_factory=list)

    def distribution(self) -> Float64[Tensor, "N"]:
        """Return the log of the exact distribution, with the run's final weights."""
        assign(named_tensors(unwrap(self.model)), self.state.weights())
        return enumeration.log_distribution(self.model.eval(), self.length)

    def __call__(self, row: object = None) -> None:
        """Add one point to the curve."""
        self.curve.append({"step": self.state.step, **self.judge(self.distribution())})


def descend(
    state: TrainState,
    loss: Loss,
    batches: Batches,
    devices: Devices,
    evaluation: ExactEvaluation,
    out: Path,
) -> bool:
    """Train to the end; return False if numbers became not finite."""
    evaluation()
    with Writer(out / "metrics.jsonl") as writer:

        def record(row: dict[str, float | int]) -> None:
            writer.append(row)
            evaluation()

        try:
            fit(state, loss, batches, devices, Hooks(record=record))
        except NotFiniteError:
            return False
    return True
