"""Adapters from a trained model to a teacher, one per method to get its conditionals.

A configuration names the adapter; its model is loaded later, from the teacher's run. With a
temperature T, the teacher has the conditionals of p₁^{1/T}, or an approximation.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.models.autoregressive import Autoregressive
from tcsm.models.masked_lm import MaskedLM, log_softmax
from tcsm.models.teacher import Teacher
from tcsm.nets.base import Net
from tcsm.targets import causal
from tcsm.targets.base import Tempered
from tcsm.targets.left_to_right import LeftToRight


@dataclass(frozen=True, kw_only=True)
class TeacherAdapter(ABC):
    """A function from a model to a teacher.

    Attributes:
        temperature: T; values above 1 flatten the distribution, those below sharpen it.

    Raises:
        InputError: no temperature.
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a temperature that is not positive."""
        if not 0 < self.temperature < math.inf:
            raise InputError(f"teacher.temperature must be positive, found {self.temperature}")

    def __call__(self, model: nn.Module) -> Teacher:
        """Return the teacher of a model.

        Raises:
            InputError: a model of another class.
        """
        teacher = self.teacher(model)
        return teacher if self.temperature == 1 else Tempered(teacher, self.temperature)

    @abstractmethod
    def teacher(self, model: nn.Module) -> Teacher:
        """Return the teacher at T = 1."""


@dataclass(frozen=True, kw_only=True)
class Plain(TeacherAdapter):
    """A model that has conditionals of its own: hollow, or a masked language model (7.2)."""

    def teacher(self, model: nn.Module) -> Teacher:
        """Return the model itself."""
        if not isinstance(model, Teacher):
            raise _wrong_model("plain", "model=blind or masked_lm", model)
        return model


class JointlyMasked(TeacherAdapter):
    """A masked network with all noised positions masked at once: plain distillation (7.2)."""

    def teacher(self, model: nn.Module) -> Teacher:
        """Return a teacher that masks all chosen positions in one pass."""
        net = getattr(model, "net", None)
        if not isinstance(net, Net):
            raise _wrong_model("together", "model=factorized or masked_lm", model)
        return Denoiser(net)


class OneSided(TeacherAdapter):
    """An autoregressive model by its past alone."""

    def teacher(self, model: nn.Module) -> Teacher:
        """Return a teacher of next-token distributions."""
        return causal.OneSided(_left_to_right("one_sided", model))


class Taylor(TeacherAdapter):
    """An autoregressive model to first order (7.5)."""

    def teacher(self, model: nn.Module) -> Teacher:
        """Return a first-order teacher."""
        return causal.Taylor(_left_to_right("taylor", model))


@dataclass(frozen=True, kw_only=True)
class Exact(TeacherAdapter):
    """An autoregressive model at all V substitutions (7.3).

    Attributes:
        batch: sequences that the network sees at once.
    """

    batch: int = 1024

    def teacher(self, model: nn.Module) -> Teacher:
        """Return an exact teacher."""
        return causal.Exact(_left_to_right("exact", model), self.batch)


@dataclass(frozen=True, kw_only=True)
class TopK(TeacherAdapter):
    """An autoregressive model at K substitutions (7.4).

    Attributes:
        k: K.
        ranking: chooses the candidates.
        tail: gives the probabilities of the others; None for zeros.
        batch: sequences that the network sees at once.
    """

    k: int
    ranking: TeacherAdapter = field(default_factory=OneSided)
    tail: TeacherAdapter | None = None
    batch: int = 1024

    def teacher(self, model: nn.Module) -> Teacher:
        """Return a teacher with K exact candidates and a tail."""
        exact = causal.Exact(_left_to_right("top_k", model), self.batch)
        ranking = self.ranking(model)
        if self.tail is None:
            return causal.TopK(exact, self.k, ranking)
        same = self.tail == self.ranking
        return causal.TopK(exact, self.k, ranking, ranking if same else self.tail(model))


class Denoiser(Teacher):
    """A masked network with all chosen positions masked together: p(y | x₁ elsewhere).

    With the mask source that is the marginal of the posterior itself, the student's optimum:
    plain distillation (7.2). It has no label noise left, and is no distribution of clean contexts.

    Args:
        net: as for `MaskedLM`.
    """

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = MaskedLM(net).net

    def log_conditionals(
        self, x_1: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return the log-conditionals by one pass."""
        return log_softmax(
            self.net(x_1.masked_fill(positions, self.net.vocabulary), None, positions)
        )


def _left_to_right(teacher: str, model: nn.Module) -> LeftToRight:
    if not isinstance(model, Autoregressive):
        raise _wrong_model(teacher, "model=autoregressive", model)
    return LeftToRight(model)


def _wrong_model(teacher: str, wanted: str, model: nn.Module) -> InputError:
    name = type(model).__name__
    return InputError(f"teacher={teacher} needs a run of {wanted}, found {name} in teacher_run")
