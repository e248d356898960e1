"""How far a model in a toy world is from the world's distribution, and how hard its loss is.

The model's distribution q is enumerated: of a joint model q(x | all masked), of a factorized one
that of its any-order chain.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tcsm.evaluation.curvature import LossHessian, condition
from tcsm.metrics.base import EvaluatedToy, Measured, ToyMetric
from tcsm.models.joint import Joint
from tcsm.runs.models import unwrap
from tcsm.runs.parts import Loss, Parts
from tcsm.runs.toy import world_distances
from tcsm.toy.base import World


@dataclass(frozen=True)
class Exact(ToyMetric):
    """KL(p₁ ‖ q), the condition of the loss, the variance of its gradient, and evaluations.

    Attributes:
        probes: Independent batches for the variance of the gradient.
    """

    probes: int = 16

    def __call__(self, evaluated: EvaluatedToy) -> Callable[[], Measured]:
        """Return the function that measures."""
        return partial(self._measure, evaluated)

    def _measure(self, evaluated: EvaluatedToy) -> Measured:
        record, training, parts = evaluated.run.record(), evaluated.training, evaluated.parts
        loss = Loss(parts.model.train(), parts.objective, training.seed)
        probe = Probe(loss, parts, training.trainer.accumulate)
        norms, seconds = probe.norms(record["steps"], self.probes)
        fields = {
            **_outcome(evaluated, record["initial"]["exact_kl"]),
            "condition": _condition(training.world, parts),
            "gradient_variance": _variance(norms),
            "evaluations": record["steps"] * probe.sequences // self.probes,
        }
        return Measured(fields, costs={"cpu_seconds_per_step": seconds})


@dataclass
class Probe:
    """Gradients of a training at fixed weights.

    Attributes:
        loss: The loss.
        parts: The parts of the training.
        micros: Micro-batches of a step.
        sequences: Number of sequences that the network has evaluated.
    """

    loss: Loss
    parts: Parts
    micros: int
    sequences: int = 0

    def norms(self, step: int, count: int) -> tuple[Tensor, float]:
        """Return the gradient norms of batches from a step on, and processor seconds of each."""
        net = unwrap(self.parts.model)
        counting = net.register_forward_pre_hook(self._count)
        begun = time.process_time()
        norms = [self._norm(net, step + n) for n in range(count)]
        seconds = (time.process_time() - begun) / count
        counting.remove()
        return torch.tensor(norms, dtype=torch.float64), seconds

    def _norm(self, net: nn.Module, step: int) -> float:
        batch = self.parts.batches.at(step).to(next(net.parameters()).device)
        values = [value for value in net.parameters() if value.requires_grad]
        gradients = torch.autograd.grad(self.loss(net, batch)["loss"], values)
        return float(torch.stack([g.double().square().sum() for g in gradients]).sum().sqrt())

    def _count(self, net: nn.Module, arguments: tuple[Any, ...]) -> None:
        """Count a forward pass over sequences x (…, L), the first argument."""
        if torch.is_grad_enabled():
            self.sequences += arguments[0].numel() // arguments[0].shape[-1]


def _outcome(evaluated: EvaluatedToy, first: float | None) -> dict[str, Any]:
    """Return the KL; a run diverged if it ends farther from the target than it began."""
    finite, last = evaluated.finite, None
    if finite:
        last = world_distances(evaluated.training.world, evaluated.log_distribution())["kl"]
    diverged = last is None or (first is not None and last > first)
    return {"kl": last, "finite": finite, "diverged": diverged}


def _condition(world: World, parts: Parts) -> float | None:
    """Return the condition number of a joint model's score-matching loss, None of other losses."""
    neighborhood = getattr(parts.objective, "neighborhood", None)
    divergence = getattr(parts.objective, "divergence", None)
    if not isinstance(parts.model, Joint) or neighborhood is None or divergence is None:
        return None
    return condition(LossHessian(world, neighborhood, divergence))


def _variance(norms: Tensor) -> float | None:
    """Return Var ‖g‖/(mean ‖g‖)²."""
    variance = float(norms.var() / norms.mean() ** 2)
    return variance if math.isfinite(variance) else None
