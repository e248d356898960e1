"""Feeds: where the sequences of a training come from, and how much each counts.

A feed is opened with the context that the run has, and then gives the batch of every step.
"""

import math
import sys
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

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
_ORDER = zlib.crc32(b"feed.order")


@runtime_checkable
class Batches(Protocol):
    """Batches as a function of the step, and of the model at that step if it draws them."""

    def at(
        self, step: int, rank: int = 0, world: int = 1, micro: int = 0, micros: int = 1
    ) -> Batch:
        """The rows of a step that fall to one rank and one micro-batch."""


@dataclass(frozen=True)
class DataContext:
    """What a run has to feed on.

    Attributes:
        corpus: windows of text.
        size: of a step's global batch.
        length: tokens of a sequence.
        seed: of the run.
        model: what is trained.
        tokenizer: of all sequences.
        buffer: what a model drew, if the run names such a folder.
    """

    corpus: Batches
    size: int
    length: int
    seed: int
    model: nn.Module
    tokenizer: Tokenizer | None = None
    buffer: Buffer | None = None

    def collected(self, texts: int = 1) -> Buffer:
        """The buffer, each row of so many texts.

        Raises:
            InputError: the run names none, or one of other rows.
        """
        if self.buffer is None:
            raise InputError("collected: found null; this feed needs the folder of a collection")
        if self.buffer.texts != texts:
            raise InputError(
                f"collected: rows of {self.buffer.texts} texts, wanted {texts}; feed=pair_file "
                "reads folders that pair of this version wrote, other feeds those of collect"
            )
        return self.buffer


class BatchSource(ABC):
    """A way to feed a training."""

    @abstractmethod
    def open(self, context: DataContext) -> Batches:
        """Return the batches that the context makes possible.

        Raises:
            InputError: it lacks what this feed is made of.
        """


class Corpus(BatchSource):
    """Windows of text, each of weight 1."""

    def open(self, context: DataContext) -> Batches:
        """The corpus itself."""
        return context.corpus


@dataclass(frozen=True)
class Collected(BatchSource):
    """Sequences of a buffer by their weights, mixed with windows of text.

    Attributes:
        tilt: what a reward is worth.
        resample: a ∈ [0, 1]: sequences are drawn ∝ W^a and weigh W^(1−a) in the loss, which is
            the same in expectation for every a (10.2); at 1 no step is spent on small weights.
        share: of collected sequences in a batch; the others are text.
        least_ess: relative effective sample size below which the weights are refused (10.5);
            below a tenth they are warned of.

    Raises:
        InputError: a number outside [0, 1].
    """

    tilt: Tilt
    resample: float = 1.0
    share: float = 1.0
    least_ess: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        for key in ("resample", "share", "least_ess"):
            if not 0 <= getattr(self, key) <= 1:
                raise InputError(f"feed.{key} must lie in [0, 1], found {getattr(self, key)}")

    def open(self, context: DataContext) -> Batches:
        """Weigh the buffer; refuse weights that few sequences hold."""
        buffer = context.collected()
        if buffer.tokens.shape[1] != context.length:
            raise InputError(
                f"collected: sequences of {buffer.tokens.shape[1]} tokens, wanted data.length = "
                f"{context.length}"
            )
        if self.share and not self.rows(context.size):
            raise InputError(
                f"feed.share: {self.share} of data.batch = {context.size} is not one sequence"
            )
        log_w = self.tilt.log_weights(buffer)
        if not isinstance(self.tilt, Best):  # which is meant to leave few
            self._judge(relative_ess(log_w), len(buffer))
        return Weighted(buffer, log_w, self, context)

    def rows(self, size: int) -> int:
        """Collected sequences of a batch of this size."""
        return round(self.share * size)

    def _judge(self, ess: float, count: int) -> None:
        words = f"relative effective sample size {ess:.3f} of {count} collected sequences"
        advice = "raise tilt.beta, collect more, or refresh from the trained model"
        if not ess >= self.least_ess:  # nan, too, where rewards overflow
            raise InputError(
                f"feed.least_ess: {words}, wanted {self.least_ess} at least; {advice}"
            )
        if ess < LOW:
            print(f"tcsm: feed: {words}; {advice}", file=sys.stderr)


@dataclass(frozen=True)
class Weighted:
    """Batches of a weighed buffer.

    Attributes:
        buffer: the sequences.
        log_w: log W of each, mean W = 1.
        feed: how they are drawn.
        context: gives the text.
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
        """Collected sequences and text, in a new random order every step.

        Their noise is stratified by the place in the batch, too: in a fixed order one part of the
        buffer would always be seen under one level of noise.
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
        real = None if real is None else real | ~collected[:, None]
        return replace(text, tokens=tokens, weight=weight, real=real)

    def _draw(self, step: int, place: Int64[Tensor, "B"]) -> tuple[Tensor, Tensor]:
        """Stratified draws ∝ W^a, whose weights W^(1−a) are on average 1 under W."""
        count, a = len(self.buffer), self.source.resample
        strata = max(1, self.source.rows(self.context.size))
        u = Noise(self.context.seed, step, place, strata).stratified("buffer")
        index = torch.searchsorted(self._cumulated, u * self._cumulated[-1], right=True)
        index = index.clamp(max=count - 1)  # places beyond the strata are those of text
        log_scale = torch.logsumexp(a * self.log_w, 0) - math.log(count)
        rest = (1 - a) * self.log_w[index] + log_scale
        return index, rest.exp().float()
