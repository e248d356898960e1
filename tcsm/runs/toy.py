"""A training in a toy world: fresh samples, exact validation, and post-training to a known target.

Post-training starts from the run of the key ``initial``, whose exact distribution is p_pre; its
target is p_pre e^{R/β}/Z (10.1). An objective with a teacher gets the conditionals of the target,
which only a toy world can provide.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from tcsm.data.batch_sources import DataContext
from tcsm.data.batches import Batch, part
from tcsm.errors import InputError
from tcsm.evaluation import enumeration
from tcsm.exploration import CountedReward, Explored
from tcsm.io.records import Record
from tcsm.models.teacher import Tabulated
from tcsm.noise import Noise
from tcsm.objectives.base import Objective, ReferenceObjective
from tcsm.objectives.distribution import SoftDistributionMatching
from tcsm.runs.identity import contents
from tcsm.runs.models import fill, unwrap
from tcsm.runs.parts import Parts, Training
from tcsm.runs.run import Run
from tcsm.runs.teachers import CachedTeacher
from tcsm.toy.base import World, all_sequences
from tcsm.toy.tilting import Tilting, best_of, relative_ess, tilted, total_variation
from tcsm.training.checkpoint import digest
from tcsm.training.devices import Devices
from tcsm.training.state import TrainState, assign, named_tensors

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


def world_distances(world: World, distribution: Float64[Tensor, "N"]) -> dict[str, float | None]:
    """Return KL(p₁ ‖ q) in nats, None if it is infinite."""
    return {"kl": finite(enumeration.kl(world.log_p, distribution))}


@dataclass(frozen=True)
class Fresh:
    """Batches of new samples at every step, a pure function of (seed, step)."""

    world: World
    size: int
    seed: int

    def at(
        self, step: int, rank: int = 0, world: int = 1, micro: int = 0, micros: int = 1
    ) -> Batch:
        """Return the share of a rank in one micro-batch of a step."""
        ids = part(self.size, rank, world, micro, micros)
        tokens = self.world.sample(Noise(self.seed, step, ids, self.size))
        return Batch(tokens, torch.ones(len(ids)), step, ids, self.size)


@dataclass(frozen=True)
class ExactValidation:
    """The distances of a model's exact distribution, at every record of a training.

    Attributes:
        model: A copy of the model, which gets the weights to validate.
        length: L.
        distances: Log of the exact distribution ↦ its distances by name.
    """

    model: nn.Module
    length: int
    distances: Callable[[Tensor], Record]

    def initial(self, state: TrainState) -> Record:
        """Return the distances of the initial weights."""
        return {"initial": self(state)}

    def __call__(self, state: TrainState) -> Record:
        """Return the distances of the weights that the run would save now."""
        assign(named_tensors(unwrap(self.model)), state.weights())
        distribution = enumeration.log_distribution(self.model.eval(), self.length)
        return {f"exact_{key}": value for key, value in self.distances(distribution).items()}


@dataclass(frozen=True)
class ToyTraining(Training):
    """A training in a toy world.

    Attributes:
        world: The world.
        tilting: The reward of post-training, or None.
    """

    world: World
    tilting: Tilting | None

    def parts(self, devices: Devices) -> Parts:
        """Open the initial run, and return the parts.

        Raises:
            InputError: Sizes that do not fit the world; the initial run is of another world or
                network, or post-training has none.
        """
        model, objective, world = self.initial_model, self.objective, self.world
        fresh = Fresh(world, self.data.batch, self.seed)
        context = DataContext(
            fresh, fresh.size, world.length, self.seed, model, weigh=objective.weigh
        )
        distances: Callable[[Tensor], Record] = partial(world_distances, world)
        facts: Callable[[], Record] = dict
        if self.tilting is not None:
            target, reward = self.target, CountedReward(self.tilting)
            objective = attach_models(objective, model, target, reward)
            context = Explored(**vars(context), reward=reward, base=target.base)
            distances, facts = target.distances, reward.facts
        return Parts(
            model=model,
            objective=objective,
            teacher=CachedTeacher(),
            batches=self.batches.open(context),
            validation=ExactValidation(copy.deepcopy(model), world.length, distances),
            contents=contents(None, devices, {"initial": digest(named_tensors(model))}),
            facts=facts,
        )

    @cached_property
    def initial_model(self) -> nn.Module:
        """Return the model with its initial weights.

        Raises:
            InputError: Sizes that do not fit the world; an initial run of another world or
                network.
        """
        length, size = self.data.length, self.world.vocabulary
        if length != self.world.length:
            raise InputError(f"data.length must be {self.world.length}, as world, got {length}")
        torch.manual_seed(self.seed)
        model = self.model()
        if (known := unwrap(model).vocabulary) != size:
            raise InputError(f"model.net.vocabulary must be {size}, as world, got {known}")
        if self.initial is None:
            return model
        run = Run(Path(self.initial))
        run.require_trained("initial")
        if run.world is None or run.part("world")() != self.world:
            name = (run.world or {}).get("_target_", "no world")
            raise InputError(
                f"initial: {self.initial} was trained in another world ({name}) than the key "
                "world names"
            )
        fill(unwrap(model), run.folder, key="initial: ")
        return model

    @cached_property
    def target(self) -> TargetDistribution:
        """Return the target of post-training from the exact distribution of the initial model.

        `parts` asks for it before the model is trained.

        Raises:
            InputError: No initial run is named.
        """
        assert self.tilting is not None
        if self.initial is None:
            raise InputError(
                "initial: found null; post-training needs the folder of a run in the same world"
            )
        length = self.world.length
        model = copy.deepcopy(self.initial_model).eval()
        distribution = enumeration.log_distribution(model, length)
        return TargetDistribution(self.world, self.tilting, torch.log_softmax(distribution, 0))


def attach_models(
    objective: Objective, model: nn.Module, target: TargetDistribution, reward: CountedReward
) -> Objective:
    """Return the objective with its reference p_pre, or the target distribution as teacher."""
    world = target.world
    if isinstance(objective, SoftDistributionMatching):
        reward(all_sequences(world.vocabulary, world.length))
        table = target.target.view([world.vocabulary] * world.length)
        return objective.attach(Tabulated(table))
    if isinstance(objective, ReferenceObjective):
        return objective.attach(copy.deepcopy(model).eval().requires_grad_(False))
    return objective
