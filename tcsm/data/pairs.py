"""Batch sources of preferences: a row of a batch is a pair, [winner | loser], of 2L tokens.

Two independent draws a, b of one model become a pair by the model of Bradley and Terry (10.6):

    P(a wins) = σ((R(a) − R(b))/τ)

Every epoch pairs all sequences anew, none twice, as a function of seed and step.
"""

import math
import zlib
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from tcsm.data.batch_sources import Batches, BatchSource, DataContext
from tcsm.data.batches import Batch, part, permuted
from tcsm.data.buffer import Buffer
from tcsm.errors import InputError
from tcsm.noise import Noise, fold

_ORDER = zlib.crc32(b"data.pairs")


@dataclass(frozen=True)
class Pairs(BatchSource):
    """Pairs of the sequences in the folder ``collected``, by their rewards.

    Attributes:
        temperature: τ > 0 in units of the reward; None for a winner that certainly has the larger
            reward, or by a fair coin where both are equal.

    Raises:
        InputError: τ is not a positive number.
    """

    gives: ClassVar[tuple[str, ...]] = ("pairs",)

    temperature: float | None = 1.0

    def __post_init__(self) -> None:
        """Refuse a temperature that is not positive."""
        if self.temperature is not None and not 0 < self.temperature < math.inf:
            raise InputError(
                f"batches.temperature must be a positive number or null, found {self.temperature}"
            )

    def chance(self, gap: Float64[Tensor, "*B"]) -> Float64[Tensor, "*B"]:
        """Return the probability that a wins, from R(a) − R(b)."""
        if self.temperature is None:
            return (1 + gap.sign()) / 2
        return torch.sigmoid(gap / self.temperature)

    def open(self, context: DataContext) -> Batches:
        """Return pairs of the collected sequences.

        Raises:
            InputError: Fewer than two sequences, another length, or draws from another
                distribution.
        """
        buffer = context.collected()
        _check_width(buffer, context.length, "sequences of data.length")
        if len(buffer) < 2:
            raise InputError("collected: a pair needs two sequences, found 1")
        if buffer.log_weight.any():
            raise InputError(
                "collected: found weights of importance; pairs are drawn from the reference "
                "itself, so set a collection that was not refreshed"
            )
        return Drawn(buffer, self, context)


@dataclass(frozen=True)
class PairFile(BatchSource):
    """Pairs of the folder ``collected``, of a file of preferences.

    Prompts and the padding of texts shorter than data.length are neither noised nor in a loss;
    the network sees padding as the separators that it consists of.
    """

    gives: ClassVar[tuple[str, ...]] = ("pairs",)

    def open(self, context: DataContext) -> Batches:
        """Return the pairs in a new random order every epoch.

        Raises:
            InputError: Pairs of another length, or no pairs of a file.
        """
        buffer = context.collected(2)
        _check_width(buffer, 2 * context.length, "pairs, two sequences of data.length")
        return Ordered(buffer, context)


@dataclass(frozen=True)
class Ordered:
    """Batches of rows that are pairs."""

    buffer: Buffer
    context: DataContext

    def at(
        self, step: int, rank: int = 0, world: int = 1, micro: int = 0, micros: int = 1
    ) -> Batch:
        """Return the rows of a step for one rank and one micro-batch."""
        size, count = self.context.size, len(self.buffer)
        ids = part(size, rank, world, micro, micros)
        draw = step * size + ids
        index = _shuffled(draw % count, count, self.context.seed, draw // count)
        tokens, real = self.buffer.tokens[index], self.buffer.real(index)
        return Batch(tokens, torch.ones(len(ids)), step, ids, size, real)


@dataclass(frozen=True)
class Drawn:
    """Batches of pairs of a buffer, each with the winner first."""

    buffer: Buffer
    source: Pairs
    context: DataContext

    def at(
        self, step: int, rank: int = 0, world: int = 1, micro: int = 0, micros: int = 1
    ) -> Batch:
        """Return the rows of a step for one rank and one micro-batch."""
        ids = part(self.context.size, rank, world, micro, micros)
        winner, loser = self.choose(step, ids)
        rows = torch.cat([self.buffer.tokens[winner], self.buffer.tokens[loser]], 1)
        parts = [part for part in map(self.buffer.real, (winner, loser)) if part is not None]
        real = torch.cat(parts, 1) if parts else None
        return Batch(rows, torch.ones(len(ids)), step, ids, self.context.size, real)

    def choose(self, step: int, ids: Int64[Tensor, "B"]) -> tuple[Tensor, Tensor]:
        """Return the indices of winners and losers."""
        seed, size, count = self.context.seed, self.context.size, len(self.buffer)
        draw, pairs = step * size + ids, count // 2
        epoch, place = draw // pairs, 2 * (draw % pairs)
        a, b = (_shuffled(place + side, count, seed, epoch) for side in (0, 1))
        gap = self.buffer.reward[a] - self.buffer.reward[b]
        wins = Noise(seed, step, ids, size).uniform("preference") < self.source.chance(gap)
        return torch.where(wins, a, b), torch.where(wins, b, a)


def _shuffled(
    index: Int64[Tensor, "B"], count: int, seed: int, epoch: Int64[Tensor, "B"]
) -> Int64[Tensor, "B"]:
    """Return the index at each place of an epoch's order."""
    return permuted(index, count, fold(seed, _ORDER, epoch))


def _check_width(buffer: Buffer, wanted: int, words: str) -> None:
    width = buffer.tokens.shape[1]
    if width != wanted:
        raise InputError(f"collected: rows of {width} tokens, wanted {wanted}: {words}")
