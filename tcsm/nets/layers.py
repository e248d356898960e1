"""Layers of the transformer, each in the form that is fast on CPUs in bf16 and on GPUs."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from tcsm.nets import attention


class _RmsNorm(torch.autograd.Function):
    """y = x/√(mean x²) with dx = (g − y mean(g y))/√(mean x²): half the passes of autograd's."""

    @staticmethod
    def forward(ctx, x):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN205
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(1e-3)
        scale = (x.shape[-1] ** 0.5 / norm).to(x.dtype)
        y = x * scale
        ctx.save_for_backward(y, scale)
        return y

    @staticmethod
    def backward(ctx, g):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN205
        y, scale = ctx.saved_tensors
        along = torch.linalg.vecdot(g, y)[..., None] / y.shape[-1]
        return torch.addcmul(g, y, along, value=-1) * scale


def rms_norm(x: Float[Tensor, "*s D"]) -> Float[Tensor, "*s D"]:
    """Return x/√(mean x²), without a gain: the linear map after every norm absorbs one."""
    y: Tensor = _RmsNorm.apply(x)  # type: ignore[no-untyped-call]
    return y


def take(x: Float[Tensor, "*s D"], rows: Int[Tensor, "n"] | None) -> Float[Tensor, "..."]:
    """Return the selected rows of the flattened positions, or all of them unchanged."""
    return x if rows is None else x.flatten(0, -2).index_select(0, rows)


def cast(hidden: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
    """Return the input of the first block in the type of autocast, if it is on."""
    kind = hidden.device.type
    return hidden.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else hidden


def linear(fan_in: int, fan_out: int, zero: bool = False) -> nn.Linear:
    """Return a bias-free linear map, N(0, 1/fan_in), or zero at the end of a residual branch."""
    layer = nn.Linear(fan_in, fan_out, bias=False)
    nn.init.zeros_(layer.weight) if zero else nn.init.normal_(layer.weight, std=fan_in**-0.5)
    return layer


def rotary(length: int, size: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return cosines, and sines signed for `rotate`: angle i·10000^(−2j/size), each (L, 1, size).

    Both include size^(−1/4), so that a product of rotated queries and keys has attention's
    1/√size.
    """
    frequency = 10000 ** (-torch.arange(0, size, 2, device=like.device) / size)
    angle = torch.arange(length, device=like.device)[:, None] * frequency
    cosine, sine = size**-0.25 * angle.cos(), size**-0.25 * angle.sin()
    signs = torch.cat([-sine, sine], -1)
    return torch.cat([cosine, cosine], -1)[:, None], signs[:, None]


def rotate(x: Float[Tensor, "B L H E"], turn: tuple[Tensor, Tensor]) -> Float[Tensor, "B L H E"]:
    """Rotate each pair (x_j, x_{j+E/2}) by its position's angle, and scale it."""
    cosine, sine = (part.to(x.dtype) for part in turn)
    return x * cosine + x.roll(x.shape[-1] // 2, -1) * sine


def attend(
    q: Float[Tensor, "B H L E"],
    k: Float[Tensor, "B H L E"],
    v: Float[Tensor, "B H L E"],
    causal: bool,
) -> Float[Tensor, "B H L E"]:
    """Return softmax(qkᵀ) v by the fastest backend on this device; q and k come scaled.

    On CPUs the fused kernel's backward is 1.2–4 times slower than plain matrix products in bf16,
    and in fp32 up to length 128.
    """
    short = q.dtype is torch.bfloat16 or q.shape[-2] <= 128
    if q.device.type != "cpu" or not short:
        return functional.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=1.0)
    with torch.autocast("cpu", enabled=False):  # autocast would compute the softmax in fp32
        logits = q @ k.transpose(-1, -2)
        if causal:
            future = torch.ones(q.shape[-2], q.shape[-2], dtype=torch.bool).triu(1)
            logits = logits.masked_fill(future, -math.inf)
        mixed: Tensor = logits.softmax(-1) @ v
        return mixed


class Attention(nn.Module):
    """Multi-head self-attention with rotary positions and normalized queries and keys."""

    def __init__(self, dim: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv = linear(dim, 3 * dim)
        self.out = linear(dim, dim, zero=True)

    def mix(
        self, x: Float[Tensor, "B L D"], turn: tuple[Tensor, Tensor]
    ) -> Float[Tensor, "B L D"]:
        """Return each position's attention output, before the linear map ``out``."""
        if attention.is_short(x):
            return attention.mixed(x, self.qkv.weight, turn, self.heads, self.causal)
        q, k, v = self.project(x, turn)
        return attend(q, k, v, self.causal).transpose(1, 2).reshape(x.shape)

    def project(
        self, x: Float[Tensor, "B L D"], turn: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, each (B, H, L, E), as `attend` takes them."""
        batch, length, dim = x.shape
        qkv = self.qkv(x).view(batch, length, 3 * self.heads, dim // self.heads)
        qk, v = qkv.split([2 * self.heads, self.heads], 2)
        q, k = rotate(rms_norm(qk), turn).transpose(1, 2).chunk(2, 1)
        return q, k, v.transpose(1, 2)


class Mlp(nn.Module):
    """D → ratio·D → D with GELU."""

    def __init__(self, dim: int, ratio: int) -> None:
        super().__init__()
        self.up = linear(dim, ratio * dim)
        self.down = linear(ratio * dim, dim, zero=True)

    def forward(self, x: Float[Tensor, "*s D"]) -> Float[Tensor, "*s D"]:
        """Transform each position by itself."""
        out: Tensor = self.down(functional.gelu(self.up(x)))
        return out


class Stem(nn.Module):
    """x + conv(x) on embedded tokens, width odd; causal ones see only earlier positions.

    A convolution of embeddings is a sum of table rows T_k[x_{i+k}], T_k = E W_k, so for a small
    vocabulary table rows are looked up instead of multiplied: the same function, eight times
    faster.
    """

    def __init__(self, dim: int, width: int, causal: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, dim, dim) * (width * dim) ** -0.5)
        self.before = width - 1 if causal else width // 2

    def forward(
        self, x: Int[Tensor, "B L"], embedding: Float[Tensor, "S D"]
    ) -> Float[Tensor, "B L D"]:
        """Return the embeddings of tokens and their neighborhoods."""
        width, states = len(self.weight), len(embedding)
        after = width - 1 - self.before
        if width * states > 4096:
            embedded = functional.embedding(x, embedding)
            padded = functional.pad(embedded, (0, 0, self.before, after))
            kernel = self.weight.permute(2, 1, 0)
            around = functional.conv1d(padded.transpose(1, 2), kernel).transpose(1, 2)
            return embedded + around
        table = torch.einsum("sd,kde->ske", embedding, self.weight)
        centre = torch.arange(width, device=x.device) == self.before
        table = table + centre[:, None] * embedding[:, None]
        rows = torch.cat([table.flatten(0, 1), table.new_zeros(width, table.shape[-1])])
        padded = functional.pad(
            x, (self.before, after), value=states
        )  # row `states` of each table is zero
        places = padded.unfold(1, width, 1) * width + torch.arange(width, device=x.device)
        rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
        flat = functional.embedding_bag(places.flatten(0, 1), rows, mode="sum")
        return flat.view(*x.shape, -1)


class TimeEmbedding(nn.Module):
    """Sinusoids of t ∈ [0, 1] through a two-layer network."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.first, self.second = linear(dim, dim), linear(dim, dim)
        self.dim = dim

    def forward(self, t: Float[Tensor, "B"]) -> Float[Tensor, "B C"]:
        """Return the embedding of a time."""
        octaves = torch.linspace(0, 8, self.dim // 2, device=t.device)
        angle = t.to(self.first.weight.dtype)[:, None] * math.pi * 2**octaves
        waves = torch.cat([angle.cos(), angle.sin()], -1).to(self.first.weight.dtype)
        out: Tensor = functional.silu(self.second(functional.silu(self.first(waves))))
        return out
