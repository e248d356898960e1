"""The target of post-training in a toy world: the tilted distribution, distances and pictures."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jaxtyping import Float64
from torch import Tensor

from tcsm.evaluation import enumeration
from tcsm.toy.base import World, all_sequences
from tcsm.toy.tilting import Tilting, best_of, relative_ess, tilted, total_variation

SHADES = 999  # levels of a picture, from 0 to its likeliest cell
Distribution = Float64[Tensor, "N"]


@dataclass(frozen=True)
class TargetDistribution:
    """The target distribution, and distances to it.

    Attributes:
        world: The toy world.
        tilting: The reward.
        base: log p_pre.
    """

    world: World
    tilting: Tilting
    base: Distribution

    @cached_property
    def reward(self) -> Distribution:
        """Return R of every sequence."""
        return self.tilting.reward(all_sequences(self.world.vocabulary, self.world.length))

    @cached_property
    def target(self) -> Distribution:
        """Return log(p_pre · e^{R/β}/Z)."""
        return self.tilt(self.base)

    def tilt(self, distribution: Distribution) -> Distribution:
        """Return log(p · e^{R/β}/Z) for log p."""
        return tilted(distribution, self.reward, self.tilting.beta)

    def outcome(self, distribution: Distribution) -> Distribution:
        """Return the log of the distribution of the best of a model's draws."""
        return best_of(distribution, self.reward, self.tilting.best_of)

    def distances(self, distribution: Distribution) -> dict[str, Any]:
        """Return a point of the curve for a model's distribution."""
        return distance(self.target, self.outcome(distribution))

    def report(self, distribution: Distribution) -> dict[str, Any]:
        """Return all numbers of a distribution, and all pictures."""
        true, final = self.target, self.outcome(distribution)
        mean = {"mean": final, "target": true, "pretrained": self.base}
        shown = {
            "world": self.world.log_p,
            "pretrained": self.base,
            "target": true,
            "found": final,
        }
        side = self.world.vocabulary
        return {
            "beta": self.tilting.beta,
            "best_of": self.tilting.best_of,
            "ess": relative_ess(self.base, self.reward, self.tilting.beta),
            **distance(true, final),
            "kl_to_pretrained": finite(enumeration.kl(final, self.base)),
            "world": distance(self.tilt(self.world.log_p), final),
            "pretrained": distance(self.world.log_p, self.base),
            "reward": {
                key: float((distribution.exp() * self.reward).sum())
                for key, distribution in mean.items()
            },
            "pictures": {
                key: picture(distribution.view(side, -1)) for key, distribution in shown.items()
            },
        }


def distance(true: Distribution, final: Distribution) -> dict[str, float | None]:
    """Return TV, and KL(target ‖ model) in nats."""
    return {
        "tv": finite(total_variation(true, final)),
        "kl": finite(enumeration.kl(true, final)),
    }


def picture(distribution: Float64[Tensor, "U V"]) -> dict[str, Any]:
    """Return a distribution as integers, and the probability of a cell with the highest."""
    p = distribution.exp()
    return {"most": float(p.max()), "rows": (p / p.max() * SHADES).round().int().tolist()}


def finite(value: float) -> float | None:
    """Return a number, None if it is infinite or NaN."""
    return value if math.isfinite(value) else None
