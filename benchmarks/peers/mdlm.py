"""MDLM (kuleshov-group/mdlm) as a worker: its own `Diffusion`, DiT, noise, AdamW, EMA, sampler.

Nothing of MDLM lives here: `Mdlm` imports a user's checkout. Packages it names but a step never
calls are replaced by empty modules; flash attention by `F.scaled_dot_product_attention`; einops,
where it is not installed, by reshapes.
"""

import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.measure import Laps
from benchmarks.peers.stand_ins import Node, read, stand_in
from benchmarks.sizes import Size

ABSENT = (
    "causal_conv1d",
    "datasets",
    "flash_attn",
    "flash_attn.flash_attn_interface",
    "flash_attn.layers",
    "flash_attn.layers.rotary",
    "fsspec",
    "huggingface_hub",
    "lightning",
    "lightning.pytorch",
    "lightning.pytorch.utilities",
    "mamba_ssm",
    "mamba_ssm.ops",
    "mamba_ssm.ops.selective_scan_interface",
    "mamba_ssm.ops.triton",
    "mamba_ssm.ops.triton.selective_state_update",
    "timm",
    "timm.scheduler",
    "tokenizers",
    "torchmetrics",
    "torchmetrics.aggregation",
    "transformers",
    "transformers.modeling_outputs",
)
HYDRA = ("hydra", "hydra.utils", "omegaconf")
READ = (
    "backbone",
    "parameterization",
    "time_conditioning",
    "T",
    "subs_masking",
    "sampling",
    "training",
    "eval",
    "optim",
    "trainer",
)


class Lightning(nn.Module):
    """The part of `LightningModule` that a bare training step touches."""

    dtype = torch.float32
    device = torch.device("cpu")

    def save_hyperparameters(self):
        """Lightning's bookkeeping is left out, to MDLM's advantage."""


def attend(qkv: Tensor, bounds: Tensor, length: int, _dropout: float, causal: bool) -> Tensor:
    """Attention of equally long sequences packed end to end: (B L, 3, H, E) → (B L, H, E)."""
    packed = qkv.unflatten(0, (len(bounds) - 1, length)).permute(2, 0, 3, 1, 4)
    out = F.scaled_dot_product_attention(*packed.unbind(0), is_causal=causal)
    return out.transpose(1, 2).flatten(0, 1)


def rotate(qkv: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions on the halves of q and k; v stays: (B, L, 3, H, E), (L, E/2)."""
    cos, sin = cos[:, None, None], sin[:, None, None]
    (left, right), values = qkv[:, :, :2].chunk(2, -1), qkv[:, :, 2:]
    turned = torch.cat([left * cos - right * sin, left * sin + right * cos], -1)
    return torch.cat([turned, values], 2)


def prepare(checkout: Path) -> None:
    """Make MDLM's import statements work."""
    stand_in((*ABSENT, *HYDRA), optional=("einops", "requests"))
    sys.modules["lightning"].LightningModule = Lightning
    sys.modules["flash_attn.layers.rotary"].apply_rotary_emb_qkv_ = rotate
    sys.modules["flash_attn.flash_attn_interface"].flash_attn_varlen_qkvpacked_func = attend
    sys.path.insert(0, str(checkout))


def settings(checkout: Path, size: Size) -> Node:
    """MDLM's own configuration, cut to the keys a training step reads, at our sizes."""
    folder = checkout / "configs"
    whole = read(folder / "config.yaml")
    config = Node({key: whole[key] for key in READ})
    config.model = read(folder / "model/small.yaml")
    config.noise = read(folder / "noise/loglinear.yaml")
    config.model.update(
        hidden_size=size.dim, n_blocks=size.depth, n_heads=size.heads, length=size.length
    )
    config.loader = Node(eval_batch_size=size.batch)
    return config


@dataclass
class Tokenizer:
    """A vocabulary without a mask token: MDLM appends its own."""

    vocab_size: int
    mask_token: None = None


class Mdlm:
    """One MDLM training step: corrupt, forward, loss, backward, clip, AdamW, EMA, item."""

    def __init__(
        self,
        size: Size,
        checkout: Path,
        dropout: float | None = None,
        bf16: bool = False,
        device: str = "cpu",
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Build MDLM at a size; ``dropout`` None keeps its default."""
        prepare(checkout)
        import diffusion

        config = settings(checkout, size)
        if dropout is not None:
            config.model["dropout"] = dropout
        torch.manual_seed(0)
        Lightning.device = torch.device(device)
        self.model = diffusion.Diffusion(config, Tokenizer(size.vocabulary)).train().to(device)
        self.model.ema.shadow_params = [p.to(device) for p in self.model.ema.shadow_params]
        self.weights = [*self.model.backbone.parameters(), *self.model.noise.parameters()]
        self.parameters = sum(p.numel() for p in self.weights)
        optim = config.optim
        self.optimizer = torch.optim.AdamW(
            self.weights,
            lr=optim.lr,
            betas=(optim.beta1, optim.beta2),
            eps=optim.eps,
            weight_decay=optim.weight_decay,
        )
        self.clip = config.trainer.gradient_clip_val
        self.bf16, self.device = bf16, torch.device(device)
        self.laps = Laps(clock)
        backbone = self.model.backbone
        backbone.register_forward_pre_hook(lambda *_: self.laps.end("corrupt"))
        backbone.output_layer.register_forward_pre_hook(lambda *_: self.laps.end("forward"))

    def autocast(self):
        """Its trainer's precision, or full precision."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()

    def advance(self, x_1: Tensor) -> Tensor:
        """Take one step on tokens x_1 (B, L); the loss stays on the device."""
        self.laps.start()
        self.optimizer.zero_grad()
        with self.autocast():
            loss = self.model._loss(x_1, torch.ones_like(x_1)).loss
        return self.laps.descend(loss, self._update)

    def _update(self) -> None:
        nn.utils.clip_grad_norm_(self.weights, self.clip)
        self.optimizer.step()
        self.model.ema.update(self.weights)

    def step(self, x_1: Tensor) -> float:
        """The loss of one step on tokens x_1 (B, L)."""
        return self.advance(x_1).item()

    @torch.no_grad()
    def sample(self, steps: int) -> Tensor:
        """Sequences by its own cached sampler."""
        self.model.eval()
        with self.autocast():
            return self.model._sample(num_steps=steps)
