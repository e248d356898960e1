"""Draws of the model in a toy world, with a reward that counts its calls.

    A = S − mean S,    S = R/β − c log q(x)/p_pre(x),    x ∼ q, the model's present distribution

With a likelihood as the objective, Σ A ∇(−log q) descends the policy gradient of E R/β − c KL(q ‖
p_pre): at c = 1 its optimum is p_pre e^{R/β}/Z (10.1), at c = 0 the best cell.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float64, Int
from torch import Tensor

from tcsm.data.batch_sources import Batches, BatchSource, DataContext
from tcsm.data.batches import Batch, part
from tcsm.data.buffer import Buffer, unweighted
from tcsm.errors import InputError
from tcsm.evaluation import enumeration
from tcsm.models.factorized import Factorized
from tcsm.noise import batch_noise
from tcsm.on_policy import at_rest, own_draws
from tcsm.samplers.first_hitting import FirstHitting
from tcsm.toy.base import all_sequences, draw
from tcsm.toy.tilting import Tilting


@dataclass
class CountedReward:
    """A reward that counts its calls.

    Attributes:
        tilting: The reward, and the largest number of calls.
        calls: Number of sequences so far.
    """

    tilting: Tilting
    calls: int = 0

    def facts(self) -> dict[str, int]:
        """Return the number of calls for the record of a training."""
        return {"reward_calls": self.calls}

    def reach(self, calls: int) -> None:
        """Count at least so many calls, some of which a training made before it was resumed."""
        self.calls = max(self.calls, calls)

    def __call__(self, x: Int[Tensor, "N L"]) -> Float64[Tensor, "N"]:
        """Return R of each sequence.

        Raises:
            InputError: Too many calls, or a reward that is not finite.
        """
        self.calls += len(x)
        if self.calls > self.tilting.calls:
            raise InputError(
                f"tilting.calls: {self.tilting.calls} sequences may be judged, found {self.calls}"
                " wanted; lower trainer.steps or data.batch, or raise it"
            )
        values = self.tilting.reward(x)
        if not values.isfinite().all():
            at = int((~values.isfinite()).nonzero()[0])
            raise InputError(
                f"tilting.reward: gave {values[at]} for {x[at].tolist()}, number {at}"
            )
        return values


@dataclass(frozen=True)
class Explored(DataContext):
    """The data context of a toy world.

    Attributes:
        reward: The reward.
        base: Log of the distribution that the training starts from.
    """

    reward: CountedReward = field(kw_only=True)
    base: Float64[Tensor, "N"] = field(kw_only=True)

    def collected(self, texts: int = 1) -> Buffer:
        """Return draws of the base with their rewards, as many as may still be evaluated."""
        count = self.reward.tilting.calls - self.reward.calls
        number = draw(self.base, batch_noise(self.seed, 0, count).uniform("collected"))
        vocabulary = round(len(self.base) ** (1 / self.length))
        tokens = all_sequences(vocabulary, self.length)[number]
        return unweighted(tokens, self.reward(tokens))


@dataclass(frozen=True)
class Explore(BatchSource):
    """Draws of the model in training, weighted by their advantage.

    Attributes:
        kl_coef: c, the coefficient of the KL penalty to the base in units of β.
    """

    gives: ClassVar[tuple[str, ...]] = ("advantages", "texts")

    kl_coef: int | float = 1.0

    def open(self, context: DataContext) -> Batches:
        """Return batches that the model draws at every step.

        Raises:
            InputError: The run is in no toy world.
        """
        if not isinstance(context, Explored):
            raise InputError(
                "batches: Explore needs a toy world and its reward (experiment=exact/tilt); on "
                "text set batches=on_policy"
            )
        return Advantages(self, context, context.reward.calls)


@dataclass(frozen=True)
class Advantages:
    """Batches of on-policy draws.

    Attributes:
        source: The settings.
        context: The world and the model.
        before: Calls of the reward before the first step.
    """

    source: Explore
    context: Explored
    before: int = 0

    def at(
        self, step: int, rank: int = 0, world: int = 1, micro: int = 0, micros: int = 1
    ) -> Batch:
        """Return the rows of a step; every part draws the full batch, for a common mean."""
        model, size = self.context.model, self.context.size
        assert isinstance(model, Factorized)
        self.context.reward.reach(self.before + (step * micros + micro) * size)
        sampler = FirstHitting(steps=self.context.length, path=model.path)
        tokens = own_draws(self.context, sampler, step)
        with at_rest(model):
            score = self._score(model, tokens)
        ids = part(size, rank, world, micro, micros)
        weight = self.context.weigh(score - score.mean())[ids].float()
        return Batch(tokens[ids], weight, step, ids, size)

    def _score(self, model: Factorized, tokens: Int[Tensor, "B L"]) -> Float64[Tensor, "B"]:
        score = self.context.reward(tokens) / self.context.reward.tilting.beta
        if not self.source.kl_coef:
            return score
        states = model.path.source.vocabulary ** torch.arange(tokens.shape[1] - 1, -1, -1)
        before = self.context.base[(tokens * states).sum(-1)]
        return score - self.source.kl_coef * (enumeration.log_chain(model, tokens) - before)
