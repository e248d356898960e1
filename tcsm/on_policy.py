"""On-policy batches: the model's own samples, weighted by their advantage.

    A = (R − mean R)/std R over the global batch                                        (GRPO)

With a likelihood as the objective, Σ A ∇(−log q) descends the policy gradient. Every step calls
the reward once per sequence. Samples are a function of the weights and the step, so that a run
resumes exactly. The mean includes the sequence's own reward, which scales the gradient by 1 − 1/B
and keeps its direction.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float64, Int
from torch import Tensor, nn

from tcsm.data.batch_sources import Batches, BatchSource, DataContext
from tcsm.data.batches import Batch, part
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.rewards.base import Reward, scores
from tcsm.samplers.base import Sampler


@dataclass(frozen=True)
class OnPolicy(BatchSource):
    """Sequences of the model in training.

    Attributes:
        sampler: The sampler.
        reward: The reward.
        normalized: Whether A is in units of the batch's standard deviation, or of the reward.
    """

    gives: ClassVar[tuple[str, ...]] = ("advantages", "texts")

    sampler: Sampler
    reward: Reward | None
    normalized: bool = True

    def open(self, context: DataContext) -> Batches:
        """Return batches that the model draws at every step.

        Raises:
            InputError: No reward, or a batch that has no advantages.
        """
        if self.reward is None:
            raise InputError("reward: found null; batches=on_policy needs one")
        if context.size < 2:
            raise InputError("data.batch must be at least 2 for batches=on_policy, found 1")
        self.reward.open()
        return Advantages(self, context)


@dataclass(frozen=True)
class Advantages:
    """Batches of on-policy draws."""

    source: OnPolicy
    context: DataContext

    def at(
        self, step: int, rank: int = 0, world: int = 1, micro: int = 0, micros: int = 1
    ) -> Batch:
        """Return the rows of a step; all ranks draw the full batch, for a common mean."""
        tokens = own_draws(self.context, self.source.sampler, step)
        assert self.source.reward is not None
        assert self.context.tokenizer is not None
        reward = rewards_of(self.source.reward, tokens, self.context.tokenizer)
        advantage = reward - reward.mean()
        if self.source.normalized:
            advantage = advantage / reward.std().clamp(min=1e-8)
        ids = part(self.context.size, rank, world, micro, micros)
        weight = self.context.weigh(advantage)[ids].float()
        return Batch(tokens[ids], weight, step, ids, self.context.size)


@contextmanager
def at_rest(model: nn.Module) -> Iterator[nn.Module]:
    """Put a model in training into evaluation mode within the block."""
    training = model.training
    try:
        yield model.eval()
    finally:
        model.train(training)


def own_draws(context: DataContext, sampler: Sampler, step: int) -> Int[Tensor, "B L"]:
    """Return a global batch of samples of the model with its present weights."""
    with at_rest(context.model) as model:
        seed = context.seed * 1_000_003 + step
        return sampler(model, context.size, context.length, seed).tokens.cpu()


def rewards_of(
    reward: Reward, tokens: Int[Tensor, "B L"], tokenizer: Tokenizer
) -> Float64[Tensor, "B"]:
    """Return R of each sequence, checked."""
    texts = [tokenizer.decode(row.cpu().numpy()) for row in tokens]
    return torch.from_numpy(scores(reward, texts))
