"""The pseudo-likelihood of a teacher: −Σ log p(x^i | x^{≠i}), nats (7.2).

It is no bound on −log p(x), and lower as a rule: it compares teachers with each other only.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.evaluation.bound import Bound, Draws, lengths
from tcsm.models.teacher import Teacher


@dataclass(frozen=True)
class Pseudo(Bound):
    """The pseudo-likelihood of held-out text; there is nothing to draw."""

    sampled: ClassVar[bool] = False

    @torch.no_grad()
    def __call__(
        self,
        model: nn.Module,
        x_1: Int[Tensor, "N L"],
        ids: Tensor,
        seed: int,
        draws: int = 1,
        real: Bool[Tensor, "N L"] | None = None,
    ) -> Draws:
        """Return one column, without noise."""
        self.check(model)
        assert isinstance(model, Teacher)
        positions = torch.ones_like(x_1, dtype=torch.bool) if real is None else real
        log_p = model.log_conditionals(x_1, positions).gather(-1, x_1[positions][:, None])
        zeros = torch.zeros(x_1.shape, dtype=torch.float64, device=x_1.device)
        nats = -zeros.masked_scatter(positions, log_p.double()).sum(-1, keepdim=True)
        return Draws(nats, torch.full_like(nats, torch.nan), nats / lengths(x_1, real))

    def check(self, model: nn.Module) -> None:
        """Raise InputError for a model without conditionals of clean data."""
        if not isinstance(model, Teacher):
            name = type(model).__name__
            raise InputError(f"bound=pseudo needs model=blind or masked_lm, found {name}")
