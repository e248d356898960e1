"""TCSM's training step, made of the objects a run is made of; nothing here needs Hydra.

`Dense` is the path that is compared with: logits of all positions, a log-softmax, autograd.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.measure import Laps
from benchmarks.sizes import Size
from tcsm.divergences import bregman
from tcsm.divergences.scoring_rules import KL
from tcsm.models.factorized import Factorized, LeaveOneOut
from tcsm.models.losses import PositionLoss
from tcsm.neighborhoods.hamming import Hamming
from tcsm.nets.base import WeightedLoss
from tcsm.nets.transformer import Transformer
from tcsm.noise import Noise
from tcsm.objectives.base import Likelihood, Objective, SequenceMean
from tcsm.objectives.distribution import DistributionMatching
from tcsm.objectives.score_matching import ScoreMatching
from tcsm.process.corruption import Corrupted, Corruption, TimeSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask, Uniform
from tcsm.training.optim import Ema, OptimConfig
from tcsm.training.state import TrainState


def distribution(corruption: Corruption) -> Objective:
    """Cross-entropy of noised positions; under uniform noise all of them count the same."""
    masks = isinstance(corruption.path.source, Mask)
    return DistributionMatching(corruption, Likelihood() if masks else SequenceMean(), KL())


def score(divergence: bregman.Bregman, smoothing: float) -> Callable[[Corruption], Objective]:
    """Score matching over the 1-ball, by a corruption."""

    def build(corruption: Corruption) -> Objective:
        near = Hamming(corruption.path.source.vocabulary)
        return ScoreMatching(corruption, Likelihood(), divergence, near, smoothing)

    return build


OBJECTIVES: dict[str, Callable[[Corruption], Objective]] = {
    "KL": distribution,
    "generalized KL": score(bregman.generalized_kl, 0.0),
    "generalized KL, smoothed": score(bregman.generalized_kl, 0.1),
    "BCE": score(bregman.bce, 0.0),
    "Hellinger": score(bregman.hellinger, 0.0),
}


class Dense(Factorized):
    """The same posterior by plain autograd through the logits of all B·L positions."""

    def weighted_loss(self, batch: Corrupted, loss: PositionLoss, weight: Tensor) -> WeightedLoss:
        """Σ weight · loss, from a log-softmax over B·L×V."""
        everywhere = torch.ones_like(batch.noised)
        logits = self.net(batch.x_t, batch.t, everywhere)
        log_q = torch.log_softmax(logits.to(torch.promote_types(logits.dtype, torch.float32)), -1)
        log_q, positions = log_q[batch.noised.flatten()], batch.positions()
        values = loss(log_q, positions)
        cross_entropy = -log_q.detach().gather(-1, positions.x_1[:, None]).squeeze(-1)
        return WeightedLoss(
            (weight.to(values.dtype) * values).sum(), values.detach(), cross_entropy
        )


def build(size: Size, head: str | int = "default", uniform: bool = False, **options) -> Factorized:
    """A posterior at a size, fresh weights.

    Args:
        size: vocabulary and network.
        head: "default", "dense", or the number of positions that the head takes at once.
        uniform: whether the noise is uniform instead of masks.
        options: further arguments of the network.
    """
    torch.manual_seed(0)
    sizes = {"dim": size.dim, "depth": size.depth, "heads": size.heads}
    chunk = {"chunk": head} if isinstance(head, int) else {}
    extra = 0 if uniform else 1
    net = Transformer(vocabulary=size.vocabulary, extra=extra, **sizes, **chunk, **options)
    if uniform:
        return LeaveOneOut(net, Path(Uniform(size.vocabulary), Linear()))
    model = Dense if head == "dense" else Factorized
    return model(net, Path(Mask(size.vocabulary), Linear()))


def has_bf16(device: torch.device) -> bool:
    """Whether the hardware has bf16; a CPU without it is ten times slower in bf16."""
    return device.type == "cuda" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context of a forward pass: "auto" is bf16 where the hardware has it."""
    bf16 = precision == "bf16" or (precision == "auto" and has_bf16(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=bf16)


def compile_in_place(net: nn.Module, how: str, backend: str = "inductor") -> None:
    """Compile nothing (""), the "blocks", or the "whole" network."""
    parts = {"": [], "blocks": net.blocks, "whole": [net]}[how]
    for part in parts:
        part.compile(backend=backend)


class Own:
    """One step: corrupt, forward, loss, backward, clip, AdamW, EMA, item.

    MDLM's loss (KL, mask source, likelihood weights, linear schedule, time by stratified draws)
    and MDLM's recipe (clip 1, averaged weights). With corruption by count the loss has the same
    mean, and the head meets few different numbers of rows.
    """

    def __init__(
        self,
        size: Size,
        *,
        objective: str = "KL",
        head: str | int = "default",
        precision: str = "auto",
        device: str = "cpu",
        compiled: str = "",
        backend: str = "inductor",
        timed: bool = False,
        stem: int = 0,
        uniform: bool = False,
        corruption: type[Corruption] = TimeSampling,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Build TCSM at a size."""
        self.device, self.precision = torch.device(device), precision
        torch.set_float32_matmul_precision("medium" if precision == "medium" else "highest")
        self.model = build(size, head, uniform, timed=timed, stem=stem).to(self.device)
        self.objective = OBJECTIVES[objective](corruption(self.model.path))
        optim = OptimConfig(steps=1_000_000, learning_rate=3e-4, ema=Ema())
        self.state = TrainState(self.model, optim)
        self.parameters = sum(p.numel() for p in self.model.parameters())
        self.laps, self.open_share = Laps(clock), 0.5
        if compiled:
            compile_in_place(self.model.net, compiled, backend)
        else:
            self._mark()

    def _mark(self) -> None:
        """Let the network end the parts "corrupt" and "forward"."""
        net = self.model.net
        features = net.features

        def marked(*args, **options) -> Tensor:
            output = features(*args, **options)
            self.laps.end("forward")
            return output

        net.features = marked
        net.register_forward_pre_hook(lambda *_: self.laps.end("corrupt"))

    def loss(self, x_1: Tensor) -> Tensor:
        """The loss of tokens x_1 (B, L) with the noise of this step."""
        ids = torch.arange(len(x_1), device=x_1.device)
        noise = Noise(0, self.state.step, ids, len(x_1))
        with autocast(self.device, self.precision):
            terms = self.objective(self.model, x_1, noise)
        self.terms = terms
        return terms["loss"]

    def advance(self, x_1: Tensor) -> Tensor:
        """Take one step; the loss stays on the device."""
        self.laps.start()
        return self.laps.descend(self.loss(x_1), self.state.descend)

    def step(self, x_1: Tensor) -> float:
        """The loss of one step on tokens x_1 (B, L)."""
        return self.advance(x_1).item()

    def flops(self, length: int) -> dict[str, float]:
        """FLOPs a token: of all positions, and with the head on masked ones alone."""
        net = self.model.net
        dense = net.flops_per_token(length)
        head = 6.0 * sum(p.numel() for p in net.head.parameters())
        return {"dense": dense, "executed": dense - head * (1 - self.open_share)}
