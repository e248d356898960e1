"""MDLM (kuleshov-group/mdlm) as a worker: its own `Diffusion`, DiT, noise, AdamW and EMA on a CPU.

Nothing of MDLM lives here: `Mdlm` imports a user's checkout. Packages it names but a CPU
step never calls are replaced by empty modules; flash attention by
`F.scaled_dot_product_attention`; einops, where it is not installed, by reshapes.
"""

import sys
import types
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

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


class Hollow:
    """Stands for any class or object that is named but never used in a training step."""

    def __init__(self, *_, **__):
        """Accept whatever the true class would."""

    @classmethod
    def from_pretrained(cls, *_, **__):
        """A tokenizer or model that is never asked for anything."""
        return cls()

    def clone(self, **_):
        """Metrics are cloned once per split."""
        return self

    def set_dtype(self, _):
        """Metrics are moved to float64."""

    pad_token = "<pad>"


class Lightning(nn.Module):
    """The part of `LightningModule` that a bare training step touches."""

    dtype = torch.float32
    device = torch.device("cpu")

    def save_hyperparameters(self):
        """Lightning's bookkeeping is left out, to MDLM's advantage."""


class Absent(types.ModuleType):
    """A module whose every public attribute is `Hollow`."""

    def __getattr__(self, name: str):
        """`Hollow` for a public name, the usual error for a private one."""
        if name.startswith("__"):
            raise AttributeError(name)
        return Hollow


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


def rearrange(x: Tensor, pattern: str, **sizes: int) -> Tensor:
    """The three einops patterns of MDLM's attention, as views."""
    views = {
        "b s (three h d) -> b s three h d": lambda: x.unflatten(2, (3, sizes["h"], -1)),
        "b s ... -> (b s) ...": lambda: x.flatten(0, 1),
        "(b s) h d -> b s (h d)": lambda: x.unflatten(0, (sizes["b"], -1)).flatten(2),
    }
    return views[pattern]()


def stand_in() -> None:
    """Put the stand-ins where MDLM's import statements will find them."""
    absent = ABSENT if find_spec("einops") else (*ABSENT, "einops")
    for name in absent:
        sys.modules[name] = Absent(name)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, sys.modules[name])
    sys.modules["lightning"].LightningModule = Lightning
    sys.modules["flash_attn.layers.rotary"].apply_rotary_emb_qkv_ = rotate
    sys.modules["flash_attn.flash_attn_interface"].flash_attn_varlen_qkvpacked_func = attend
    if "einops" in absent:
        sys.modules["einops"].rearrange = rearrange


def settings(checkout: Path, size: Size) -> DictConfig:
    """MDLM's own configuration, cut to the keys a training step reads, at our sizes."""
    read = OmegaConf.load
    config = read(checkout / "configs/config.yaml")
    config = OmegaConf.masked_copy(config, READ)
    config.model = read(checkout / "configs/model/small.yaml")
    config.noise = read(checkout / "configs/noise/loglinear.yaml")
    config.model.update(
        hidden_size=size.dim, n_blocks=size.depth, n_heads=size.heads, length=size.length
    )
    return config


@dataclass
class Tokenizer:
    """A vocabulary without a mask token: MDLM appends its own."""

    vocab_size: int
    mask_token: None = None


class Mdlm:
    """One MDLM training step: corrupt, forward, loss, backward, clip, AdamW, EMA, item."""

    def __init__(
        self, size: Size, checkout: Path, dropout: float | None = None, bf16: bool = False
    ) -> None:
        """Build MDLM at a size; ``dropout`` None keeps its default."""
        stand_in()
        sys.path.insert(0, str(checkout))
        import diffusion

        config = settings(checkout, size)
        if dropout is not None:
            config.model.dropout = dropout
        torch.manual_seed(0)
        self.model = diffusion.Diffusion(config, Tokenizer(size.vocabulary)).train()
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
        self.autocast = torch.autocast("cpu", torch.bfloat16, enabled=bf16)

    def step(self, x_1: Tensor) -> float:
        """The loss of one step on tokens x_1 (B, L)."""
        self.optimizer.zero_grad()
        with self.autocast:
            loss = self.model._loss(x_1, torch.ones_like(x_1)).loss
        loss.backward()
        nn.utils.clip_grad_norm_(self.weights, self.clip)
        self.optimizer.step()
        self.model.ema.update(self.weights)
        return loss.item()
