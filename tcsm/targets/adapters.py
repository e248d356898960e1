"""Conditionals p₁(y | x^{≠i}) of a trained model, one class per method to compute them (7.2–7.5).

Plain          the model's own: one pass if it is hollow, one per position if it is masked
JointlyMasked  all chosen positions masked together: one pass
OneSided       log p(y | x^{<i}), without the future: one pass
Exact          log p₁(x^{i←y}) of all y: V sequences per position
Taylor         log p₁ to first order in the one-hot of x^i: one backward pass for all positions
TopK           the K best by one method exactly, the others by another: K sequences per position

A configuration names the method and its values; the run that loads the model attaches it.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.models.autoregressive import Autoregressive
from tcsm.models.masked_lm import MaskedLM, log_softmax
from tcsm.models.teacher import Teacher
from tcsm.nets.base import Net


@dataclass(frozen=True, kw_only=True)
class TeacherAdapter(Teacher):
    """A teacher by a trained model, with the conditionals of p₁^{1/T} or an approximation.

    Attributes:
        temperature: T; values above 1 flatten the distribution, those below sharpen it.
        model: the trained model; None until `attach`.

    Raises:
        InputError: a temperature that is not positive, or a model without such conditionals.
    """

    choice: ClassVar[str]  # name in params/teacher
    needs: ClassVar[str] = "model=autoregressive"

    temperature: float = 1.0
    model: nn.Module | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the values, and the model where there is one."""
        if not 0 < self.temperature < math.inf:
            raise InputError(f"teacher.temperature must be positive, found {self.temperature}")
        if self.model is not None and not self.fits(self.model):
            name = type(self.model).__name__
            raise InputError(
                f"teacher={self.choice} needs a run of {self.needs}, found {name} in teacher_run"
            )

    def attach(self, model: nn.Module) -> "TeacherAdapter":
        """Return the same teacher with its model.

        Raises:
            InputError: a model of another class.
        """
        return replace(self, model=model)

    def log_conditionals(
        self, x_1: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return log p₁(y | x₁^{≠i})/T, normalized, at the chosen positions in row-major order.

        Raises:
            InputError: no model is attached.
        """
        if self.model is None:
            raise InputError("teacher_run: found null; objective=soft needs a teacher's folder")
        log_p = self.conditionals(x_1, positions)
        return log_p if self.temperature == 1 else torch.log_softmax(log_p / self.temperature, -1)

    def fits(self, model: nn.Module) -> bool:
        """Return whether the method works with a model."""
        return isinstance(model, Autoregressive)

    @property
    def autoregressive(self) -> Autoregressive:
        """Return the model of a method that needs an autoregressive one."""
        assert isinstance(self.model, Autoregressive)
        return self.model

    @abstractmethod
    def conditionals(
        self, x_1: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return the conditionals at T = 1."""


class Plain(TeacherAdapter):
    """A model that has conditionals of its own: hollow, or a masked language model (7.2)."""

    choice, needs = "plain", "model=blind or masked_lm"

    def fits(self, model: nn.Module) -> bool:
        """Return whether the model has conditionals."""
        return isinstance(model, Teacher)

    def conditionals(
        self, x_1: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return the model's own conditionals."""
        assert isinstance(self.model, Teacher)
        return self.model.log_conditionals(x_1, positions)


class JointlyMasked(TeacherAdapter):
    """A masked network with all chosen positions masked together: p(y | x₁ elsewhere).

    With the mask source that is the marginal of the posterior itself, the student's optimum:
    plain distillation (7.2). It has no label noise left, and is no distribution of clean contexts.
    """

    choice, needs = "together", "model=factorized or masked_lm"

    def fits(self, model: nn.Module) -> bool:
        """Return whether the model has a network that is not causal.

        Raises:
            InputError: the network has no mask, or takes t.
        """
        net = getattr(model, "net", None)
        if not isinstance(net, Net) or net.causal:
            return False
        MaskedLM(net)  # refuses a network that is not masked
        return True

    def conditionals(
        self, x_1: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return the log-conditionals by one pass."""
        assert self.model is not None
        net = self.model.net
        assert isinstance(net, Net)
        return log_softmax(net(x_1.masked_fill(positions, net.vocabulary), None, positions))


class OneSided(TeacherAdapter):
    """Log p(y | x^{<i}): the past alone, hence biased; to rank candidates and to fill tails."""

    choice = "one_sided"

    def conditionals(
        self, x_1: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return the next-token log-probabilities."""
        return self.autoregressive.log_next_at(x_1, positions)


class Taylor(TeacherAdapter):
    """softmax_y G_i, log p₁(x^{i←y}) ≈ log p₁(x) + ⟨G_i, e_y − e_x⟩ (7.5).

        G_i = W (∂ log p₁/∂ embedding_i) + log p(· | x^{<i})

    x^i counts twice, as input of later predictions and as the label of its own. Exact where log
    p₁ is linear in the embeddings, else of second order in the step between two of them.
    """

    choice = "taylor"

    @torch.no_grad()
    def fits(self, model: nn.Module) -> bool:
        """Return whether the model is autoregressive.

        Raises:
            InputError: the network reads more of a token than its embedding.
        """
        if not isinstance(model, Autoregressive):
            return False
        table = model.embedding
        x = torch.arange(2, device=table.device)[None] % len(table)
        by_token = model.log_next_at(x, torch.ones_like(x, dtype=torch.bool))
        by_embedding = model.log_next_of(table[x])[0]
        if not torch.allclose(by_embedding, by_token, rtol=1e-3, atol=1e-3):
            raise InputError(
                "teacher=taylor: the network reads more of a token than its embedding, whose "
                "gradient is needed; set teacher=exact, top_k or one_sided"
            )
        return True

    def conditionals(
        self, x_1: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return the first-order log-conditionals by one forward and one backward pass."""
        model = self.autoregressive
        table = model.embedding
        with torch.enable_grad():
            embedded = table[x_1].requires_grad_()
            log_next = model.log_next_of(embedded)
            log_p = log_next.gather(-1, x_1[..., None]).sum()
            (slope,) = torch.autograd.grad(log_p, embedded)
        return torch.log_softmax((slope @ table.T + log_next.detach())[positions], -1)


@dataclass(frozen=True, kw_only=True)
class Exact(TeacherAdapter):
    """softmax_y log p₁(x^{i←y}) (7.3).

    Attributes:
        batch: sequences that the network sees at once.

    Raises:
        InputError: no batch.
    """

    choice = "exact"
    batch: int = 1024

    def __post_init__(self) -> None:
        """Refuse an empty batch."""
        if self.batch < 1:
            raise InputError(f"teacher.batch must be 1 or more, found {self.batch}")
        super().__post_init__()

    def conditionals(
        self, x_1: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return log p₁ of all V substitutions, normalized."""
        model, (row, column) = self.autoregressive, positions.nonzero(as_tuple=True)
        tokens = torch.arange(model.net.vocabulary, device=x_1.device).expand(len(row), -1)
        return torch.log_softmax(model.log_suffixes(x_1, (row, column), tokens, self.batch), -1)


@dataclass(frozen=True, kw_only=True)
class TopK(Exact):
    """The K likeliest candidates exactly, x₁^i always among them (7.4).

    Attributes:
        k: K; V is exact whatever the rest.
        ranking: chooses the candidates.
        tail: gives the log-odds of the others to x₁^i; None for probabilities of 0, whose TV error
            is the mass that the others should have.

    Raises:
        InputError: K outside [1, V].
    """

    choice = "top_k"
    k: int
    ranking: TeacherAdapter = field(default_factory=OneSided)
    tail: TeacherAdapter | None = None

    def __post_init__(self) -> None:
        """Refuse more candidates than there are tokens."""
        super().__post_init__()
        if self.model is not None and not 1 <= self.k <= self.autoregressive.net.vocabulary:
            vocabulary = self.autoregressive.net.vocabulary
            raise InputError(f"teacher.k must lie in [1, {vocabulary}], found {self.k}")

    def attach(self, model: nn.Module) -> "TopK":
        """Return the same teacher with its model, which the ranking and the tail use, too."""
        tail = None if self.tail is None else self.tail.attach(model)
        return replace(self, model=model, ranking=self.ranking.attach(model), tail=tail)

    def conditionals(
        self, x_1: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return exact values of the K best candidates and the tail's values of the others."""
        row, column = positions.nonzero(as_tuple=True)
        label = x_1[row, column][:, None]
        rank = self.ranking.log_conditionals(x_1, positions)
        best = rank.scatter(-1, label, torch.inf).topk(self.k).indices  # the label comes first
        scores = self.autoregressive.log_suffixes(x_1, (row, column), best, self.batch)
        scores = scores.to(rank.dtype)
        others = torch.full_like(rank, -torch.inf)
        if self.tail is not None:
            same = self.tail == self.ranking  # one backward pass less if Taylor is both
            others = rank if same else self.tail.log_conditionals(x_1, positions)
            others = others - others.gather(-1, label) + scores[:, :1]
        return torch.log_softmax(others.scatter(-1, best, scores), -1)
