"""The order of the data: windows of tokens as a pure function of (seed, step).

The training stream is cut into windows of L tokens, from a new random offset every epoch, and read
in a new random order. The order is a keyed bijection computed window by window, so that it costs
neither memory nor state: a run resumes from the number of its step alone.
"""

import zlib
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt
from torch import Tensor

from tcsm.errors import InputError
from tcsm.noise import fold

_PHASE, _ORDER = zlib.crc32(b"data.phase"), zlib.crc32(b"data.order")
_ROUNDS = 6


@dataclass(frozen=True)
class Batch:
    """Some rows of a step's global batch.

    Attributes:
        tokens: int64 ids, shape (B, L).
        weight: of each row in the loss, shape (B).
        step: the step.
        ids: position of each row in the global batch, shape (B).
        total: size of the global batch.
        real: positions of text, the others being padding, shape (B, L); None if all are text.
    """

    tokens: Int[Tensor, "B L"]
    weight: Float[Tensor, "B"]
    step: int
    ids: Int[Tensor, "B"]
    total: int
    real: Bool[Tensor, "B L"] | None = None

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on a device."""
        return replace(
            self,
            tokens=self.tokens.to(device, non_blocking=True),
            weight=self.weight.to(device, non_blocking=True),
            ids=self.ids.to(device, non_blocking=True),
            real=None if self.real is None else self.real.to(device, non_blocking=True),
        )


@dataclass(frozen=True)
class WindowBatches:
    """Batches of training windows.

    Attributes:
        tokens: the training split.
        length: tokens in a window, L.
        batch: windows in a step's global batch.
        seed: of the order.
    """

    tokens: UInt[np.ndarray, "n"]
    length: int
    batch: int
    seed: int

    def __post_init__(self) -> None:
        if not 1 <= self.length <= self.tokens.size:
            raise InputError(
                f"data.length must lie in [1, {self.tokens.size}], the tokens of the training "
                f"split; found {self.length}"
            )
        if self.batch < 1:
            raise InputError(f"data.batch must be at least 1, found {self.batch}")

    @property
    def windows(self) -> int:
        """Windows of an epoch, as many as fit behind every offset."""
        return max(1, (self.tokens.size - self.length + 1) // self.length)

    def rows(self, world: int, micros: int) -> int:
        """How many rows fall to one rank and one micro-batch.

        Raises:
            InputError: if the global batch cannot be split evenly.
        """
        return len(part(self.batch, 0, world, 0, micros))

    def at(
        self, step: int, rank: int = 0, world: int = 1, micro: int = 0, micros: int = 1
    ) -> Batch:
        """The rows of a step that fall to one rank and one micro-batch.

        The parts, in the order (rank, micro), are the global batch whatever the split.
        """
        ids = part(self.batch, rank, world, micro, micros)
        window = self.starts(step * self.batch + ids)[:, None] + torch.arange(self.length)
        tokens = torch.from_numpy(self.tokens[window.numpy()].astype(np.int64))
        return Batch(tokens, torch.ones(len(ids)), step, ids, self.batch)

    def starts(self, draw: Int[Tensor, "B"]) -> Int[Tensor, "B"]:
        """Where the windows begin that are drawn first, second, … in the whole run."""
        epoch, index = draw // self.windows, draw % self.windows
        offsets = min(self.length, self.tokens.size - self.windows * self.length + 1)
        phase = fold(self.seed, _PHASE, epoch) % offsets
        return phase + self.length * permuted(index, self.windows, fold(self.seed, _ORDER, epoch))


def part(total: int, rank: int, world: int, micro: int, micros: int) -> Int[Tensor, "B"]:
    """Which rows of a global batch fall to one rank and one micro-batch.

    Raises:
        InputError: if the global batch cannot be split evenly.
    """
    if total % (world * micros):
        raise InputError(
            f"data.batch must be a multiple of {world * micros} ({world} processes × {micros} "
            f"micro-batches of trainer.accumulate), found {total}"
        )
    rows = total // (world * micros)
    return (rank * micros + micro) * rows + torch.arange(rows)


def permuted(index: Int[Tensor, "B"], size: int, key: Int[Tensor, "B"]) -> Int[Tensor, "B"]:
    """Where a keyed bijection of [0, size) sends each index.

    A Feistel network permutes [0, 4^h), the least that holds `size`. Whoever lands outside walks
    on along the cycle until inside: fewer than 4 steps on average.
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    index = _feistel(index, half, key)
    while (outside := index >= size).any():
        index = torch.where(outside, _feistel(index, half, key), index)
    return index


def _feistel(index: Int[Tensor, "B"], half: int, key: Int[Tensor, "B"]) -> Int[Tensor, "B"]:
    """(left, right) → (right, left ⊕ hash(right)), some rounds; invertible for any hash."""
    mask = (1 << half) - 1
    left, right = index >> half, index & mask
    for number in range(_ROUNDS):
        left, right = right, left ^ (fold(key, number, right) & mask)
    return left << half | right


def evaluation_windows(
    tokens: UInt[np.ndarray, "n"], length: int, count: int, key: str = "evaluation.sequences"
) -> Int[Tensor, "N L"]:
    """`count` windows, evenly spaced over a split and without overlap, in int64.

    Args:
        tokens: the split.
        length: tokens in a window, L.
        count: how many windows, N.
        key: which key says so.

    Raises:
        InputError: if the split is too short for them.
    """
    if count < 1 or length < 1 or count * length > tokens.size:
        raise InputError(
            f"{key} = {count} windows of data.length = {length} tokens do not fit "
            f"in a split of {tokens.size} tokens; at most {tokens.size // max(length, 1)} do"
        )
    starts = np.arange(count) * tokens.size // count
    return torch.from_numpy(tokens[starts[:, None] + np.arange(length)].astype(np.int64))
