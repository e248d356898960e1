"""The DiT of MDLM: a network whose published weights load under their own names.

Blocks with adaptive layer norms (adaLN) on an embedding of the noise σ = −log α(t), and rotary
positions. Names of weights, theirs ↦ ours (prefixes ``backbone.`` and the like are dropped):

    vocab_embed.embedding (S, D)              the same; rows 0 … V − 1 are tokens, row V the mask
    sigma_map.*, blocks.*                     the same
    output_layer.norm_final, .adaLN_modulation    the same
    output_layer.linear (S, D)                head (V, D): the mask gets no logit
    rotary_emb.inv_freq                       dropped; it shows the number of heads

Logits equal those of the code of MDLM and DUO. SEDD's network has the same names; its scores of a
masked position are e^logits/(V (e^σ − 1)), which by Bayes' rule (1.3) is q(y | x_t) ∝ e^logits.
SEDD and DUO take σ.
"""

import os
import re
from typing import Any

import torch
from jaxtyping import Float, Int
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional

from tcsm.errors import InputError
from tcsm.huggingface import one_line
from tcsm.nets.base import Net
from tcsm.nets.layers import rotary, rotate

FREQUENCIES = 128  # of the embedding of σ
LEAST = 1e-3  # α in their training; σ is at most −log of it
_BLOCK = re.compile(r"blocks\.(\d+)\.")
_PREFIX = re.compile(r"^(module\.|model\.|backbone\.|_orig_mod\.)+")


class Norm(nn.Module):
    """A layer norm without a shift."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(
        self, x: Float[Tensor, "*b D"], shift: Tensor, scale: Tensor
    ) -> Float[Tensor, "*b D"]:
        """Return the normalized features, scaled and shifted by σ."""
        normed = functional.layer_norm(x, self.weight.shape, self.weight)
        return normed * (1 + scale) + shift


class Noise(nn.Module):
    """An embedding of σ (B): sines, then an MLP."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(2 * FREQUENCIES, dim), nn.SiLU(), nn.Linear(dim, dim))

    def forward(self, sigma: Float[Tensor, "B"]) -> Float[Tensor, "B C"]:
        """Return the embedding."""
        index = torch.arange(FREQUENCIES, device=sigma.device) / FREQUENCIES
        angle = sigma[:, None].float() * 1e4**-index
        waves = torch.cat([angle.cos(), angle.sin()], -1)
        out: Tensor = functional.silu(self.mlp(waves.to(next(self.parameters()).dtype)))
        return out


class Block(nn.Module):
    """Attention and MLP, each shifted, scaled and gated by σ."""

    def __init__(self, dim: int, heads: int, noise: int, ratio: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm1, self.norm2 = Norm(dim), Norm(dim)
        self.attn_qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.attn_out = nn.Linear(dim, dim, bias=False)
        wide = ratio * dim
        self.mlp = nn.Sequential(
            nn.Linear(dim, wide), nn.GELU(approximate="tanh"), nn.Linear(wide, dim)
        )
        self.adaLN_modulation = _zero(nn.Linear(noise, 6 * dim))

    def forward(
        self, x: Float[Tensor, "B L D"], turn: tuple[Tensor, Tensor], noise: Tensor
    ) -> Float[Tensor, "B L D"]:
        """Apply the block."""
        shift, scale, gate, shift_2, scale_2, gate_2 = self.adaLN_modulation(noise)[:, None].chunk(
            6, -1
        )
        qkv = self.attn_qkv(self.norm1(x, shift, scale)).unflatten(-1, (3, self.heads, -1))
        query, key, value = qkv.unbind(2)
        query, key, value = (
            part.transpose(1, 2) for part in (rotate(query, turn), rotate(key, turn), value)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, scale=1.0)
        x = x + gate * self._dropped(self.attn_out(mixed.transpose(1, 2).flatten(2)))
        change = self.mlp(self.norm2(x, shift_2, scale_2))
        out: Tensor = x + gate_2 * self._dropped(change)
        return out

    def _dropped(self, branch: Tensor) -> Tensor:
        return functional.dropout(branch, self.dropout, self.training)


class Output(nn.Module):
    """The last norm."""

    def __init__(self, dim: int, noise: int) -> None:
        super().__init__()
        self.norm_final = Norm(dim)
        self.adaLN_modulation = _zero(nn.Linear(noise, 2 * dim))


class Table(nn.Module):
    """The embedding of the states."""

    def __init__(self, states: int, dim: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(states, dim) / dim**0.5)


class DIT(Net):
    """A DiT, freshly initialized.

    Args:
        vocabulary: V, the number of clean tokens.
        extra: Further input states: 1 for the mask, 0 for uniform noise.
        dim: Width D.
        depth: Number of blocks.
        heads: Number of attention heads.
        noise: Width of the embedding of σ.
        ratio: Hidden width of the MLP over D.
        dropout: Chance with which training sets an output of a residual branch to zero.
        schedule: Its ``alpha(t)`` gives σ = −log α; None for σ = 0, a network without time.

    Raises:
        InputError: Heads that do not divide the width into even parts.
    """

    def __init__(  # noqa: PLR0913 (an architecture has that many numbers)
        self,
        *,
        vocabulary: int,
        extra: int = 1,
        dim: int,
        depth: int,
        heads: int,
        noise: int = 128,
        ratio: int = 4,
        dropout: float = 0.0,
        schedule: Any = None,  # noqa: ANN401  a schedule of tcsm.process
    ) -> None:
        if heads < 1 or dim % (2 * heads):
            raise InputError(
                f"net.heads must divide the width {dim} into even parts, found {heads}"
            )
        super().__init__()
        self.vocabulary, self.states, self.heads = vocabulary, vocabulary + extra, heads
        self.causal, self.timed, self.chunk = False, schedule is not None, None
        self.schedule = schedule
        self.vocab_embed = Table(self.states, dim)
        self.sigma_map = Noise(noise)
        self.blocks = nn.ModuleList(Block(dim, heads, noise, ratio, dropout) for _ in range(depth))
        self.output_layer = Output(dim, noise)
        self.head = _zero(nn.Linear(dim, vocabulary))

    @property
    def embedding(self) -> Float[Tensor, "S D"]:
        """Return the embeddings of the states."""
        return self.vocab_embed.embedding

    def features(
        self, x: Int[Tensor, "B L"], t: Tensor | None, rows: Int[Tensor, "n"]
    ) -> Float[Tensor, "n D"]:
        """Return features of the last layer at selected rows."""
        hidden = functional.embedding(x, self.vocab_embed.embedding)
        noise = self.sigma_map(self._sigma(x, t))
        turn = rotary(x.shape[1], hidden.shape[-1] // self.heads, hidden)
        for block in self.blocks:
            hidden = block(hidden, turn, noise)
        output = self.output_layer
        own = output.adaLN_modulation(noise)[rows // x.shape[1]]
        features: Tensor = output.norm_final(hidden.flatten(0, 1)[rows], *own.chunk(2, -1))
        return features

    def _sigma(self, x: Int[Tensor, "B L"], t: Tensor | None) -> Float[Tensor, "B"]:
        if self.schedule is None or t is None:
            return torch.zeros(len(x), device=x.device)
        sigma: Tensor = -self.schedule.alpha(t).clamp_min(LEAST).log()
        return sigma


class PretrainedDIT(DIT):
    """The weights of MDLM's DiT as a network; sizes are those of the weights.

    Args:
        name: A file in safetensors, or a folder with some.
        vocabulary: V.
        heads: Number of attention heads, None where the weights show it.
        dropout: As for `DIT`.
        schedule: As for `DIT`; None for MDLM, which was trained without time.

    Raises:
        InputError: No such weights, damaged ones, those of another network or vocabulary.
    """

    def __init__(
        self,
        *,
        name: str | None,
        vocabulary: int,
        heads: int | None = None,
        dropout: float = 0.0,
        schedule: Any = None,  # noqa: ANN401
    ) -> None:
        weights = {_PREFIX.sub("", key): value for key, value in read(name).items()}
        name = str(name)
        table, first = "vocab_embed.embedding", "blocks.0.mlp.0.weight"
        for key in (table, first, "sigma_map.mlp.2.weight", "output_layer.linear.weight"):
            if key not in weights or weights[key].dim() != 2:
                raise InputError(f"net.name: {name} holds no DiT: it lacks the matrix {key}")
        (states, dim), (wide, _) = weights[table].shape, weights[first].shape
        if states not in (vocabulary, vocabulary + 1):
            raise InputError(
                f"net.vocabulary must be {states} or {states - 1}: {name} has {states} states, "
                f"found {vocabulary}; take the tokenizer that it was trained with"
            )
        super().__init__(
            vocabulary=vocabulary,
            extra=states - vocabulary,
            dim=dim,
            depth=1 + max(int(match[1]) for key in weights if (match := _BLOCK.match(key))),
            heads=_heads(name, weights, dim, heads),
            noise=weights["sigma_map.mlp.2.weight"].shape[0],
            ratio=wide // dim,
            dropout=dropout,
            schedule=schedule,
        )
        weights.pop("rotary_emb.inv_freq", None)
        for part in ("weight", "bias"):
            whole = weights.pop(f"output_layer.linear.{part}", None)
            if whole is not None:
                weights[f"head.{part}"] = whole[:vocabulary]
        _fill(self, weights, name)


def read(name: str | None) -> dict[str, Tensor]:
    """Return the tensors of a file in safetensors, or of all such files of a folder.

    Raises:
        InputError: No such file, or a damaged one.
    """
    path = os.path.expanduser(name or "")
    files = (
        [os.path.join(path, file) for file in sorted(os.listdir(path))]
        if os.path.isdir(path)
        else [path]
    )
    files = [file for file in files if file.endswith(".safetensors")]
    if not files or not all(map(os.path.isfile, files)):
        raise InputError(
            f"net.name: {name} must be a file or a folder with .safetensors (other files could "
            "run code)"
        )
    tensors: dict[str, Tensor] = {}
    for file in files:
        with one_line(f"net.name: {file} is damaged"), safe_open(file, "pt") as opened:
            tensors |= {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    return tensors


def _heads(name: str, weights: dict[str, Tensor], dim: int, given: int | None) -> int:
    """Return the number of heads: that of the configuration, or the one of the weights.

    Raises:
        InputError: Neither, or two that differ.
    """
    turns = weights.get("rotary_emb.inv_freq")
    known = None if turns is None else dim // (2 * len(turns))
    if known is None and given is None:
        raise InputError(f"net.heads: found null; {name} does not show its number of heads")
    if known and given and known != given:
        raise InputError(f"net.heads must be {known}, as {name} shows, found {given}")
    return known or given or 1


def _fill(net: nn.Module, weights: dict[str, Tensor], name: str) -> None:
    """Copy weights into a network, each in the network's type.

    Raises:
        InputError: One is missing, left over, of another shape, or not finite.
    """
    wanted = dict(net.named_parameters())
    wrong = {
        "lacks": wanted.keys() - weights.keys(),
        "has unexpected": weights.keys() - wanted.keys(),
        "has other shapes of": {
            key for key, value in weights.items() if wanted.get(key, value).shape != value.shape
        },
        "has weights that are no numbers:": {
            key for key, value in weights.items() if not value.isfinite().all()
        },
    }
    for fault, keys in wrong.items():
        if keys:
            more = " …" if len(keys) > 3 else ""
            raise InputError(f"net.name: {name} {fault} {', '.join(sorted(keys)[:3])}{more}")
    with torch.no_grad():
        for key, value in weights.items():
            wanted[key].copy_(value)


def _zero(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
