"""Networks that are tables of logits, for exact distributions in the package's own objects."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tcsm.nets.base import Net
from tcsm.noise import Noise
from tcsm.objectives.base import DenoisingObjective
from tcsm.process.corruption import Corrupted, TimeSampling
from tcsm.process.paths import Path
from tcsm.process.sources import Mask
from tests.enumeration import kernel, posterior_table


class Table(Net):
    """Logits are a parameter: (L, V) whatever the input, or (states^L, L, V), a row an input."""

    def __init__(self, logits: Tensor, states: int = 0) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits.double())
        self.vocabulary, self.states = logits.shape[-1], states
        self.causal, self.timed, self.chunk, self.head = False, False, None, nn.Identity()

    def features(self, x: Tensor, t: Tensor | None, rows: Tensor) -> Tensor:
        if not self.states:
            return self.logits.expand(*x.shape, -1).flatten(0, 1)[rows]
        return self.logits[number(x, self.states)].flatten(0, 1)[rows]


class Oracle(Net):
    """Logits are any function of (x, t)."""

    def __init__(self, vocabulary: int, function: Callable[[Tensor, Tensor | None], Tensor]):
        super().__init__()
        self.vocabulary, self.function = vocabulary, function
        self.causal, self.timed, self.chunk, self.head = False, True, None, nn.Identity()
        self.nothing = nn.Parameter(torch.zeros(()))  # samplers ask where the parameters live

    def features(self, x: Tensor, t: Tensor | None, rows: Tensor) -> Tensor:
        return self.function(x, t).flatten(0, 1)[rows]


def number(x: Tensor, states: int) -> Tensor:
    """The place of each sequence in lexicographic order, (B)."""
    place = states ** torch.arange(x.shape[1] - 1, -1, -1)
    return (x * place).sum(-1)


def exact(path: Path, p_1: NDArray[np.float64]) -> Oracle:
    """The network whose softmax is the true posterior of p₁ at every (x_t, t)."""
    tables: dict[float, Tensor] = {}

    def log_posterior(x: Tensor, t: Tensor | None) -> Tensor:
        assert t is not None
        result = torch.empty(*x.shape, len(p_1), dtype=torch.float64)
        for time in t.unique():
            rows = t == time
            result[rows] = at(time)[number(x[rows], path.source.states)]
        return result

    def at(time: Tensor) -> Tensor:
        if time.item() not in tables:
            alpha = path.schedule.alpha(time.double()).item()
            matrix = kernel(alpha, len(p_1), isinstance(path.source, Mask))
            tables[time.item()] = torch.from_numpy(posterior_table(p_1, matrix)).log()
        return tables[time.item()]

    return Oracle(len(p_1), log_posterior)


class FixedCorruption(TimeSampling):
    """A corruption at times that is already known."""

    def __init__(self, path: Path, drawn: Corrupted) -> None:
        super().__init__(path)
        object.__setattr__(self, "drawn", drawn)

    def __call__(self, x_1: Tensor, noise: Noise, real: Tensor | None = None) -> Corrupted:
        return self.drawn


def corrupted(path: Path, x_1: Tensor, x_t: Tensor, t: Tensor) -> Corrupted:
    """A batch whose noise was chosen by hand."""
    t = t.double()
    return Corrupted(x_1, x_t, t, path.source.noised(x_t), path.schedule.kappa(t))


def loss_at(
    objective: type[DenoisingObjective],
    model: nn.Module,
    drawn: Corrupted,
    row_weight: Tensor | None = None,
    **fields: object,
) -> Tensor:
    """The loss of an objective on a given corruption."""
    built = objective(corruption=FixedCorruption(model.path, drawn), **fields)
    noise = Noise(0, 0, torch.arange(len(drawn.x_1)), len(drawn.x_1))
    return built(model, drawn.x_1, noise, row_weight)["loss"]


class TableEnergy(nn.Module):
    """E(x) is a parameter, (V,) * L, whatever x_t."""

    def __init__(self, energy: Tensor) -> None:
        super().__init__()
        self.energy = nn.Parameter(energy.double())

    def forward(self, x: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        return self.energy[x.unbind(-1)]
