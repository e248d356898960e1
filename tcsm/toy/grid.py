"""Densities of the plane on a grid: sequences of two positions, one for each coordinate.

Cell i of V lies at u_i = (2i + 1)/V − 1 of (−1, 1); p₁(i, j) ∝ the density at (u_i, u_j):

    checkerboard   σ(s sin(πk(u + 1)/2) sin(πk(v + 1)/2))           k × k squares, edges of 1/s
    eight modes    Σ_m exp(−‖(u, v) − r(cos πm/4, sin πm/4)‖²/2w²)
    moons          Σ over points a of two half circles of exp(−‖(u, v) − a‖²/2w²)

All have full support, so that every ratio is finite.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int
from torch import Tensor

from tcsm.errors import InputError
from tcsm.toy.base import World, all_sequences

POINTS = 64  # of each half circle


def coordinates(x: Int[Tensor, "*s"], side: int) -> Float64[Tensor, "*s"]:
    """Return the coordinates of cells in (−1, 1)."""
    return (2 * x.double() + 1) / side - 1


@dataclass(frozen=True)
class Grid(World):
    """A density on V × V cells.

    Raises:
        InputError: not two positions, or a size that is not positive.
    """

    vocabulary: int = 91
    length: int = 2

    def __post_init__(self) -> None:
        """Refuse other lengths than two, and sizes of the density that are not positive."""
        super().__post_init__()
        if self.length != 2:
            raise InputError(f"world.length must be 2 on a grid, found {self.length}")
        for key, value in vars(self).items():
            if not 0 < value < math.inf:
                raise InputError(f"world.{key} must be positive, found {value}")

    def places(self) -> Float64[Tensor, "N 2"]:
        """Return the coordinates of all cells."""
        return coordinates(all_sequences(self.vocabulary, 2), self.vocabulary)

    def log_mixture(self, at: Float64[Tensor, "M 2"], width: float) -> Float64[Tensor, "N"]:
        """Return log Σ exp(−distance²/2w²) over points of equal weight."""
        return torch.logsumexp(-((torch.cdist(self.places(), at) / width) ** 2) / 2, 1)


@dataclass(frozen=True)
class Checkerboard(Grid):
    """Likely and unlikely squares in turn.

    Attributes:
        squares: k, along a side.
        sharpness: s; the odds of neighboring squares at their centers are about e^2s/2.

    Raises:
        InputError: no square, or no sharpness.
    """

    squares: int = 4
    sharpness: float = 5.0

    def log_weights(self) -> Float64[Tensor, "N"]:
        """Return log σ of the product of two waves."""
        waves = torch.sin(math.pi * self.squares * (self.places() + 1) / 2)
        return torch.nn.functional.logsigmoid(self.sharpness * waves.prod(1))


@dataclass(frozen=True)
class EightGaussians(Grid):
    """Eight modes on a circle.

    Attributes:
        radius: r.
        width: w, of each mode.

    Raises:
        InputError: a size that is not positive.
    """

    radius: float = 0.65
    width: float = 0.12

    def log_weights(self) -> Float64[Tensor, "N"]:
        """Return the log-density of the mixture."""
        angle = torch.arange(8, dtype=torch.float64) * math.pi / 4
        return self.log_mixture(
            self.radius * torch.stack([angle.cos(), angle.sin()], 1), self.width
        )


@dataclass(frozen=True)
class Moons(Grid):
    """Two interleaved half circles.

    Attributes:
        radius: of both.
        width: w, of their lines.

    Raises:
        InputError: a size that is not positive.
    """

    radius: float = 0.5
    width: float = 0.1

    def log_weights(self) -> Float64[Tensor, "N"]:
        """Return the log-density of the mixture over points of both arcs."""
        angle = torch.linspace(0, math.pi, POINTS, dtype=torch.float64)
        arc = torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], 1)
        return self.log_mixture(self.radius * torch.cat([arc, -arc]), self.width)
