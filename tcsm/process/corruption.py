"""How a batch is corrupted: by time, or for the mask source by count.

Both draw x_t ∼ p_{t|1}(· | x₁) and give ω, the weight of a noised position with which masked
cross-entropy is a bound on −log p(x₁) in nats per sequence: κ(t) by time, L/n by count (11.3,
11.6).

Prompts and padding are not noised: they are unchanged in x_t, are visible, and do not count in L,
the number of positions of text of a sequence. A network reads padding as separators.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Float64, Int, Shaped
from torch import Tensor

from tcsm.errors import InputError
from tcsm.noise import Noise
from tcsm.process.paths import Path
from tcsm.process.sources import Mask


@dataclass(frozen=True)
class Positions:
    """The n noised positions of a batch, in row-major order.

    Attributes:
        x_1: data tokens.
        x_t: noised states.
        t: times.
        index: which of the batch's noised positions, 0 … n − 1 for all of them.
    """

    x_1: Int[Tensor, "n"]
    x_t: Int[Tensor, "n"]
    t: Float[Tensor, "n"]
    index: range

    def __getitem__(self, chunk: slice) -> "Positions":
        return Positions(*(getattr(self, part.name)[chunk] for part in fields(self)))

    def of(self, values: Shaped[Tensor, "N *s"]) -> Shaped[Tensor, "n *s"]:
        """Return the rows of these positions, a view, of values at all the batch's positions."""
        return values[self.index.start : self.index.stop]


@dataclass(frozen=True)
class Corrupted:
    """A batch of data and its noised version.

    Attributes:
        x_1: data.
        x_t: noised data.
        t: time of each sequence.
        noised: positions whose data value x_t leaves unknown: masked ones, or with the uniform
            source all.
        omega: likelihood weight of a noised position of each sequence.
        real: positions of text, the others being padding; None if all are text.
        weight: weight of each sequence in the loss, such as that of a reward; 1 if None.
    """

    x_1: Int[Tensor, "B L"]
    x_t: Int[Tensor, "B L"]
    t: Float64[Tensor, "B"]
    noised: Bool[Tensor, "B L"]
    omega: Float64[Tensor, "B"]
    real: Bool[Tensor, "B L"] | None = None
    weight: Float[Tensor, "B"] | None = None

    def lengths(self) -> Float64[Tensor, "B"]:
        """Return the number of positions of text in each sequence, L without padding."""
        if self.real is None:
            return torch.full_like(self.omega, self.x_1.shape[1], dtype=torch.float64)
        return self.real.sum(-1).double()

    def noised_share(self) -> Float64[Tensor, ""]:
        """Return the share of noised positions among positions of text, over the whole batch."""
        return self.noised.sum().double() / self.lengths().sum()

    @cached_property
    def places(self) -> tuple[Int[Tensor, "n"], Int[Tensor, "n"]]:
        """Row and column of the noised positions; a GPU must be waited for to count them, once."""
        row, column = self.noised.nonzero(as_tuple=True)
        return row, column

    def positions(self) -> Positions:
        """Return the noised positions."""
        row, column = self.places
        x_1, x_t = self.x_1[row, column], self.x_t[row, column]
        return Positions(x_1, x_t, self.t[row], range(len(row)))


@dataclass(frozen=True)
class Corruption(ABC):
    """A distribution of (t, x_t) given x₁."""

    path: Path

    @abstractmethod
    def __call__(
        self, x_1: Int[Tensor, "B L"], noise: Noise, real: Bool[Tensor, "B L"] | None = None
    ) -> Corrupted:
        """Corrupt a batch.

        Args:
            x_1: data.
            noise: the batch's randomness.
            real: positions of text, the others being padding; None if all are text.
        """

    def keep_padding(self, batch: Corrupted, real: Bool[Tensor, "B L"] | None) -> Corrupted:
        """Return the batch with padding unchanged and visible."""
        if real is None:
            return batch
        x_t = torch.where(real, batch.x_t, batch.x_1)
        return replace(batch, x_t=x_t, noised=batch.noised & real, real=real)


@dataclass(frozen=True)
class TimeSampling(Corruption):
    """A stratified time t in [0, 1 − ε] per sequence, positions noised independently; ω = κ(t).

    The clamp ε keeps κ finite; it drops the bound's last ∫₁₋ε¹, a relative error of about ε.

    Raises:
        InputError: ε outside [0, 1).
    """

    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        """Refuse a clamp outside [0, 1)."""
        if not 0 <= self.epsilon < 1:
            raise InputError(f"corruption.epsilon must lie in [0, 1), found {self.epsilon}")

    def __call__(
        self, x_1: Int[Tensor, "B L"], noise: Noise, real: Bool[Tensor, "B L"] | None = None
    ) -> Corrupted:
        """Corrupt a batch."""
        t = noise.stratified("time") * (1 - self.epsilon)
        x_t = self.path.sample(x_1, t, noise)
        batch = Corrupted(x_1, x_t, t, self.path.source.noised(x_t), self.path.schedule.kappa(t))
        return self.keep_padding(batch, real)


@dataclass(frozen=True)
class CountSampling(Corruption):
    """A stratified number n in {1 … L} of masked positions, a uniform subset; ω = L/n (11.6).

    It is exactly the bound of every schedule for a time-free network, with bounded weights and
    much less variance than by time. Networks with a time input get t with α(t) = 1 − n/L.

    Raises:
        InputError: the source is not the mask.
    """

    def __post_init__(self) -> None:
        """Refuse other sources than the mask."""
        if not isinstance(self.path.source, Mask):
            name = type(self.path.source).__name__
            raise InputError(
                f"corruption by count needs the Mask source, found {name}; set process=uniform, "
                "or corruption=time and bound=time"
            )

    def __call__(
        self, x_1: Int[Tensor, "B L"], noise: Noise, real: Bool[Tensor, "B L"] | None = None
    ) -> Corrupted:
        """Corrupt a batch."""
        u = noise.uniform("subset", x_1.shape[1])
        length: int | Tensor = x_1.shape[1]
        if real is not None:  # padding comes last in every order
            u, length = u.masked_fill(~real, 2.0), real.sum(-1)
        count = 1 + (noise.stratified("count") * length).long()
        hidden = u.argsort(-1).argsort(-1) < count[:, None]
        mask = self.path.source.draw(torch.zeros_like(x_1, dtype=torch.float64))
        t = self.path.schedule.inverse(1 - count.double() / length)
        x_t = torch.where(hidden, mask, x_1)
        omega = count.double().reciprocal() * length
        return Corrupted(x_1, x_t, t, hidden, omega, real)
