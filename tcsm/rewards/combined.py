"""Rewards that are made of other rewards."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from tcsm.errors import InputError
from tcsm.rewards.base import Reward, below, scores


@dataclass(frozen=True)
class Sum(Reward):
    """Σ weight · reward.

    Attributes:
        rewards: The terms.
        weights: Weight of each term; a negative one reverses its sign.
    """

    rewards: Sequence[Reward]
    weights: Sequence[float]

    def __post_init__(self) -> None:
        if len(self.rewards) != len(self.weights) or not self.rewards:
            raise InputError(
                f"reward.weights must be one for each of the rewards, found {len(self.weights)} "
                f"for {len(self.rewards)}"
            )

    def open(self) -> None:
        """Open every term."""
        for number, reward in enumerate(self.rewards):
            with below(f"reward.rewards.{number}"):
                reward.open()

    def __call__(self, texts: Sequence[str]) -> Float64[np.ndarray, "N"]:
        """Return the sum; every term is checked."""
        parts = np.array([scores(reward, texts) for reward in self.rewards])
        return np.asarray(np.asarray(self.weights, dtype=np.float64) @ parts)


@dataclass(frozen=True)
class CachedReward(Reward):
    """A cached reward: each text is evaluated once, in batches.

    Attributes:
        reward: The reward.
        batch: Texts per batch.
        limit: Number of cached texts; the oldest are dropped.
    """

    reward: Reward
    batch: int = 256
    limit: int = 1_000_000
    known: dict[str, float] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for key in ("batch", "limit"):
            if getattr(self, key) < 1:
                raise InputError(f"reward.{key} must be 1 or more, found {getattr(self, key)}")

    def open(self) -> None:
        """Open the reward."""
        with below("reward.reward"):
            self.reward.open()

    def __call__(self, texts: Sequence[str]) -> Float64[np.ndarray, "N"]:
        """Return the rewards, new or cached, checked."""
        values = {text: self.known[text] for text in texts if text in self.known}
        fresh = list(dict.fromkeys(text for text in texts if text not in values))
        for first in range(0, len(fresh), self.batch):
            some = fresh[first : first + self.batch]
            with below("reward.reward"):
                values |= dict(zip(some, scores(self.reward, some).tolist(), strict=True))
        self.known.update((text, values[text]) for text in fresh)
        for text in list(self.known)[: max(0, len(self.known) - self.limit)]:
            del self.known[text]
        return np.array([values[text] for text in texts], dtype=np.float64)
