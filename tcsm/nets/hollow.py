"""The hollow transformer: every position sees all others but not itself, in one pass.

Two causal streams read x from the left and from the right, each shifted by one position, so that
they depend on x^{<i} and x^{>i} at position i. One layer mixes them: its query at i attends to the
left stream up to i and to the right stream from i on, so that the result depends on x^{≠i} alone.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from tcsm.nets.base import Net
from tcsm.nets.layers import Mlp, linear, rms_norm, rotary, rotate, take
from tcsm.nets.transformer import Transformer


class Mixing(nn.Module):
    """Attention of each position over both streams, followed by an MLP.

    Args:
        dim: Width D of each stream.
        heads: Number of attention heads.
        ratio: Hidden width of the MLP over D.
    """

    def __init__(self, dim: int, heads: int, ratio: int) -> None:
        super().__init__()
        self.heads = heads
        self.join, self.query = linear(2 * dim, dim), linear(2 * dim, dim)
        self.keys_values = linear(dim, 2 * dim)
        self.out = linear(dim, dim, zero=True)
        self.mlp = Mlp(dim, ratio)

    def forward(
        self, left: Float[Tensor, "B L D"], right: Float[Tensor, "B L D"], rows: Int[Tensor, "n"]
    ) -> Float[Tensor, "n D"]:
        """Return normalized features at selected rows of the flattened positions."""
        both = torch.cat([left, right], -1)
        x = self.join(take(both, rows)) + self.out(take(self._attend(both), rows))
        x = x + self.mlp(rms_norm(x))
        return rms_norm(x)

    def _attend(self, both: Float[Tensor, "B L E"]) -> Float[Tensor, "B L D"]:
        batch, length, width = both.shape
        size = width // 2 // self.heads
        turn = rotary(length, size, both)
        q = rotate(rms_norm(self.query(both).view(batch, length, self.heads, size)), turn)
        streams = torch.cat(both.chunk(2, -1), 1)
        k, v = self.keys_values(streams).view(batch, 2 * length, -1, size).chunk(2, 2)
        twice = (torch.cat([turn[0]] * 2), torch.cat([turn[1]] * 2))
        k = rotate(rms_norm(k), twice)
        before = torch.ones(length, length, dtype=torch.bool, device=both.device).tril()
        seen = torch.cat([before, before.T], 1)
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))
        mixed = functional.scaled_dot_product_attention(q, k, v, seen, scale=1.0)
        return mixed.transpose(1, 2).reshape(batch, length, -1)


class Hollow(Net):
    """Tokens (B, L) ↦ features (n, D) of x^{≠i}, with a head to V logits.

    Args:
        vocabulary: V, the number of clean tokens; state V is the start symbol of both streams.
        dim: Width D of each stream.
        depth: Number of blocks of each stream.
        heads: Number of attention heads.
        ratio: Hidden width of the MLPs over D.
        stem: Width of the causal convolution of each stream, 0 for none.
        dropout: As in `Transformer`, of the blocks of both streams.
        chunk: Positions that the head evaluates at once; None for as many as memory suits.

    Raises:
        InputError: Sizes that do not fit together.
    """

    def __init__(  # noqa: PLR0913 (an architecture has that many numbers)
        self,
        *,
        vocabulary: int,
        dim: int,
        depth: int,
        heads: int,
        ratio: int = 4,
        stem: int = 0,
        dropout: float = 0.0,
        chunk: int | None = None,
    ) -> None:
        super().__init__()

        def stream() -> Transformer:
            net = Transformer(
                vocabulary=vocabulary,
                extra=1,
                dim=dim,
                depth=depth,
                heads=heads,
                ratio=ratio,
                causal=True,
                stem=stem,
                dropout=dropout,
            )
            net.head = nn.Identity()
            return net

        self.vocabulary, self.states = vocabulary, vocabulary + 1
        self.causal, self.timed, self.chunk = False, False, chunk
        self.left, self.right = stream(), stream()
        self.mixing = Mixing(dim, heads, ratio)
        self.head = linear(dim, vocabulary, zero=True)

    def flops_per_token(self, length: int) -> float:
        """Return the FLOPs of both streams, the mixing over 2L keys, and the head."""
        weights = sum(p.numel() for p in (*self.mixing.parameters(), *self.head.parameters()))
        streams = self.left.flops_per_token(length) + self.right.flops_per_token(length)
        return streams + 6.0 * weights + 24.0 * length * self.left.embedding.shape[1]

    def features(
        self, x: Int[Tensor, "B L"], t: Tensor | None, rows: Int[Tensor, "n"]
    ) -> Float[Tensor, "n D"]:
        """Return features of x^{≠i}; ``t`` is ignored."""
        left = self._behind(self.left, x)
        right = self._behind(self.right, x.flip(1)).flip(1)
        return self.mixing(left, right, rows)  # type: ignore[no-any-return]

    def _behind(self, stream: Transformer, x: Int[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        start = torch.full_like(x[:, :1], self.vocabulary)
        everywhere = torch.arange(x.numel(), device=x.device)
        return stream.features(torch.cat([start, x[:, :-1]], 1), None, everywhere).view(
            *x.shape, -1
        )
