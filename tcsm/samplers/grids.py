"""Time grids 0 = t₀ < … < t_N = 1 of samplers, as functions of the number of steps N."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from tcsm.errors import InputError


class Grid(ABC):
    """The times of a sampler's steps."""

    @abstractmethod
    def __call__(self, steps: int) -> Float64[Tensor, "T"]:
        """Return t₀ … t_N, rising from 0 to 1."""


@dataclass(frozen=True)
class Uniform(Grid):
    """Steps of equal length."""

    def __call__(self, steps: int) -> Float64[Tensor, "T"]:
        """Return t_n = n/N."""
        return torch.linspace(0, 1, steps + 1, dtype=torch.float64)


@dataclass(frozen=True)
class Cosine(Grid):
    """Steps that grow: the first tokens, which have the least context, are drawn in small groups.

    With the linear schedule the masked share of positions is cos(πn/2N), as with the cosine
    schedule on uniform steps.
    """

    def __call__(self, steps: int) -> Float64[Tensor, "T"]:
        """Return t_n = 1 − cos(πn/2N)."""
        return 1 - torch.cos(Uniform()(steps) * (math.pi / 2))


def times_of(grid: Grid, steps: int) -> Float64[Tensor, "T"]:
    """Return a grid's times.

    Raises:
        InputError: they do not rise from 0 to 1 in this number of steps.
    """
    name = type(grid).__name__
    with torch.device("cpu"):  # where a configuration is checked, the default device has no values
        times = grid(steps).clone()
    ends = (round(float(times[0]), 9), round(float(times[-1]), 9))
    if len(times) != steps + 1 or ends != (0, 1):
        raise InputError(
            f"sampler.grid must give {steps + 1} times from 0 to 1 for {steps} steps, found "
            f"{times.tolist()} of {name}"
        )
    times[0], times[-1] = 0, 1
    if not (times.diff() > 0).all():
        raise InputError(f"sampler.grid must rise, found {times.tolist()} of {name}")
    return times
