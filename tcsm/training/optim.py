"""Optimization: AdamW, a learning rate as a pure function of the step, averaged weights.

Learning rate (steps count from 0, W warm-up steps of T in all):
    η(s) = η (s + 1)/W            for s < W
    η(s) = η · decay((s − W)/(T − W))    afterwards
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from inspect import unwrap

import torch
from torch import Tensor, nn

from tcsm.errors import InputError


def _require(holds: bool, key: str, right: str, value: object) -> None:
    """Check a condition on the key ``trainer.<key>``.

    Raises:
        InputError: The condition does not hold.
    """
    if not holds:
        raise InputError(f"trainer.{key} must {right}, found {value!r}")


@dataclass(frozen=True)
class Constant:
    """Constant learning rate, decay(p) = 1."""

    def __call__(self, progress: float) -> float:
        """Return the factor at a progress in [0, 1]."""
        return 1.0


@dataclass(frozen=True)
class Linear:
    """Linear decay, decay(p) = 1 − (1 − floor) p."""

    floor: float = 0.0

    def __post_init__(self) -> None:
        _require(0 <= self.floor <= 1, "decay.floor", "lie in [0, 1]", self.floor)

    def __call__(self, progress: float) -> float:
        """Return the factor at a progress in [0, 1]."""
        return 1 - (1 - self.floor) * progress


@dataclass(frozen=True)
class Cosine:
    """Cosine decay, decay(p) = floor + (1 − floor)(1 + cos πp)/2."""

    floor: float = 0.0

    def __post_init__(self) -> None:
        _require(0 <= self.floor <= 1, "decay.floor", "lie in [0, 1]", self.floor)

    def __call__(self, progress: float) -> float:
        """Return the factor at a progress in [0, 1]."""
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * progress)) / 2


@dataclass(frozen=True)
class Ema:
    """Exponential moving average θ̄ ← d θ̄ + (1 − d) θ of the weights, with warm-up.

    At update n = 1, 2, …, d = min(decay, (1 + n)/(10 + n)). Without the warm-up an average of
    0.9999 would still hold the initial weights after thousands of steps.
    """

    decay: float = 0.9999

    def __post_init__(self) -> None:
        _require(0 <= self.decay < 1, "ema.decay", "lie in [0, 1)", self.decay)

    def rate(self, update: int) -> float:
        """Return the weight d of the old average at this update (the first is 1)."""
        return min(self.decay, (1 + update) / (10 + update))

    @torch.no_grad()
    def update(self, averages: Sequence[Tensor], values: Sequence[Tensor], update: int) -> None:
        """Update the averages in place."""
        torch._foreach_lerp_(list(averages), list(values), 1 - self.rate(update))


class AdamW(torch.optim.AdamW):
    """AdamW without torch's guards against compilation, which import the compiler (one second).

    Every method is the guarded method of torch, unwrapped.
    """

    add_param_group = unwrap(torch.optim.AdamW.add_param_group)
    load_state_dict = unwrap(torch.optim.AdamW.load_state_dict)
    state_dict = unwrap(torch.optim.AdamW.state_dict)
    zero_grad = unwrap(torch.optim.AdamW.zero_grad)
    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))


@dataclass(frozen=True)
class OptimConfig:
    """Steps, learning rate and optimizer of a training, apart from model, loss and data.

    Attributes:
        steps: Number of optimizer steps.
        learning_rate: Peak learning rate η.
        betas: The two betas of AdamW.
        weight_decay: Decoupled weight decay of matrices; gains, biases and other 1-D values have
            none.
        warmup: Steps of linear warm-up.
        decay: The factor after the warm-up, a function of the progress in [0, 1].
        clip: Largest gradient norm, or None.
        ema: The average of the weights that is kept, validated and saved, or None.
        accumulate: Micro-batches per step.
        log_every: Steps between two records.
        checkpoint_every: Steps between two checkpoints.
    """

    steps: int
    learning_rate: float = 3e-3
    betas: Sequence[float] = (0.9, 0.98)
    weight_decay: float = 0.0
    warmup: int = 0
    decay: Callable[[float], float] = field(default_factory=Linear)
    clip: float | None = 1.0
    ema: Ema | None = None
    accumulate: int = 1
    log_every: int = 10
    checkpoint_every: int = 100

    def __post_init__(self) -> None:
        _require(self.steps >= 0, "steps", "be 0 or more", self.steps)
        positive = 0 < self.learning_rate < math.inf
        _require(positive, "learning_rate", "be positive", self.learning_rate)
        inside = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        _require(inside, "betas", "be two numbers of [0, 1)", list(self.betas))
        _require(
            0 <= self.weight_decay < math.inf, "weight_decay", "be 0 or more", self.weight_decay
        )
        right = f"lie between 0 and trainer.steps = {self.steps}"
        _require(0 <= self.warmup <= self.steps, "warmup", right, self.warmup)
        _require(self.clip is None or self.clip > 0, "clip", "be positive or null", self.clip)
        for key in ("accumulate", "log_every", "checkpoint_every"):
            _require(getattr(self, key) >= 1, key, "be 1 or more", getattr(self, key))

    def rate(self, step: int) -> float:
        """Return the learning rate of a step; the first step is 0."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.learning_rate * self.decay(progress)

    def reschedules(self, steps: int, taken: int) -> bool:
        """Return whether steps taken under another ``steps`` had other learning rates."""
        last = max(0, taken - 1)
        return OptimConfig.rate(replace(self, steps=steps), last) != OptimConfig.rate(self, last)

    def optimizer(self, model: nn.Module) -> AdamW:
        """Return fused AdamW over the trained parameters, weight decay on matrices alone."""
        trained = [value for value in model.parameters() if value.requires_grad]
        groups = [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        betas = (float(self.betas[0]), float(self.betas[1]))
        filled = [group for group in groups if group["params"]]
        return AdamW(filled, lr=self.learning_rate, betas=betas, fused=True)
