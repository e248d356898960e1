"""The order of the data: windows of tokens as a pure function of (seed, step).

The training stream is cut into windows of L tokens, from a new random offset every epoch, and read
in a new random order. The order is a keyed bijection that is computed window by window, so it
needs neither memory nor state: a run resumes from the number of its step alone.
"""

import zlib
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt
from torch import Tensor

from tcsm.errors import InputError
from tcsm.noise import fold

_PHASE, _ORDER = zlib.crc32(b"data.phase"), zlib.crc32(b"data.order")
_ROUNDS = 6
_AHEAD = 4096  # windows whose starts are computed at once: as fast as those of one step


@dataclass(frozen=True)
class Batch:
    """Rows of a step's global batch.

    Attributes:
        tokens: int64 ids, shape (B, L).
        weight: Weight of each row in the loss, shape (B).
        step: The step.
        ids: Position of each row in the global batch, shape (B).
        total: Size of the global batch.
        real: Positions of text, shape (B, L); the others, prompts and padding, are left out of
            corruption and loss. None if all are text.
    """

    tokens: Int[Tensor, "B L"]
    weight: Float[Tensor, "B"]
    step: int
    ids: Int[Tensor, "B"]
    total: int
    real: Bool[Tensor, "B L"] | None = None

    def to(self, device: torch.device | str) -> "Batch":
        """Return the same batch on a device."""
        return replace(
            self,
            tokens=self.tokens.to(device, non_blocking=True),
            weight=self.weight.to(device, non_blocking=True),
            ids=self.ids.to(device, non_blocking=True),
            real=None if self.real is None else self.real.to(device, non_blocking=True),
        )


@dataclass(frozen=True)
class Rows:
    """Held-out sequences.

    Attributes:
        tokens: int64 ids.
        characters: Characters that the text of each row stands for.
        real: As in `Batch`.
    """

    tokens: Int[Tensor, "N L"]
    characters: Int[Tensor, "N"]
    real: Bool[Tensor, "N L"] | None = None

    @property
    def count(self) -> int:
        """Return the number of tokens of text."""
        return self.tokens.numel() if self.real is None else int(self.real.sum())

    def mask(self, part: slice, device: torch.device) -> dict[str, Tensor]:
        """Return the argument ``real`` of a bound for some rows, nothing if all are text."""
        return {} if self.real is None else {"real": self.real[part].to(device)}


@dataclass(frozen=True)
class WindowBatches:
    """Batches of windows of the training split.

    Attributes:
        tokens: The training split.
        length: Tokens in a window, L.
        batch: Windows in a step's global batch.
        seed: Seed of the order.
        first: Place in the order at which step 0 begins; see `going_on`.
    """

    tokens: UInt[np.ndarray, "n"]
    length: int
    batch: int
    seed: int
    first: int = 0
    _ahead: dict[int, Tensor] = field(default_factory=dict, init=False, repr=False, compare=False)

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
        """Return the windows of an epoch, as many as fit after every offset."""
        return max(1, (self.tokens.size - self.length + 1) // self.length)

    def at(
        self, step: int, rank: int = 0, world: int = 1, micro: int = 0, micros: int = 1
    ) -> Batch:
        """Return the rows of a step for one rank and one micro-batch.

        The parts, in the order (rank, micro), make up the same global batch for every split.
        """
        ids = part(self.batch, rank, world, micro, micros)
        window = self._starts_of_step(step)[ids, None] + torch.arange(self.length)
        tokens = torch.from_numpy(self.tokens[window.numpy()].astype(np.int64))
        return Batch(tokens, torch.ones(len(ids)), step, ids, self.batch)

    def _starts_of_step(self, step: int) -> Int[Tensor, "B"]:
        """Return the starts of a step's windows, computed with those of the next steps."""
        steps = max(1, _AHEAD // self.batch)
        block, place = divmod(step, steps)
        if block not in self._ahead:
            self._ahead.clear()
            draws = torch.arange(steps * self.batch) + block * steps * self.batch + self.first
            self._ahead[block] = self.starts(draws.clamp_min(0)).view(steps, self.batch)
        return self._ahead[block][place]

    def starts(self, draw: Int[Tensor, "B"]) -> Int[Tensor, "B"]:
        """Return the starts of the windows that the run reads, in the order of its draws."""
        epoch, index = draw // self.windows, draw % self.windows
        offsets = min(self.length, self.tokens.size - self.windows * self.length + 1)
        phase = fold(self.seed, _PHASE, epoch) % offsets
        return phase + self.length * permuted(index, self.windows, fold(self.seed, _ORDER, epoch))


def part(total: int, rank: int, world: int, micro: int, micros: int) -> Int[Tensor, "B"]:
    """Return the rows of a global batch for one rank and one micro-batch.

    Raises:
        InputError: The global batch cannot be split evenly.
    """
    if total % (world * micros):
        raise InputError(
            f"data.batch must be a multiple of {world * micros} ({world} processes × {micros} "
            f"micro-batches of trainer.accumulate), found {total}"
        )
    rows = total // (world * micros)
    return (rank * micros + micro) * rows + torch.arange(rows)


def permuted(index: Int[Tensor, "B"], size: int, key: Int[Tensor, "B"]) -> Int[Tensor, "B"]:
    """Return where a keyed bijection of [0, size) maps each index.

    A Feistel network permutes [0, 4^h), the smallest such range that contains `size`. An index
    outside is mapped again until it is inside: fewer than 4 times on average.
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    index = _feistel(index, half, key)
    while (outside := index >= size).any():
        index = torch.where(outside, _feistel(index, half, key), index)
    return index


def _feistel(index: Int[Tensor, "B"], half: int, key: Int[Tensor, "B"]) -> Int[Tensor, "B"]:
    """Apply (left, right) → (right, left ⊕ hash(right)) some rounds; invertible for any hash."""
    mask = (1 << half) - 1
    left, right = index >> half, index & mask
    for number in range(_ROUNDS):
        left, right = right, left ^ (fold(key, number, right) & mask)
    return left << half | right


def evaluation_windows(
    tokens: UInt[np.ndarray, "n"], length: int, count: int, key: str = "evaluation.sequences"
) -> Int[Tensor, "N L"]:
    """Return `count` windows, evenly spaced over a split and without overlap, in int64.

    Args:
        tokens: The split.
        length: Tokens in a window, L.
        count: Number of windows, N.
        key: Key of the configuration that holds the count.

    Raises:
        InputError: The split is too short.
    """
    if count < 1 or length < 1 or count * length > tokens.size:
        raise InputError(
            f"{key} = {count} windows of data.length = {length} tokens do not fit "
            f"in a split of {tokens.size} tokens; at most {tokens.size // max(length, 1)} do"
        )
    starts = np.arange(count) * tokens.size // count
    return torch.from_numpy(tokens[starts[:, None] + np.arange(length)].astype(np.int64))
