"""The pseudo-likelihood of a teacher: −Σ log p(x^i | x^{≠i}), nats (7.2).

It is no bound on −log p(x), and lower as a rule: it compares teachers with each other only.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Int
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.evaluation.bound import Bound, Draws
from tcsm.models.teacher import Teacher


@dataclass(frozen=True)
class Pseudo(Bound):
    """The pseudo-likelihood of held-out text; there is nothing to draw."""

    sampled: ClassVar[bool] = False

    @torch.no_grad()
    def __call__(
        self, model: nn.Module, x_1: Int[Tensor, "N L"], ids: Tensor, seed: int, draws: int = 1
    ) -> Draws:
        """Return one column, without noise."""
        self.check(model)
        assert isinstance(model, Teacher)
        everywhere = torch.ones_like(x_1, dtype=torch.bool)
        log_p = model.log_conditionals(x_1, everywhere).gather(-1, x_1.flatten()[:, None])
        nats = -log_p.double().view(x_1.shape).sum(-1, keepdim=True)
        return Draws(nats, torch.full_like(nats, torch.nan), nats / x_1.shape[1])

    def check(self, model: nn.Module) -> None:
        """Raise InputError for a model without conditionals of clean data."""
        if not isinstance(model, Teacher):
            name = type(model).__name__
            raise InputError(f"bound=pseudo needs model=blind or masked_lm, found {name}")
