"""A feed of the model's own samples, weighed by their advantage: policy gradients.

    A = (R − mean R)/std R over the global batch                                        (GRPO)

With a likelihood as the objective, Σ A ∇(−log q) descends the policy gradient. Every step costs as
many calls of the reward as it has sequences. Samples are a function of the weights and the step,
so that a run resumes exactly. The mean has the sequence's own reward in it, which shortens the
gradient by 1/B and does not turn it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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
        sampler: how they are drawn.
        reward: who judges them.
        normalized: whether A is in units of the batch's own deviation, or of the reward.
    """

    sampler: Sampler
    reward: Reward | None
    normalized: bool = True

    def open(self, context: DataContext) -> Batches:
        """Ask the model at every step.

        Raises:
            InputError: no reward, or a batch that has no advantages.
        """
        if self.reward is None:
            raise InputError("reward: found null; feed=on_policy needs one")
        if context.size < 2:
            raise InputError("data.batch must be at least 2 for feed=on_policy, found 1")
        self.reward.open()
        return Advantages(self, context)


@dataclass(frozen=True)
class Advantages:
    """Batches drawn on policy."""

    source: OnPolicy
    context: DataContext

    def at(
        self, step: int, rank: int = 0, world: int = 1, micro: int = 0, micros: int = 1
    ) -> Batch:
        """The rows of a step; all ranks draw the whole batch, so that it has one mean."""
        tokens = own_draws(self.context, self.source.sampler, step)
        assert self.source.reward is not None
        assert self.context.tokenizer is not None
        reward = judged(self.source.reward, tokens, self.context.tokenizer)
        advantage = reward - reward.mean()
        if self.source.normalized:
            advantage = advantage / reward.std().clamp(min=1e-8)
        ids = part(self.context.size, rank, world, micro, micros)
        return Batch(tokens[ids], advantage[ids].float(), step, ids, self.context.size)


@contextmanager
def at_rest(model: nn.Module) -> Iterator[nn.Module]:
    """A model in training, asked as it is when it has been trained."""
    training = model.training
    try:
        yield model.eval()
    finally:
        model.train(training)


def own_draws(context: DataContext, sampler: Sampler, step: int) -> Int[Tensor, "B L"]:
    """A global batch of samples of the model as it is now."""
    with at_rest(context.model) as model:
        seed = context.seed * 1_000_003 + step
        return sampler(model, context.size, context.length, seed).tokens.cpu()


def judged(
    reward: Reward, tokens: Int[Tensor, "B L"], tokenizer: Tokenizer
) -> Float64[Tensor, "B"]:
    """R of each sequence, checked."""
    texts = [tokenizer.decode(row.cpu().numpy()) for row in tokens]
    return torch.from_numpy(scores(reward, texts))
