"""Counter-based randomness: every random number is a pure function of where it is used.

A draw is SplitMix64 of (seed, stream, step, sample id, position), computed in wrapping int64
tensor operations, hence equal bit for bit on CPU and GPU. Nothing has a state: results depend
neither on the number of devices, nor on accumulation, nor on restarts, and no two ranks share a
draw.
"""

import zlib
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor


def _signed(word: int) -> int:
    """Return the int64 with the bits of an unsigned 64-bit word."""
    word &= (1 << 64) - 1
    return word - (1 << 64) if word >> 63 else word


CELLS = 2**26  # probabilities that are inverted at once
CACHED_CELLS = 2**19  # on a CPU
DENSE = 1024  # vocabularies above are inverted in two steps
BLOCK = 256  # tokens of a block of the first step
_GOLDEN = _signed(0x9E3779B97F4A7C15)
_MIX_1 = _signed(0xBF58476D1CE4E5B9)
_MIX_2 = _signed(0x94D049BB133111EB)


def _shift(word: Int64[Tensor, "*s"], bits: int) -> Int64[Tensor, "*s"]:
    """Return the logical shift to the right; int64's own shift would extend the sign."""
    return (word >> bits).bitwise_and_((1 << (64 - bits)) - 1)


def splitmix64(word: Int64[Tensor, "*s"]) -> Int64[Tensor, "*s"]:
    """Return SplitMix64's finalizer, a bijection of 64-bit words (Steele, Lea & Flood 2014)."""
    word = word + _GOLDEN  # a tensor of its own: what follows is in place
    word.bitwise_xor_(_shift(word, 30)).mul_(_MIX_1)
    word.bitwise_xor_(_shift(word, 27)).mul_(_MIX_2)
    return word.bitwise_xor_(_shift(word, 31))


def fold(*parts: int | Tensor) -> Tensor:
    """Return a 64-bit key of several integers or int64 tensors, broadcast; order matters."""
    key = torch.zeros((), dtype=torch.int64)
    for part in parts:
        word = part if isinstance(part, Tensor) else torch.tensor(_signed(part))
        key = splitmix64(key ^ word)  # a 0-d key on the CPU is an argument of the GPU's kernel
    return key


def to_uniform(word: Int64[Tensor, "*s"]) -> Float64[Tensor, "*s"]:
    """Return the top 53 bits of a word as a number in [0, 1), exactly representable."""
    return _shift(word, 11).to(torch.float64) * 2.0**-53


@dataclass(frozen=True)
class Noise:
    """The randomness of one batch.

    Attributes:
        seed: The run's seed.
        step: The step, or one integer per sample for draws that are stratified within a sequence.
        ids: Position of each sample in the step's *global* batch, shape (B).
        total: Size of the global batch.
    """

    seed: int
    step: int | Int64[Tensor, "B"]
    ids: Int64[Tensor, "B"]
    total: int

    def _stratum(self, stream: str) -> Tensor:
        step = self.step.to(self.ids.device) if isinstance(self.step, Tensor) else self.step
        return fold(self.seed, zlib.crc32(stream.encode()), step)

    def uniform(self, stream: str, *sizes: int) -> Tensor:
        """Return independent uniforms in [0, 1), float64, shape (B, *sizes)."""
        key = fold(self._stratum(stream), self.ids)
        for size in sizes:
            key = fold(key[..., None], torch.arange(size, device=self.ids.device))
        return to_uniform(key)

    def stratified(self, stream: str) -> Float64[Tensor, "B"]:
        """Return low-discrepancy uniforms (id + U) / total with one U per step (11.6)."""
        offset = to_uniform(splitmix64(self._stratum(stream)))
        return (self.ids + offset) / self.total


class Antithetic(Noise):
    """Noise whose upper half of strata mirrors the lower one: id ↦ (id + 1 − U)/total.

    A mean over all strata has no error in what is linear in the stratified number.
    """

    def stratified(self, stream: str) -> Float64[Tensor, "B"]:
        """Return low-discrepancy uniforms, one U per step, mirrored in the upper half."""
        u = super().stratified(stream)
        mirrored = ((2 * self.ids + 1) / self.total - u).clamp(max=1 - 2.0**-53)
        return torch.where(2 * self.ids < self.total, u, mirrored)


def batch_noise(seed: int, step: int, size: int) -> Noise:
    """Return the noise of a complete batch on one device: ids 0 … size − 1."""
    return Noise(seed, step, torch.arange(size), size)


def categorical(log_p: Float[Tensor, "n V"], u: Float64[Tensor, "n"]) -> Int64[Tensor, "n"]:
    """Sample from each row ∝ exp(log_p) by inverting its distribution function at u in [0, 1).

    Rows need no normalization. They are processed in groups: with fifty thousand tokens, one more
    copy of all of them would fill a GPU, or a CPU's cache.
    """
    cells = CACHED_CELLS if log_p.device.type == "cpu" else CELLS
    rows = max(1, cells // log_p.shape[-1])
    parts = zip(torch.split(log_p, rows), torch.split(u, rows), strict=True)
    invert = _inverted_in_blocks if log_p.shape[-1] > DENSE else _inverted
    return torch.cat([invert(some, where) for some, where in parts])


def _inverted(log_p: Float[Tensor, "n V"], u: Float64[Tensor, "n"]) -> Int64[Tensor, "n"]:
    """Invert the float64 distribution function."""
    cumulated = torch.softmax(log_p, -1, dtype=torch.float64).cumsum(-1)
    return _place(cumulated, u * cumulated[:, -1])


def _inverted_in_blocks(
    log_p: Float[Tensor, "n V"], u: Float64[Tensor, "n"]
) -> Int64[Tensor, "n"]:
    """Draw a block of tokens by the blocks' sums, then in float64 a token of this block.

    u selects the block in float64, and what is left of u the token. Only the sums are formed in
    the precision of log_p, float32 at least: they scale the chances of all tokens of a block by
    one factor, within 10⁻⁶ of 1. No small probability is added to a large one, except in float64.
    """
    weight = log_p.to(torch.promote_types(log_p.dtype, torch.float32))
    top = weight.amax(-1, keepdim=True)
    weight = (weight - top).exp_()
    count = log_p.shape[-1] // BLOCK
    sums = weight[:, : count * BLOCK].view(len(u), count, BLOCK).sum(-1)
    sums = torch.cat([sums, weight[:, count * BLOCK :].sum(-1, keepdim=True)], -1).double()
    cumulated = sums.cumsum(-1)
    threshold = u * cumulated[:, -1]
    block = _place(cumulated, threshold)[:, None]
    size = sums.gather(-1, block)
    rest = (threshold[:, None] - cumulated.gather(-1, block) + size) / size
    token = block * BLOCK + torch.arange(BLOCK, device=u.device)
    inside = log_p.gather(-1, token.clamp(max=log_p.shape[-1] - 1)).double() - top
    inside = inside.masked_fill(token >= log_p.shape[-1], -torch.inf)
    within = inside.exp_().cumsum(-1)
    rest = rest.squeeze(-1).clamp(0, 1 - 2.0**-53)
    return block.squeeze(-1) * BLOCK + _place(within, rest * within[:, -1])


def _place(
    cumulated: Float64[Tensor, "n V"], threshold: Float64[Tensor, "n"]
) -> Int64[Tensor, "n"]:
    """Return the first column of each row whose cumulated weight exceeds the threshold."""
    return torch.searchsorted(cumulated, threshold[:, None], right=True).squeeze(-1)
