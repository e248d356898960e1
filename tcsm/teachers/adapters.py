"""Ways to ask a trained model for conditionals: a model ↦ a teacher.

A configuration names the way; which model is asked is known when its run is opened. Divided by a
temperature T, all are conditionals of the flattened distribution p₁^{1/T}, or their
approximations.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from torch import nn

from tcsm.errors import InputError
from tcsm.nets.base import Net
from tcsm.teachers import causal
from tcsm.teachers.autoregressive import Autoregressive
from tcsm.teachers.base import Teacher, Tempered
from tcsm.teachers.conditional import Denoiser
from tcsm.teachers.left_to_right import LeftToRight


@dataclass(frozen=True, kw_only=True)
class TeacherAdapter(ABC):
    """How a model is asked.

    Attributes:
        temperature: T; above 1 flattens the distribution, below sharpens it.

    Raises:
        InputError: no temperature.
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what divides nothing."""
        if not 0 < self.temperature < math.inf:
            raise InputError(f"teacher.temperature must be positive, found {self.temperature}")

    def __call__(self, model: nn.Module) -> Teacher:
        """The teacher.

        Raises:
            InputError: a model of another kind.
        """
        teacher = self.teacher(model)
        return teacher if self.temperature == 1 else Tempered(teacher, self.temperature)

    @abstractmethod
    def teacher(self, model: nn.Module) -> Teacher:
        """The teacher at T = 1."""


@dataclass(frozen=True, kw_only=True)
class Plain(TeacherAdapter):
    """A model that has conditionals of its own: hollow, or a masked language model (7.2)."""

    def teacher(self, model: nn.Module) -> Teacher:
        """Itself."""
        if not isinstance(model, Teacher):
            raise _wrong_model("plain", "model=blind or masked_lm", model)
        return model


class JointlyMasked(TeacherAdapter):
    """A masked network with all noised positions masked at once: plain distillation (7.2)."""

    def teacher(self, model: nn.Module) -> Teacher:
        """One pass for all."""
        net = getattr(model, "net", None)
        if not isinstance(net, Net):
            raise _wrong_model("together", "model=factorized or masked_lm", model)
        return Denoiser(net)


class OneSided(TeacherAdapter):
    """An autoregressive model by its past alone."""

    def teacher(self, model: nn.Module) -> Teacher:
        """The next-token distribution."""
        return causal.OneSided(_left_to_right("one_sided", model))


class Taylor(TeacherAdapter):
    """An autoregressive model to first order (7.5)."""

    def teacher(self, model: nn.Module) -> Teacher:
        """One backward pass for all."""
        return causal.Taylor(_left_to_right("taylor", model))


@dataclass(frozen=True, kw_only=True)
class Exact(TeacherAdapter):
    """An autoregressive model at all V substitutions (7.3).

    Attributes:
        batch: sequences that the network sees at once.
    """

    batch: int = 1024

    def teacher(self, model: nn.Module) -> Teacher:
        """V suffixes a position."""
        return causal.Exact(_left_to_right("exact", model), self.batch)


@dataclass(frozen=True, kw_only=True)
class TopK(TeacherAdapter):
    """An autoregressive model at K substitutions (7.4).

    Attributes:
        k: K.
        ranking: chooses the candidates.
        tail: stands for the others; None for zeros.
        batch: sequences that the network sees at once.
    """

    k: int
    ranking: TeacherAdapter = field(default_factory=OneSided)
    tail: TeacherAdapter | None = None
    batch: int = 1024

    def teacher(self, model: nn.Module) -> Teacher:
        """Candidates exactly, the tail as it says."""
        exact = causal.Exact(_left_to_right("top_k", model), self.batch)
        ranking = self.ranking(model)
        if self.tail is None:
            return causal.TopK(exact, self.k, ranking)
        same = self.tail == self.ranking
        return causal.TopK(exact, self.k, ranking, ranking if same else self.tail(model))


def _left_to_right(way: str, model: nn.Module) -> LeftToRight:
    if not isinstance(model, Autoregressive):
        raise _wrong_model(way, "model=autoregressive", model)
    return LeftToRight(model)


def _wrong_model(way: str, wanted: str, model: nn.Module) -> InputError:
    found = type(model).__name__
    return InputError(f"teacher={way} asks a run of {wanted}, found {found} in teacher_run")
