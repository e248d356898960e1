"""dLLM (ZHZisZZ/dllm) as a worker: the loss of its `MDLMTrainer`, with TCSM's network.

dLLM trains networks of Hugging Face, of other sizes; so its loss gets TCSM's blocks and TCSM's
optimizer, and what is compared is the loss. Nothing of dLLM lives here.
"""

import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor

from benchmarks.measure import Laps
from benchmarks.own import autocast, build
from benchmarks.peers.stand_ins import Hollow, package, stand_in
from benchmarks.sizes import Size
from tcsm.training.optim import Ema, OptimConfig
from tcsm.training.state import TrainState

ABSENT = ("transformers", "torchmetrics", "torchmetrics.aggregation")


def prepare(checkout: Path) -> None:
    """Make the import of its trainer work without what a training step does not call."""
    own = checkout / "dllm"
    kept = {name: sys.modules.get(name) for name in ABSENT}
    stand_in(ABSENT)
    for name in ("dllm", "dllm.core", "dllm.utils", "dllm.core.trainers"):
        package(name, own / Path(*name.split(".")[1:]))
    stand_in(("dllm.utils.configs", "dllm.utils.data", "dllm.core.trainers.utils"))
    import_module("dllm.core.trainers.mdlm")
    sys.modules.update({name: module for name, module in kept.items() if module})


class Dllm:
    """One step: its corruption and loss on our network, our optimizer."""

    def __init__(
        self,
        size: Size,
        checkout: Path,
        bf16: bool = False,
        device: str = "cpu",
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Build its trainer around a network at a size."""
        prepare(checkout)
        from dllm.core.schedulers import LinearAlphaScheduler
        from dllm.core.trainers.mdlm import MDLMTrainer

        self.trainer = object.__new__(MDLMTrainer)  # its constructor builds data loaders
        vars(self.trainer).update(
            scheduler=LinearAlphaScheduler(),
            time_epsilon=1e-3,
            loss_weight_type="scheduler",
            loss_norm_type="token",
            right_shift_logits=False,
            meter=Hollow(),
            processing_class=SimpleNamespace(padding_side="right", mask_token_id=size.vocabulary),
        )
        self.model = build(size, head="dense").to(device)
        self.device, self.bf16, self.laps = torch.device(device), bf16, Laps(clock)
        optim = OptimConfig(steps=1_000_000, learning_rate=3e-4, ema=Ema())
        self.state = TrainState(self.model, optim)
        self.parameters = sum(p.numel() for p in self.model.parameters())

    def logits(self, input_ids: Tensor, attention_mask: None = None) -> SimpleNamespace:
        """Logits of all positions, as a network of Hugging Face returns them."""
        self.laps.end("corrupt")
        everywhere = torch.ones_like(input_ids, dtype=torch.bool)
        logits = self.model.net(input_ids, None, everywhere)
        self.laps.end("forward")
        return SimpleNamespace(logits=logits.view(*input_ids.shape, -1))

    def advance(self, x_1: Tensor) -> Tensor:
        """Take one step on tokens x_1 (B, L); the loss stays on the device."""
        self.laps.start()
        with autocast(self.device, "bf16") if self.bf16 else nullcontext():
            inputs = {"input_ids": x_1, "labels": x_1}
            loss = self.trainer.compute_loss(Network(self.logits), inputs)
        return self.laps.descend(loss, self.state.descend)

    def step(self, x_1: Tensor) -> float:
        """The loss of one step on tokens x_1 (B, L)."""
        return self.advance(x_1).item()


class Network:
    """A function with the one attribute of a module that the trainer reads."""

    training = True

    def __init__(self, function: Callable) -> None:
        """Take the function."""
        self.function = function

    def __call__(self, *args, **options):
        """Call it."""
        return self.function(*args, **options)
