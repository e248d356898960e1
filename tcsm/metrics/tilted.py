"""How far a post-trained model in a toy world is from the reward-tilted distribution (10.1)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tcsm.errors import InputError
from tcsm.metrics.base import EvaluatedToy, Measured, ToyMetric
from tcsm.runs.toy import TargetDistribution


@dataclass(frozen=True)
class Tilted(ToyMetric):
    """TV and KL to p_pre e^{R/β}/Z, to that of the world, and to p_pre; ESS; pictures."""

    def __call__(self, evaluated: EvaluatedToy) -> Callable[[], Measured]:
        """Open the initial run, whose exact distribution is p_pre.

        Raises:
            InputError: A training without a reward, or without an initial run.
        """
        training = evaluated.training
        if training.tilting is None:
            raise InputError(
                f"metric.tilted: {evaluated.run.folder} was trained without a reward (tilting); "
                "evaluate metric=[exact]"
            )
        return partial(_measure, evaluated, training.target)


def _measure(evaluated: EvaluatedToy, target: TargetDistribution) -> Measured:
    finite = evaluated.finite
    fields = target.report(evaluated.log_distribution() if finite else target.base)
    if not finite:
        lost = ("tv", "kl", "kl_to_pretrained")
        known = {key: fields[key] for key in ("beta", "best_of", "ess")}
        fields = {**known, **dict.fromkeys(lost)}
    calls = evaluated.run.record()["reward_calls"]
    return Measured({**fields, "finite": finite, "reward_calls": calls})
