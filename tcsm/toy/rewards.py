"""Rewards of a grid: cells ↦ numbers, as functions of where a cell lies in (−1, 1)²."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int
from torch import Tensor

from tcsm.errors import InputError
from tcsm.toy.grid import coordinates


@dataclass(frozen=True)
class Reward(ABC):
    """A reward of cells; more is better.

    Attributes:
        side: V, cells of a side.
    """

    side: int

    def __call__(self, x: Int[Tensor, "N 2"]) -> Float64[Tensor, "N"]:
        """Return R."""
        return self.at(coordinates(x, self.side))

    @abstractmethod
    def at(self, place: Float64[Tensor, "N 2"]) -> Float64[Tensor, "N"]:
        """Return R at points of the plane."""


@dataclass(frozen=True)
class Region(Reward):
    """0 in any of some boxes, −1 elsewhere, which removes modes.

    Attributes:
        kept: boxes (left, right, bottom, top) in coordinates of (−1, 1).

    Raises:
        InputError: no box, or an empty one.
    """

    kept: Sequence[Sequence[int | float]]

    def __post_init__(self) -> None:
        """Refuse an empty box."""
        for box in self.kept or [()]:
            if len(box) != 4 or not (box[0] < box[1] and box[2] < box[3]):
                raise InputError(
                    f"reward.kept must list boxes [left, right, bottom, top], found {list(box)}"
                )

    def at(self, place: Float64[Tensor, "N 2"]) -> Float64[Tensor, "N"]:
        """Return 0 inside a box, −1 outside."""
        box = torch.tensor([list(map(float, box)) for box in self.kept], dtype=torch.float64)
        low, high = box[:, ::2], box[:, 1::2]
        inside = ((place[:, None] >= low) & (place[:, None] < high)).all(-1).any(-1)
        return inside.double() - 1


@dataclass(frozen=True)
class Slope(Reward):
    """A linear reward.

    Attributes:
        gradient: of R, one number a coordinate.

    Raises:
        InputError: not two finite numbers.
    """

    gradient: Sequence[int | float]

    def __post_init__(self) -> None:
        """Refuse other than two finite numbers."""
        if len(self.gradient) != 2 or not all(map(math.isfinite, self.gradient)):
            raise InputError(f"reward.gradient must be two numbers, found {list(self.gradient)}")

    def at(self, place: Float64[Tensor, "N 2"]) -> Float64[Tensor, "N"]:
        """Return R = g · (u, v)."""
        return place @ torch.tensor([float(g) for g in self.gradient], dtype=torch.float64)
