"""TCSM's training step, made of the objects a run is made of."""

import torch
from torch import Tensor

from benchmarks.sizes import Size
from tcsm.divergences.scoring_rules import KL
from tcsm.models.factorized import Factorized
from tcsm.nets.transformer import Transformer
from tcsm.noise import batch_noise
from tcsm.objectives.base import Likelihood
from tcsm.objectives.distribution import DistributionMatching
from tcsm.process.corruption import Corruption, TimeSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tcsm.training.devices import Devices
from tcsm.training.optim import Ema, OptimConfig
from tcsm.training.state import TrainState


class Own:
    """One step: corrupt, forward, loss, backward, clip, AdamW, EMA, item.

    MDLM's loss (KL, mask source, likelihood weights, linear schedule, time by stratified draws)
    and MDLM's recipe (clip 1, averaged weights). With corruption by count the loss has the same
    mean, and the head meets few different numbers of rows.
    """

    def __init__(
        self,
        size: Size,
        precision: str = "auto",
        timed: bool = False,
        stem: int = 0,
        corruption: type[Corruption] = TimeSampling,
    ) -> None:
        """Build TCSM at a size."""
        torch.manual_seed(0)
        path = Path(Mask(size.vocabulary), Linear())
        net = Transformer(
            vocabulary=size.vocabulary,
            extra=1,
            dim=size.dim,
            depth=size.depth,
            heads=size.heads,
            timed=timed,
            stem=stem,
        )
        model = Factorized(net, path)
        self.devices = Devices(choice="cpu", precision=precision)
        torch.set_float32_matmul_precision("medium" if precision == "medium" else "highest")
        self.objective = DistributionMatching(corruption(path), Likelihood(), KL())
        self.state = TrainState(model, OptimConfig(steps=1_000_000, learning_rate=3e-4, ema=Ema()))
        self.parameters = sum(p.numel() for p in model.parameters())

    def step(self, x_1: Tensor) -> float:
        """The loss of one step on tokens x_1 (B, L)."""
        noise = batch_noise(seed=0, step=self.state.step, size=len(x_1))
        with self.devices.autocast():
            loss = self.objective(self.state.model, x_1, noise)["loss"]
        loss.backward()
        self.state.descend()
        return loss.item()
