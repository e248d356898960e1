"""Train and exactly evaluate a small model in a toy world, on fresh samples.

Writes ``exact.json``: the exact KL(p₁ ‖ q), q the model's distribution (of a joint model q(x | all
masked), of a factorized one that of its any-order chain), its curve, the condition of the loss,
the variance of its gradient, and the cost. A run that stops being finite is a result too.
"""

import copy
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from tcsm.config import build
from tcsm.data.batches import Batch
from tcsm.evaluation import enumeration
from tcsm.evaluation.curvature import LossHessian, condition
from tcsm.models.joint import Joint
from tcsm.runs.exact import Counter, ExactEvaluation, Fresh, descend
from tcsm.runs.loss import Loss
from tcsm.runs.models import architecture, unwrap
from tcsm.runs.run import Run
from tcsm.toy.base import World
from tcsm.training.checkpoint import digest, save_weights
from tcsm.training.devices import Devices
from tcsm.training.state import TrainState
from tcsm.training.telemetry import Stopwatch, describe

READS = (
    "experiment",
    "axes",
    "seed",
    "out",
    "world",
    "data.batch",
    "model",
    "neighborhood",
    "divergence",
    "objective",
    "trainer",
    "devices",
)
PROBES = 16  # batches for the variance of the gradient


def main(cfg: DictConfig, out: Path) -> None:
    """Train and evaluate; write ``config.yaml``, ``metrics.jsonl``, ``exact.json`` and weights.

    Raises:
        InputError: A model without an exact distribution, or values that do not fit together.
    """
    devices: Devices = build(cfg.devices)
    world: World = build(cfg.world)
    watch = Stopwatch()
    with devices.ready():
        torch.manual_seed(cfg.seed)
        model: nn.Module = build(cfg.model)
        state = TrainState(unwrap(model), build(cfg.trainer), cfg.seed)
        evaluation = ExactEvaluation(
            world.length, copy.deepcopy(model), state, partial(_judge, world)
        )
        loss = Loss(model, build(cfg.objective), cfg.seed)
        batches = Fresh(world, cfg.data.batch, cfg.seed)
        hessian = LossHessian(world, build(cfg.neighborhood), build(cfg.divergence))
        counter = Counter()
        counting = unwrap(model).register_forward_pre_hook(counter)
        finite = descend(state, loss, batches, devices, evaluation, out)
        counting.remove()
        variance, seconds = _probe(loss, batches, state)
        joint, weights = isinstance(model, Joint), state.weights()
        record = {
            "steps": state.step,
            "evaluations": counter.seen,
            "condition": condition(hessian) if joint else None,
            "gradient_variance": variance,
            "parameters": sum(p.numel() for p in unwrap(model).parameters()),
            "weights_sha256": digest(weights),
            **_outcome(evaluation.curve, finite),
        }
        save_weights(out / "weights.safetensors", weights, architecture(cfg))
        telemetry = describe(watch, state.tokens, devices.device)
        telemetry |= {"cpu_seconds_per_step": seconds}
        Run(out, cfg).write("exact", record, telemetry, ("metrics.jsonl",))


def _judge(world: World, distribution: Tensor) -> dict[str, float | None]:
    value = enumeration.kl(world.log_p, distribution)
    return {"kl": value if math.isfinite(value) else None}


def _outcome(curve: list[dict[str, Any]], finite: bool) -> dict[str, Any]:
    """Return the last KL; a run diverged if it ends farther from the target than it began."""
    last, first = curve[-1]["kl"] if finite else None, curve[0]["kl"]
    diverged = last is None or last > first
    return {"kl": last, "finite": finite, "diverged": diverged, "curve": curve}


def _probe(loss: Loss, batches: Fresh, state: TrainState) -> tuple[float | None, float]:
    """Return Var ‖g‖/(mean ‖g‖)² over independent batches, and seconds per gradient."""
    begun = time.process_time()
    norms = [_norm(loss, state.model, batches.at(state.step + n)) for n in range(PROBES)]
    seconds = (time.process_time() - begun) / PROBES
    values = torch.tensor(norms, dtype=torch.float64)
    variance = float(values.var() / values.mean() ** 2)
    return variance if math.isfinite(variance) else None, seconds


def _norm(loss: Callable[..., Any], net: nn.Module, batch: Batch) -> float:
    values = [value for value in net.parameters() if value.requires_grad]
    gradients = torch.autograd.grad(loss(net, batch)["loss"], values)
    return float(torch.stack([g.double().square().sum() for g in gradients]).sum().sqrt())
