"""The transformer of all models: bidirectional, or causal for autoregressive models.

Rotary positions, RMSNorm, normalized queries and keys, fan-in initialization and zero at the end
of every residual branch. Time, where a model takes it, enters by adaptive norms (adaLN); a
time-free network has no such modules.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from tcsm.errors import InputError
from tcsm.nets.base import Net
from tcsm.nets.layers import (
    Attention,
    Mlp,
    Stem,
    TimeEmbedding,
    cast,
    linear,
    rms_norm,
    rotary,
    take,
)


class Block(nn.Module):
    """x + attention(norm x), then x + mlp(norm x)."""

    def __init__(
        self, dim: int, heads: int, ratio: int, causal: bool, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.attention = Attention(dim, heads, causal)
        self.mlp = Mlp(dim, ratio)
        self.dropout = dropout

    def forward(
        self,
        x: Float[Tensor, "B L D"],
        turn: tuple[Tensor, Tensor],
        time: Tensor | None,
        rows: Int[Tensor, "n"] | None = None,
    ) -> Float[Tensor, "B L D"] | Float[Tensor, "n D"]:
        """Apply one layer; ``time`` is ignored.

        With ``rows``, places in the flattened B·L positions, only these are returned: the last
        layer need not compute what no head uses.
        """
        mixed = self.attention.mix(rms_norm(x), turn)
        x = take(x, rows) + self.dropped(self.attention.out(take(mixed, rows)))
        return x + self.dropped(self.mlp(rms_norm(x)))

    def dropped(self, branch: Tensor) -> Tensor:
        """Return the output of a residual branch, in training with dropout if there is any."""
        if not (self.dropout and self.training):
            return branch
        return functional.dropout(branch, self.dropout)


class TimedBlock(Block):
    """A block whose norms are shifted, scaled and gated by time (adaLN)."""

    def __init__(
        self, dim: int, heads: int, ratio: int, causal: bool, dropout: float = 0.0
    ) -> None:
        super().__init__(dim, heads, ratio, causal, dropout)
        self.modulation = linear(dim, 6 * dim, zero=True)

    def forward(
        self,
        x: Float[Tensor, "B L D"],
        turn: tuple[Tensor, Tensor],
        time: Tensor | None,
        rows: Int[Tensor, "n"] | None = None,
    ) -> Float[Tensor, "B L D"] | Float[Tensor, "n D"]:
        """Apply one layer with a time's embedding (B, D); ``rows`` as in `Block`."""
        modulation: Tensor = self.modulation(time)[:, None]
        shift, scale, *later = modulation.chunk(6, -1)
        mixed = self.attention.mix(rms_norm(x) * (1 + scale) + shift, turn)
        if rows is not None:
            later = [part.squeeze(1).index_select(0, rows // x.shape[1]) for part in later]
        gate, shift_2, scale_2, gate_2 = later
        change = self.attention.out(take(mixed, rows))
        x = take(x, rows) + (1 + gate) * self.dropped(change)
        change = self.mlp(rms_norm(x) * (1 + scale_2) + shift_2)
        return x + (1 + gate_2) * self.dropped(change)


class Transformer(Net):
    """States (B, L) ↦ features (n, D) of n selected positions, with a head to V logits.

    Args:
        vocabulary: V, the number of clean tokens, one logit each.
        extra: Number of further input states (the mask, or the start symbol of a causal model).
        dim: Width D, a multiple of ``heads``.
        depth: Number of blocks.
        heads: Number of attention heads, each of even size.
        ratio: Hidden width of the MLP over D.
        causal: Whether a position sees only earlier positions.
        timed: Whether the network takes t.
        stem: Width of the convolution after the embedding, odd; 0 for none.
        dropout: Chance with which training sets an output of a residual branch to zero.
        chunk: Positions that the head evaluates at once; None for as many as memory suits.

    Raises:
        InputError: Sizes that do not fit together.
    """

    def __init__(  # noqa: PLR0913 (an architecture has that many numbers)
        self,
        *,
        vocabulary: int,
        extra: int,
        dim: int,
        depth: int,
        heads: int,
        ratio: int = 4,
        causal: bool = False,
        timed: bool = False,
        stem: int = 0,
        dropout: float = 0.0,
        chunk: int | None = None,
    ) -> None:
        sizes = {"dim": dim, "depth": depth, "heads": heads, "ratio": ratio, "chunk": chunk}
        _check(sizes, dim, heads, stem, dropout)
        super().__init__()
        self.vocabulary, self.states, self.heads = vocabulary, vocabulary + extra, heads
        self.causal, self.timed, self.chunk = causal, timed, chunk
        self.embedding = nn.Parameter(torch.randn(self.states, dim))
        self.stem = Stem(dim, stem, causal) if stem else None
        self.time = TimeEmbedding(dim) if timed else None
        block = TimedBlock if timed else Block
        self.blocks = nn.ModuleList(
            block(dim, heads, ratio, causal, dropout) for _ in range(depth)
        )
        self.head = linear(dim, vocabulary, zero=True)

    def flops_per_token(self, length: int) -> float:
        """Return the FLOPs: 6 per weight of blocks and head, 12 L D per block for attention."""
        weights = sum(p.numel() for p in (*self.blocks.parameters(), *self.head.parameters()))
        return 6.0 * weights + 12.0 * len(self.blocks) * length * self.embedding.shape[1]

    def features(
        self, x: Int[Tensor, "B L"], t: Tensor | None, rows: Int[Tensor, "n"]
    ) -> Float[Tensor, "n D"]:
        """Return normalized features of the last layer."""
        return self.encode(self.embed(x), t, rows)

    def embed(self, x: Int[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        """Return the input of the first block."""
        hidden: Tensor = (
            self.stem(x, self.embedding) if self.stem else functional.embedding(x, self.embedding)
        )
        return hidden

    def encode(
        self, hidden: Float[Tensor, "B L D"], t: Tensor | None, rows: Int[Tensor, "n"]
    ) -> Float[Tensor, "n D"]:
        """Apply the blocks."""
        time = self.time(t) if self.time else None
        turn = rotary(hidden.shape[1], hidden.shape[-1] // self.heads, hidden)
        hidden = cast(hidden)
        for block in self.blocks[:-1]:
            hidden = block(hidden, turn, time)
        return rms_norm(self.blocks[-1](hidden, turn, time, rows))


def _check(sizes: dict[str, int | None], dim: int, heads: int, stem: int, dropout: float) -> None:
    for key, size in sizes.items():
        if size is not None and size < 1:
            raise InputError(f"net.{key} must be 1 or more, found {size}")
    if dim % (2 * heads):
        raise InputError(f"net.dim must be a multiple of 2 · net.heads = {2 * heads}, found {dim}")
    if stem < 0 or (stem and stem % 2 == 0):
        raise InputError(f"net.stem must be 0 or an odd width, found {stem}")
    if not 0 <= dropout < 1:
        raise InputError(f"net.dropout must lie in [0, 1), found {dropout}")
