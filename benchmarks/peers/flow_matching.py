"""flow_matching (facebookresearch) as a worker: its text example's model, path and loss.

Nothing of it lives here: `FlowMatching` imports a user's checkout. The step is that of
``examples/text/logic/training.py``: mask source, generalized KL, AdamW, clip.
"""

import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from benchmarks.measure import Laps
from benchmarks.peers.stand_ins import Node, package, read, stand_in
from benchmarks.sizes import Size


class FlowMatching:
    """One training step of the text example: corrupt, forward, loss, backward, clip, AdamW."""

    def __init__(
        self,
        size: Size,
        checkout: Path,
        bf16: bool = False,
        dropout: float | None = None,
        device: str = "cpu",
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Build the example at a size; ``dropout`` None keeps its default."""
        text = checkout / "examples/text"
        stand_in((), optional=("einops", "omegaconf", "omegaconf.dictconfig"))
        sys.path.insert(0, str(checkout))
        package("model", text / "model")
        from flow_matching.loss import MixturePathGeneralizedKL
        from flow_matching.path import MixtureDiscreteProbPath
        from flow_matching.path.scheduler import PolynomialConvexScheduler
        from model.transformer import Transformer

        config = read(text / "configs/config.yaml")
        shape = Node(config.model)
        shape.update(
            hidden_size=size.dim, n_blocks=size.depth, n_heads=size.heads, length=size.length
        )
        if dropout is not None:
            shape["dropout"] = dropout
        torch.manual_seed(0)
        self.model = (
            Transformer(size.vocabulary, True, SimpleNamespace(**shape)).train().to(device)
        )
        self.mask = size.vocabulary
        scheduler = PolynomialConvexScheduler(n=float(config.flow.exponent))
        self.path = MixtureDiscreteProbPath(scheduler=scheduler)
        self.loss = MixturePathGeneralizedKL(path=self.path)
        self.weights = list(self.model.parameters())
        self.parameters = sum(p.numel() for p in self.weights)
        optim = config.optim
        self.optimizer = torch.optim.AdamW(
            self.weights,
            lr=optim.lr,
            betas=(optim.beta1, optim.beta2),
            eps=optim.eps,
            weight_decay=optim.weight_decay,
            fused=bool(optim.fused),
        )
        self.clip, self.device, self.bf16 = optim.grad_clip, torch.device(device), bf16
        self.laps = Laps(clock)
        self.model.register_forward_pre_hook(self._at_model, with_kwargs=True)
        head = self.model.output_layer
        head.register_forward_pre_hook(self._at_head, with_kwargs=True)

    def _at_model(self, *_) -> None:
        self.laps.end("corrupt")

    def _at_head(self, *_) -> None:
        self.laps.end("forward")

    def autocast(self):
        """On a GPU its model has an autocast of its own; on a CPU ours or none."""
        on_cpu = self.device.type == "cpu" and self.bf16
        return torch.autocast("cpu", torch.bfloat16) if on_cpu else nullcontext()

    def advance(self, x_1: Tensor) -> Tensor:
        """Take one step on tokens x_1 (B, L); the loss stays on the device."""
        self.laps.start()
        with torch.no_grad():
            x_0 = torch.full_like(x_1, self.mask)
            t = torch.rand(len(x_1), device=x_1.device) * (1.0 - 1e-3)
            sample = self.path.sample(t=t, x_0=x_0, x_1=x_1)
        with self.autocast():
            logits = self.model(x_t=sample.x_t, time=sample.t)
            loss = self.loss(logits=logits, x_1=x_1, x_t=sample.x_t, t=sample.t).mean()
        return self.laps.descend(loss, self._update)

    def _update(self) -> None:
        nn.utils.clip_grad_norm_(self.weights, max_norm=self.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def step(self, x_1: Tensor) -> float:
        """The loss of one step on tokens x_1 (B, L)."""
        return self.advance(x_1).item()
