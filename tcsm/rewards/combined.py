"""Rewards made of rewards."""

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
        rewards: the parts.
        weights: of each; a negative one turns a part around.
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
        """Open every part."""
        for number, reward in enumerate(self.rewards):
            with below(f"reward.rewards.{number}"):
                reward.open()

    def __call__(self, texts: Sequence[str]) -> Float64[np.ndarray, "N"]:
        """The sum, each part checked."""
        parts = np.array([scores(reward, texts) for reward in self.rewards])
        return np.asarray(np.asarray(self.weights, dtype=np.float64) @ parts)


@dataclass(frozen=True)
class Remembered(Reward):
    """A reward that is asked about a text once, and about some texts at a time.

    Attributes:
        reward: who is asked.
        batch: texts at a time.
        limit: texts that are remembered; the oldest are forgotten.
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
        """What the reward says now or said before, checked."""
        found = {text: self.known[text] for text in texts if text in self.known}
        fresh = list(dict.fromkeys(text for text in texts if text not in found))
        for first in range(0, len(fresh), self.batch):
            some = fresh[first : first + self.batch]
            with below("reward.reward"):
                found |= dict(zip(some, scores(self.reward, some).tolist(), strict=True))
        self.known.update((text, found[text]) for text in fresh)
        for text in list(self.known)[: max(0, len(self.known) - self.limit)]:
            del self.known[text]
        return np.array([found[text] for text in texts], dtype=np.float64)
