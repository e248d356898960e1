"""Batch sources: where the sequences of a training come from, and the weight of each.

A batch source is opened with the data context of a run, and then returns the batch of every step.
"""

import math
import sys
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float64, Int64
from torch import Tensor, nn

from tcsm.data.batches import Batch, part, permuted
from tcsm.data.buffer import Buffer
from tcsm.data.tilts import LOW, Best, Tilt, relative_ess
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.noise import Noise, fold

NEVER = -1e30  # log of 0 that may be multiplied by 0
_ORDER = zlib.crc32(b"feed.order")  # the text decides the order, so it stays


@runtime_checkable
class Batches(Protocol):
    """Batches as a function of the step, and of the model at that step if the model draws them."""

    def at(
        self, step: int, rank: int = 0, world: int = 1, micro: int = 0, micros: int = 1
    ) -> Batch:
        """Return the rows of a step for one rank and one micro-batch."""


@dataclass(frozen=True)
class DataContext:
    """The data that a run offers to its batch source.

    Attributes:
        corpus: Windows of text.
        size: Size of a step's global batch.
        length: Tokens of a sequence.
        seed: Seed of the run.
        model: The model in training.
        tokenizer: Tokenizer of all sequences.
        buffer: Samples of a model, if the run names their folder.
        weigh: Advantages of a step's global batch ↦ weights of its rows, those of the objective.
    """

    corpus: Batches
    size: int
    length: int
    seed: int
    model: nn.Module
    tokenizer: Tokenizer | None = None
    buffer: Buffer | None = None
    weigh: Callable[[Tensor], Tensor] = Tensor.clone

    def collected(self, texts: int = 1) -> Buffer:
        """Return the buffer, whose rows must hold this many texts.

        Raises:
            InputError: The run names no buffer, or one with other rows.
        """
        if self.buffer is None:
            raise InputError(
                "collected: found null; these batches need the folder of a collection"
            )
        if self.buffer.texts != texts:
            raise InputError(
                f"collected: rows of {self.buffer.texts} texts, wanted {texts}; batches=pair_file "
                "reads folders that pair of this version wrote, other batches those of collect"
            )
        return self.buffer


class BatchSource(ABC):
    """A source of batches for a training.

    ``gives`` are the kinds of rows that an objective may find in it (`Objective.reads`).
    """

    gives: ClassVar[tuple[str, ...]] = ("texts",)

    @abstractmethod
    def open(self, context: DataContext) -> Batches:
        """Return batches from the data of a run.

        Raises:
            InputError: The context lacks data that this source needs.
        """


class Corpus(BatchSource):
    """Windows of text, each of weight 1."""

    def open(self, context: DataContext) -> Batches:
        """Return the windows of text."""
        return context.corpus


@dataclass(frozen=True)
class Collected(BatchSource):
    """Sequences of a buffer by their importance weights, mixed with windows of text.

    Attributes:
        tilt: Maps rewards to weights.
        resample: a ∈ [0, 1]: sequences are drawn ∝ W^a and have weight W^(1−a) in the loss, which
            is
            the same in expectation for every a (10.2); a = 1 spends no step on small weights.
        share: Share of collected sequences in a batch; the others are text.
        least_ess: Relative effective sample size below which the weights are refused (10.5); below
            0.1 there is a warning.

    Raises:
        InputError: A number outside [0, 1].
    """

    tilt: Tilt
    resample: float = 1.0
    share: float = 1.0
    least_ess: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers outside [0, 1]."""
        for key in ("resample", "share", "least_ess"):
            if not 0 <= getattr(self, key) <= 1:
                raise InputError(f"batches.{key} must lie in [0, 1], found {getattr(self, key)}")

    def open(self, context: DataContext) -> Batches:
        """Weight the buffer; refuse weights with too small an effective sample size."""
        buffer = context.collected()
        if buffer.tokens.shape[1] != context.length:
            raise InputError(
                f"collected: sequences of {buffer.tokens.shape[1]} tokens, wanted data.length = "
                f"{context.length}"
            )
        if self.share and not self.rows(context.size):
            raise InputError(
                f"batches.share: {self.share} of data.batch = {context.size} is not one sequence"
            )
        log_w = self.tilt.log_weights(buffer)
        if not isinstance(self.tilt, Best):  # Best selects few sequences on purpose
            self._judge(relative_ess(log_w), len(buffer))
        return Weighted(buffer, log_w, self, context)

    def rows(self, size: int) -> int:
        """Return the number of collected sequences in a batch of this size."""
        return round(self.share * size)

    def _judge(self, ess: float, count: int) -> None:
        words = f"relative effective sample size {ess:.3f} of {count} collected sequences"
        advice = "raise tilt.beta, collect more, or refresh from the trained model"
        if not ess >= self.least_ess:  # true for NaN, from rewards that overflow
            raise InputError(
                f"batches.least_ess: {words}, wanted {self.least_ess} at least; {advice}"
            )
        if ess < LOW:
            print(f"tcsm: batches: {words}; {advice}", file=sys.stderr)


@dataclass(frozen=True)
class Weighted:
    """Batches of a weighted buffer.

    Attributes:
        buffer: The sequences.
        log_w: log W of each sequence, mean W = 1.
        source: Settings of the draws.
        context: Gives the text.
    """

    buffer: Buffer
    log_w: Float64[Tensor, "N"]
    source: Collected
    context: DataContext
    _cumulated: Float64[Tensor, "N"] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "log_w", self.log_w.clamp(min=NEVER))
        chance = torch.softmax(self.source.resample * self.log_w, 0)
        object.__setattr__(self, "_cumulated", chance.cumsum(0))

    def at(
        self, step: int, rank: int = 0, world: int = 1, micro: int = 0, micros: int = 1
    ) -> Batch:
        """Return collected sequences and text, in a new random order every step.

        Noise levels are stratified by the place in the batch, too: in a fixed order one part of
        the buffer would always get the same noise levels.
        """
        size = self.context.size
        ids = part(size, rank, world, micro, micros)
        place = permuted(ids, size, fold(self.context.seed, _ORDER, step).expand(len(ids)))
        collected = place < self.source.rows(size)
        index, weight = self._draw(step, place)
        tokens, real = self.buffer.tokens[index], self.buffer.real(index)
        if collected.all():
            return Batch(tokens, weight, step, ids, size, real)
        text = self.context.corpus.at(step, rank, world, micro, micros)
        tokens = torch.where(collected[:, None], tokens, text.tokens)
        weight = torch.where(collected, weight, text.weight)
        if real is not None or text.real is not None:
            every = torch.ones_like(tokens, dtype=torch.bool)
            own, other = (every if mask is None else mask for mask in (real, text.real))
            real = torch.where(collected[:, None], own, other)
        return replace(text, tokens=tokens, weight=weight, real=real)

    def _draw(self, step: int, place: Int64[Tensor, "B"]) -> tuple[Tensor, Tensor]:
        """Return stratified draws ∝ W^a with weights W^(1−a), which have mean 1 under W."""
        count, a = len(self.buffer), self.source.resample
        strata = max(1, self.source.rows(self.context.size))
        u = Noise(self.context.seed, step, place, strata).stratified("buffer")
        index = torch.searchsorted(self._cumulated, u * self._cumulated[-1], right=True)
        index = index.clamp(max=count - 1)  # places beyond the strata hold text
        log_scale = torch.logsumexp(a * self.log_w, 0) - math.log(count)
        rest = (1 - a) * self.log_w[index] + log_scale
        return index, rest.exp().float()
