"""Samplers that step along a time grid 0 = t₀ < … < t_N = 1 (§12)."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64, Int, Int64
from torch import Tensor, nn

from tcsm.models.base import Posterior
from tcsm.noise import Noise
from tcsm.process.sources import Mask
from tcsm.samplers.base import PathSampler, Sampled
from tcsm.samplers.conditioning import Conditioning
from tcsm.samplers.grids import Grid, Uniform, times_of

DATA = -1  # in place of a state: the data value, which is not drawn yet


@dataclass(frozen=True)
class SamplerStep:
    """One step of a sampler from time t to time s > t; sequences may be at different steps.

    Attributes:
        x_t: the state at time t.
        noised: the positions that may change.
        t: time at the start.
        s: time at the end, s > t.
        noise: the step's randomness.
    """

    x_t: Int[Tensor, "B L"]
    noised: Bool[Tensor, "B L"]
    t: Float[Tensor, "B"]
    s: Float[Tensor, "B"]
    noise: Noise


class Outcomes(NamedTuple):
    """The state after a step as a function of the data value x₁, and the uniform that draws x₁.

    Attributes:
        other: x_s for x₁ ≠ x_t; `DATA` stands for x₁ itself.
        same: x_s for x₁ = x_t.
        u: uniforms.
    """

    other: Int64[Tensor, "B L"]
    same: Int64[Tensor, "B L"]
    u: Float64[Tensor, "B L"]

    def undecided(self) -> Bool[Tensor, "B L"]:
        """Return the positions whose new state depends on x₁."""
        return self.other != self.same

    def state(self, x_t: Int64[Tensor, "B L"], x_1: Int64[Tensor, "B L"]) -> Int64[Tensor, "B L"]:
        """Return x_s for data values x₁."""
        other = torch.where(self.other == DATA, x_1, self.other)
        return torch.where(x_1 == x_t, self.same, other)


@dataclass(frozen=True)
class GridSampler(PathSampler):
    """A sampler with a time grid.

    Attributes:
        grid: the times as a function of the number of steps.

    Raises:
        InputError: times that do not rise from 0 to 1.
    """

    grid: Grid = field(default=Uniform(), kw_only=True)

    def __post_init__(self) -> None:
        """Refuse times that do not rise from 0 to 1."""
        super().__post_init__()
        _ = self.times

    @cached_property
    def times(self) -> Float64[Tensor, "T"]:
        """Return t₀ … t_N."""
        return times_of(self.grid, self.steps)

    def at(
        self,
        x_t: Int64[Tensor, "B L"],
        rows: Int64[Tensor, "m"],
        index: Int64[Tensor, "m"],
        seed: int,
        conditioning: Conditioning,
    ) -> SamplerStep:
        """Return step number ``index`` of each of the rows."""
        times, state = self.times.to(x_t.device), x_t[rows]
        noised = self.path.source.noised(state) & ~conditioning.fixed
        noise = Noise(seed, index, rows, len(x_t))
        return SamplerStep(state, noised, times[index], times[index + 1], noise)

    def walk(
        self,
        step: Callable[[SamplerStep], Tensor],
        x_t: Int[Tensor, "B L"],
        seed: int,
        conditioning: Conditioning,
    ) -> Int[Tensor, "B L"]:
        """Return the state after a step for each interval of the grid; known positions stay."""
        ids = torch.arange(len(x_t), device=x_t.device)
        for index in range(self.steps):
            x_t = step(self.at(x_t, ids, torch.full_like(ids, index), seed, conditioning))
        return x_t


@dataclass(frozen=True)
class StateSampler(GridSampler, ABC):
    """A sampler whose steps may change any free position, also a visible one."""

    @abstractmethod
    def step(
        self, posterior: Posterior, free: Bool[Tensor, "L"], step: SamplerStep
    ) -> Int[Tensor, "B L"]:
        """Return x_s; known positions are not free."""

    @property
    def calls(self) -> int:
        """Return the number of network calls, one a step."""
        return self.steps

    @torch.no_grad()
    def __call__(
        self,
        model: nn.Module,
        count: int,
        length: int,
        seed: int,
        conditioning: Conditioning | None = None,
    ) -> Sampled:
        """Draw sequences; a pure function of the seed and the conditioning."""
        known = self.conditioning(conditioning, length, model)
        step = partial(self.step, self.posterior(model), ~known.fixed)
        return Sampled(self.walk(step, self.start(count, seed, known), seed, known), self.calls)


@dataclass(frozen=True)
class PositionSampler(GridSampler, ABC):
    """A sampler whose steps change each position by itself.

    What a step does with x₁ is drawn before x₁ (12.6): the network reads only the sequences, and
    its head only the positions, whose new state depends on x₁. A sequence that a step leaves
    without such a position goes on to its next step, so that every call advances all unfinished
    sequences. For n masked positions there are at most min(N, n) calls, whatever the batch.
    """

    @abstractmethod
    def outcomes(self, step: SamplerStep) -> Outcomes:
        """Return what the step does at noised positions, for each data value."""

    @torch.no_grad()
    def __call__(
        self,
        model: nn.Module,
        count: int,
        length: int,
        seed: int,
        conditioning: Conditioning | None = None,
    ) -> Sampled:
        """Draw sequences; a pure function of the seed and the conditioning."""
        posterior, known = self.posterior(model), self.conditioning(conditioning, length, model)
        x_t = self.start(count, seed, known)
        index = torch.zeros(count, dtype=torch.int64, device=x_t.device)
        changed = torch.zeros_like(x_t, dtype=torch.int64)

        def move(rows: Tensor, state: Tensor) -> None:
            now = index[rows, None].expand_as(state)
            changed[rows] = torch.where(state == x_t[rows], changed[rows], now)
            x_t[rows] = state

        while len(rows := (index < self.steps).nonzero()[:, 0]):
            waiting = []
            while len(rows):
                step = self.at(x_t, rows, index[rows], seed, known)
                outcomes = self.outcomes(step)
                asks = outcomes.undecided().any(1)
                waiting.append((rows[asks], step.t[asks], *(part[asks] for part in outcomes)))
                index[rows] += 1
                move(rows[~asks], outcomes.same[~asks])
                rows = rows[~asks & (index[rows] < self.steps)]
            rows, t, *together = (torch.cat(parts) for parts in zip(*waiting, strict=True))
            if len(rows):
                move(rows, draw(posterior, x_t[rows], t, Outcomes(*together)))
        free = int((~known.fixed).sum()) if isinstance(self.path.source, Mask) else self.steps
        return Sampled(x_t, min(self.steps, free), changed)


def draw(
    posterior: Posterior, x_t: Int64[Tensor, "B L"], t: Float64[Tensor, "B"], outcomes: Outcomes
) -> Int64[Tensor, "B L"]:
    """Return x_s, with x₁ drawn where it has an effect."""
    undecided = outcomes.undecided()
    x_1 = x_t.masked_scatter(undecided, posterior.draw(x_t, t, undecided, outcomes.u[undecided]))
    return torch.where(undecided, outcomes.state(x_t, x_1), outcomes.same)
