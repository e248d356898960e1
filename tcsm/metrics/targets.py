"""Total variation of the targets of a teacher to the exact ones of the evaluated run.

    TV = mean over positions of ½ Σ_y |p̂(y | x^{≠i}) − p(y | x^{≠i})|        (7.3–7.5)

The exact ones are those of an autoregressive run at the temperature of the teacher.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tcsm.data.batches import WindowBatches
from tcsm.data.tokenfile import TokenFile
from tcsm.errors import InputError
from tcsm.metrics.base import Evaluated, Measured
from tcsm.models.autoregressive import Autoregressive
from tcsm.runs.teachers import CachedTeacher, cached, pruned
from tcsm.targets.adapters import Exact, TeacherAdapter

Distributions = Float[Tensor, "N L V"]


@dataclass(frozen=True)
class TargetErrors:
    """Errors of a teacher's targets on validation windows.

    Attributes:
        teacher: The adapter of the teacher.
        sequences: Number of windows.
        cache: Folder that caches targets, or None.
        limit_mib: Its largest size, MiB.
    """

    teacher: TeacherAdapter
    sequences: int
    cache: str | None
    limit_mib: int

    def __call__(self, evaluated: Evaluated) -> Callable[[], Measured]:
        """Open the text and the teacher; return the function that compares.

        Raises:
            InputError: The run is not autoregressive; the teacher is missing or does not fit.
        """
        if not isinstance(evaluated.model, Autoregressive):
            raise InputError(
                f"evaluation.run: {evaluated.run.folder} must be an autoregressive run, whose "
                f"conditionals are exact; metric=[targets] found {type(evaluated.model).__name__}"
            )
        data = evaluated.open_split("valid")
        windows = self._windows(data, evaluated)
        cache = pruned(self.cache, self.limit_mib, evaluated.devices)
        exactly = Exact(temperature=self.teacher.temperature)
        teacher, exact = (
            cached(cache, adapter, model, evaluated.devices, torch.float32)
            for adapter, model in (
                (self.teacher, evaluated.open_teacher()),
                (exactly, evaluated.model),
            )
        )
        sources = {"length": evaluated.length, "data_sha256": data.header.sha256}
        return partial(_measure, teacher, exact, windows, sources)

    def _windows(self, data: TokenFile, evaluated: Evaluated) -> Int[Tensor, "N L"]:
        """Return validation windows in a random order, none twice."""
        drawn = WindowBatches(data.tokens, evaluated.length, self.sequences, evaluated.seed)
        if self.sequences > drawn.windows:
            raise InputError(
                f"evaluation.sequences must be {drawn.windows} or less, the windows of "
                f"data.length in the validation split, found {self.sequences}"
            )
        return drawn.at(0).tokens.to(evaluated.devices.device)


@torch.no_grad()
def _measure(
    teacher: CachedTeacher,
    exact: CachedTeacher,
    windows: Int[Tensor, "N L"],
    sources: dict[str, Any],
) -> Measured:
    errors = compare(_distributions(teacher, windows), _distributions(exact, windows))
    return Measured({**sources, **errors}, windows.numel(), teacher.costs())


def compare(log_p: Distributions, exact: Distributions) -> dict[str, Any]:
    """Return errors of targets: means over sequences, and the standard error of their mean.

    ``entropy`` is that of the exact targets, in nats; ``missing`` their mass where the others have
    none.
    """
    p = exact.exp()
    tv = ((log_p.exp() - p).abs().sum(-1) / 2).mean(1)
    missing = p.masked_fill(log_p > -torch.inf, 0).sum(-1)
    return {
        "tv": float(tv.mean()),
        "tv_se": float(tv.std() / len(tv) ** 0.5) if len(tv) > 1 else None,
        "missing": float(missing.mean()),
        "entropy": float(-torch.xlogy(p, p).sum(-1).mean()),
        "sequences": len(tv),
        "sites": tv.numel() * log_p.shape[1],
    }


def _distributions(teacher: CachedTeacher, windows: Int[Tensor, "N L"]) -> Distributions:
    """Return log-conditionals at every position."""
    everywhere = torch.ones_like(windows, dtype=torch.bool)
    return teacher.log_conditionals(windows, everywhere).double().view(*windows.shape, -1)
