"""Samples scored by a reward, by an independent judge, and as text.

Post-training is judged by three numbers that trade off: the reward, a classifier of other data and
other features, and the likelihood under an autoregressive model of the text. Guidance without
training may choose each text among several.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from tcsm.errors import InputError
from tcsm.metrics.base import Evaluated, Measured
from tcsm.models.autoregressive import Autoregressive
from tcsm.noise import batch_noise, fold
from tcsm.on_policy import rewards_of
from tcsm.rewards.base import Reward, below
from tcsm.runs.drafts import Draft, Tensors, draft, of_model
from tcsm.runs.drawing import sampler_of
from tcsm.runs.judging import as_judge, judge_rate, summary, variety
from tcsm.samplers.base import Sampler
from tcsm.samplers.guidance import BestOfN, Guidance

TEXTS = 8  # texts in the record


@dataclass(frozen=True)
class Drawn:
    """Texts and their cost.

    Attributes:
        tokens: The texts.
        rewards: The reward of each.
        network_calls: Number of forward passes over as many texts.
        reward_calls: Number of rewards that guidance evaluated.
    """

    tokens: Int64[Tensor, "N L"]
    rewards: Float64[Tensor, "N"]
    network_calls: int
    reward_calls: int


@dataclass(frozen=True)
class Rewards:
    """Rewards of samples.

    Attributes:
        reward: The reward.
        reward_judge: An independent reward, or None.
        judge: Folder of an autoregressive run that scores the texts, or None.
        guide: The choice among several samples by their reward, or None.
        sampler: The sampler.
        count: Number of texts.
        steps: Sampler steps of each.

    Raises:
        InputError: No text, or no step.
    """

    reward: Reward | None
    reward_judge: Reward | None
    judge: str | None
    guide: Guidance | None
    sampler: Sampler
    count: int
    steps: int

    def __post_init__(self) -> None:
        """Check the numbers."""
        for key, value in (("count", self.count), ("steps", self.steps)):
            if value < 1:
                raise InputError(f"metric.rewards.{key} must be 1 or more, got {value}")

    def __call__(self, evaluated: Evaluated) -> Callable[[], Measured]:
        """Open the rewards and the judge; return the function that draws and scores.

        Raises:
            InputError: No reward, or a folder is missing or damaged.
        """
        if self.reward is None:
            raise InputError(
                "reward: found null; metric=[rewards] needs one, such as reward=classifier"
            )
        self.reward.open()
        if self.reward_judge is not None:
            with below("reward_judge"):
                self.reward_judge.open()
        judge = None
        if self.judge is not None:
            judge = as_judge(evaluated.open_model("judge", Path(self.judge)), self.judge)
        sampler = sampler_of(self.sampler, evaluated.model, self.steps)
        contents = (evaluated.seed, evaluated.length, sampler, self.count, self._guide.count)
        kept = draft(
            evaluated.out,
            "evaluate",
            *map(str, contents),
            of_model(evaluated.model, evaluated.devices),
        )
        return partial(self._measure, evaluated, sampler, kept, judge)

    @torch.no_grad()
    def _measure(
        self, evaluated: Evaluated, sampler: Sampler, kept: Draft, judge: Autoregressive | None
    ) -> Measured:
        drawn = self._draw(evaluated, sampler, kept)
        name = type(sampler).__name__
        fields = {
            **evaluated.run.draws(evaluated.seed),
            "sampler": name,
            "steps": self.steps,
            **self._scores(evaluated, drawn, judge),
        }
        return Measured(fields, drawn.tokens.numel())

    @property
    def _guide(self) -> Guidance:
        return self.guide or BestOfN(1)

    def _draw(self, evaluated: Evaluated, sampler: Sampler, kept: Draft) -> Drawn:
        """Draw the candidates for each text, and choose one of them."""
        drawn = kept.load_or_draw(partial(self._candidates, evaluated, sampler))
        tokens, reward = drawn["tokens"], self.reward
        assert reward is not None
        rewards = torch.stack([rewards_of(reward, x, evaluated.tokenizer) for x in tokens], 1)
        noise = batch_noise(evaluated.seed, 0, len(rewards))
        chosen = self._guide.choose(rewards, noise.uniform("guide"))
        rows = torch.arange(len(chosen))
        reward_calls = 0 if self.guide is None else rewards.numel()
        calls = int(drawn["calls"])
        return Drawn(tokens[chosen, rows], rewards[rows, chosen], calls, reward_calls)

    def _candidates(self, evaluated: Evaluated, sampler: Sampler) -> Tensors:
        """Return samples (candidates, N, L), and the number of forward passes."""
        seeds = [
            int(fold(evaluated.seed, zlib.crc32(b"grade"), index))
            for index in range(self._guide.count)
        ]
        with evaluated.devices.autocast():
            drawn = [
                sampler(evaluated.model, self.count, evaluated.length, seed) for seed in seeds
            ]
        calls = torch.tensor(sum(sampled.network_calls for sampled in drawn))
        return {"tokens": torch.stack([sampled.tokens.cpu() for sampled in drawn]), "calls": calls}

    def _scores(
        self, evaluated: Evaluated, drawn: Drawn, judge: Autoregressive | None
    ) -> dict[str, Any]:
        """Return all numbers about the texts."""
        tokens, tokenizer, other = drawn.tokens, evaluated.tokenizer, self.reward_judge
        rate = None if judge is None else judge_rate(judge, tokens, tokenizer)
        judge_rewards = None if other is None else rewards_of(other, tokens, tokenizer)
        return {
            "count": len(tokens),
            "length": tokens.shape[1],
            "network_calls": drawn.network_calls,
            "reward_calls": drawn.reward_calls,
            "reward": summary(drawn.rewards),
            "judge_reward": None if judge_rewards is None else summary(judge_rewards),
            "rewards": drawn.rewards.tolist(),
            "judge_rewards": None if judge_rewards is None else judge_rewards.tolist(),
            "judge_bpc": None if rate is None else rate.value,
            "judge_bpc_se": None if rate is None or len(tokens) < 2 else rate.se,
            **variety(tokens),
            "texts": [tokenizer.decode(row.numpy()) for row in tokens[:TEXTS]],
        }
