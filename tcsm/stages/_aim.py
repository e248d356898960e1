"""What post-training in a world is held against: the tilted law, its distance and its picture."""

import math
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float64
from torch import Tensor

from tcsm.evaluation import enumeration
from tcsm.worlds.base import World, every
from tcsm.worlds.tilting import Tilting, best_of, relative_ess, tilted, total_variation

SHADES = 999  # of a picture, from nothing to its own likeliest cell
Distribution = Float64[Tensor, "N"]


@dataclass(frozen=True)
class Aim:
    """What is asked for, and how far a law is from it.

    Attributes:
        world: whence all came.
        tilting: the reward.
        base: log p_pre.
    """

    world: World
    tilting: Tilting
    base: Distribution

    @property
    def reward(self) -> Distribution:
        """R of every sequence."""
        return self.tilting.reward(every(self.world.vocabulary, self.world.length))

    def tilt(self, distribution: Distribution) -> Distribution:
        """Log of law · e^{R/β}/Z."""
        return tilted(distribution, self.reward, self.tilting.beta)

    def outcome(self, distribution: Distribution) -> Distribution:
        """Of a model's law: that of the best of its draws."""
        return best_of(distribution, self.reward, self.tilting.best_of)

    def judge(self, distribution: Distribution) -> dict[str, Any]:
        """A point of the curve."""
        return distance(self.tilt(self.base), self.outcome(distribution))

    def report(self, distribution: Distribution) -> dict[str, Any]:
        """All numbers of a law, and all pictures."""
        true, found = self.tilt(self.base), self.outcome(distribution)
        mean = {"mean": found, "aim": true, "pretrained": self.base}
        shown = {"world": self.world.log_p, "pretrained": self.base, "aim": true, "found": found}
        side = self.world.vocabulary
        return {
            "beta": self.tilting.beta,
            "best_of": self.tilting.best_of,
            "ess": relative_ess(self.base, self.reward, self.tilting.beta),
            **distance(true, found),
            "kl_to_pretrained": _known(enumeration.kl(found, self.base)),
            "world": distance(self.tilt(self.world.log_p), found),
            "pretrained": distance(self.world.log_p, self.base),
            "reward": {
                key: float((distribution.exp() * self.reward).sum())
                for key, distribution in mean.items()
            },
            "pictures": {
                key: picture(distribution.view(side, -1)) for key, distribution in shown.items()
            },
        }


def distance(true: Distribution, found: Distribution) -> dict[str, float | None]:
    """TV, and KL(true ‖ found) in nats."""
    return {
        "tv": _known(total_variation(true, found)),
        "kl": _known(enumeration.kl(true, found)),
    }


def picture(distribution: Float64[Tensor, "U V"]) -> dict[str, Any]:
    """A law as whole numbers, and the chance of a cell of the highest."""
    p = distribution.exp()
    return {"most": float(p.max()), "rows": (p / p.max() * SHADES).round().int().tolist()}


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
