"""The target conditional of a teacher's p₁ and a path, by Bayes' rule (1.3, 7.1).

    p^i(y) = p(y | x₁^{≠i}, x_t) ∝ p₁(y | x₁^{≠i}) p_{t|1}(x_t^i | y)

A masked x_t^i is independent of y: the teacher's own conditional. A uniform one adds λ_t at x_t^i
(1.4); without it the targets are biased.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tcsm.divergences.top import Top
from tcsm.models.teacher import Teacher
from tcsm.process.corruption import Corrupted, Positions
from tcsm.process.paths import Path, add_at_
from tcsm.process.sources import Mask


@dataclass(frozen=True)
class Bayes:
    """Target conditionals: a teacher's p₁ combined with the path.

    Attributes:
        teacher: p₁.
        path: p_{t|1}.
    """

    teacher: Teacher
    path: Path

    def __call__(self, batch: Corrupted) -> Float[Tensor, "n V"]:
        """Return log p^i at the noised positions, in row-major order."""
        return self.at(self.conditionals(batch), batch.positions())

    @torch.no_grad()
    def conditionals(self, batch: Corrupted) -> Float[Tensor, "n V"]:
        """Return the teacher's log-conditionals at the noised positions; a file if cached."""
        return self.teacher.log_conditionals(batch.x_1, batch.noised)

    @torch.no_grad()
    def top(self, batch: Corrupted, k: int) -> Top:
        """Return the teacher's k likeliest tokens at the noised positions."""
        return self.teacher.top(batch.x_1, batch.noised, k, self.path.source.vocabulary)

    @torch.no_grad()
    def at(self, log_p: Float[Tensor, "n V"] | Top, positions: Positions) -> Float[Tensor, "m V"]:
        """Return log p^i at some of the noised positions, in its own memory."""
        if isinstance(log_p, Top):
            exact = torch.promote_types(log_p.log_p.dtype, torch.float32)
            rows = log_p.rows(positions.index, exact).dense()
        else:
            rows = positions.of(log_p)
            exact = torch.promote_types(rows.dtype, torch.float32)
        if isinstance(self.path.source, Mask):
            return torch.log_softmax(rows.to(exact), -1)
        rows = rows.to(exact, copy=True)
        evidence = self.path.source.evidence(self.path.alpha(positions.t))
        add_at_(rows, positions.x_t, evidence.to(rows.dtype))
        return torch.log_softmax(rows, -1, out=rows)
