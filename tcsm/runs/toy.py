"""A training in a toy world: fresh samples, exact validation, and post-training to a known target.

Post-training starts from the run of the key ``initial``, whose exact distribution is p_pre; its
target is p_pre e^{R/β}/Z (10.1). An objective with a teacher gets the conditionals of the target,
which only a toy world can provide.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float64
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from tcsm.config import build
from tcsm.data.batch_sources import BatchSource, DataContext
from tcsm.data.batches import Batch, part
from tcsm.errors import InputError
from tcsm.evaluation import enumeration
from tcsm.exploration import CountedReward, Explored
from tcsm.io.records import Record
from tcsm.models.teacher import Tabulated
from tcsm.noise import Noise
from tcsm.objectives.base import Objective, ReferenceObjective
from tcsm.objectives.distribution import SoftDistributionMatching
from tcsm.runs.cached_teacher import CachedTeacher
from tcsm.runs.identity import contents
from tcsm.runs.models import take_over, unwrap
from tcsm.runs.parts import Parts
from tcsm.runs.run import Run
from tcsm.runs.toy_target import TargetDistribution, finite
from tcsm.toy.base import World, all_sequences
from tcsm.toy.tilting import Tilting
from tcsm.training.checkpoint import digest
from tcsm.training.devices import Devices
from tcsm.training.state import TrainState, assign, named_tensors

# Keys of runs of text, which a run in a toy world leaves null.
OF_TEXT = ("corpus", "tokenizer", "bound", "reference", "collected", "teacher_run", "pretrained")


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


def toy_parts(cfg: DictConfig, devices: Devices) -> Parts:
    """Return the parts of a training in a toy world.

    Raises:
        InputError: Keys of runs of text are set, sizes do not fit the world, the initial run is of
            another world or network, or post-training has none.
    """
    world = open_world(cfg)
    model = initial_model(cfg, world)
    objective: Objective = build(cfg.objective)
    fresh = Fresh(world, cfg.data.batch, cfg.seed)
    context = DataContext(fresh, fresh.size, world.length, fresh.seed, model)
    distances: Callable[[Tensor], Record] = partial(world_distances, world)
    facts: Callable[[], Record] = dict
    if cfg.tilting is not None:
        target = open_target(cfg, world, model)
        reward = CountedReward(target.tilting)
        objective = attach_models(objective, model, target, reward)
        context = Explored(**vars(context), reward=reward, base=target.base)
        distances, facts = target.distances, reward.facts
    source: BatchSource = build(cfg.feed)
    return Parts(
        model=model,
        objective=objective,
        teacher=CachedTeacher(),
        batches=source.open(context),
        validation=ExactValidation(copy.deepcopy(model), world.length, distances),
        contents=contents(cfg, devices, {"initial": digest(named_tensors(model))}),
        facts=facts,
    )


def open_world(cfg: DictConfig) -> World:
    """Return the world of a run.

    Raises:
        InputError: The run names text as well, or sequences of another length.
    """
    world: World = build(cfg.world)
    for key in OF_TEXT:
        if cfg.get(key) is not None:
            raise InputError(
                f"{key}: must be null in a toy world, whose samples are the training data; set "
                f"{key}=null or world=null"
            )
    if cfg.data.length != world.length:
        raise InputError(f"data.length must be {world.length}, as world, got {cfg.data.length}")
    return world


def initial_model(cfg: DictConfig, world: World) -> nn.Module:
    """Return the model of a run with its initial weights.

    Raises:
        InputError: A network of another vocabulary; an initial run of another world or network.
    """
    torch.manual_seed(cfg.seed)
    model: nn.Module = build(cfg.model)
    if (size := unwrap(model).vocabulary) != world.vocabulary:
        raise InputError(f"model.net.vocabulary must be {world.vocabulary}, as world, got {size}")
    if cfg.initial is None:
        return model
    folder = Path(cfg.initial)
    run = Run(folder).require_trained("initial")
    if run.get("world") != cfg.world:
        name = OmegaConf.select(run, "world._target_") or "no world"
        raise InputError(
            f"initial: {folder} was trained in another world ({name}) than the key world names"
        )
    take_over(model, folder)
    return model


def open_target(cfg: DictConfig, world: World, model: nn.Module) -> TargetDistribution:
    """Return the target of post-training from a model's exact distribution.

    Raises:
        InputError: No initial run is named.
    """
    tilting: Tilting = build(cfg.tilting)
    if cfg.initial is None:
        raise InputError(
            "initial: found null; post-training needs the folder of a run in the same world"
        )
    distribution = enumeration.log_distribution(copy.deepcopy(model).eval(), world.length)
    return TargetDistribution(world, tilting, torch.log_softmax(distribution, 0))


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


def world_distances(world: World, distribution: Float64[Tensor, "N"]) -> dict[str, float | None]:
    """Return KL(p₁ ‖ q) in nats, None if it is infinite."""
    return {"kl": finite(enumeration.kl(world.log_p, distribution))}
