"""The target conditional of a teacher's p₁ and a path, by Bayes' rule (1.3, 7.1).

    p^i(y) = p(y | x₁^{≠i}, x_t) ∝ p₁(y | x₁^{≠i}) p_{t|1}(x_t^i | y)

A masked x_t^i is independent of y: the teacher's own conditional. A uniform one adds λ_t at x_t^i
(1.4); without it the targets are biased.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tcsm.models.teacher import Teacher
from tcsm.process.corruption import Corrupted
from tcsm.process.paths import Path, add_at


@dataclass(frozen=True)
class Bayes:
    """Target conditionals: a teacher's p₁ combined with the path.

    Attributes:
        teacher: p₁.
        path: p_{t|1}.
    """

    teacher: Teacher
    path: Path

    @torch.no_grad()
    def __call__(self, batch: Corrupted) -> Float[Tensor, "n V"]:
        """Return log p^i at the noised positions, in row-major order."""
        log_p = self.teacher.log_conditionals(batch.x_1, batch.noised)
        positions = batch.positions()
        evidence = self.path.source.evidence(self.path.alpha(positions.t))
        return torch.log_softmax(add_at(log_p, positions.x_t, evidence.to(log_p.dtype)), -1)
