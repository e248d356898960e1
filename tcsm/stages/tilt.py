"""Post-train in a toy world with any batch source and objective; compare with the exact target.

Starts from the run of the key ``initial``, whose exact distribution is p_pre. Writes
``tilt.json``: the distance of the final distribution from p_pre e^{R/β}/Z (10.1) and from that of
the world; its curve, the number of rewards, and distributions as pictures. An objective with a
teacher gets the conditionals of the exact tilted distribution, which only a toy world can provide.
"""

import copy
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from tcsm.config import build
from tcsm.data.batch_sources import BatchSource
from tcsm.errors import InputError
from tcsm.evaluation import enumeration
from tcsm.exploration import CountedReward, Explored
from tcsm.models.teacher import Tabulated
from tcsm.objectives.base import Objective, ReferenceObjective
from tcsm.objectives.distribution import SoftDistributionMatching
from tcsm.runs.exact import Counter, ExactEvaluation, Fresh, descend
from tcsm.runs.loss import Loss
from tcsm.runs.models import take_over, unwrap
from tcsm.runs.run import Run
from tcsm.runs.toy_target import Distribution, TargetDistribution
from tcsm.toy.base import World, all_sequences
from tcsm.training.devices import Devices
from tcsm.training.state import TrainState
from tcsm.training.telemetry import Stopwatch, describe

READS = (
    "experiment",
    "axes",
    "seed",
    "out",
    "world",
    "data.length",
    "data.batch",
    "model",
    "initial",
    "objective",
    "feed",
    "tilting",
    "trainer",
    "devices",
)


def main(cfg: DictConfig, out: Path) -> None:
    """Train and evaluate; write ``config.yaml``, ``metrics.jsonl`` and ``tilt.json``.

    Raises:
        InputError: No initial run, or one of another world or network; more calls of the reward
            than
            allowed; values that do not fit together.
    """
    devices: Devices = build(cfg.devices)
    world: World = build(cfg.world)
    reward = CountedReward(build(cfg.tilting))
    watch = Stopwatch()
    with devices.ready():
        torch.manual_seed(cfg.seed)
        model: nn.Module = build(cfg.model)
        load_initial(cfg, model)
        base = copy.deepcopy(model).eval().requires_grad_(False)
        distribution = torch.log_softmax(enumeration.log_distribution(base, world.length), 0)
        target = TargetDistribution(world, reward.tilting, distribution)
        objective = attach_models(build(cfg.objective), base, target, reward)
        state = TrainState(unwrap(model), build(cfg.trainer), cfg.seed)
        evaluation = ExactEvaluation(world.length, copy.deepcopy(base), state, target.distances)
        counter = Counter()
        counting = unwrap(model).register_forward_pre_hook(counter)
        batches = open_batches(cfg, world, model, reward, target.base)
        loss = Loss(model, objective, cfg.seed)
        finite = descend(state, loss, batches, devices, evaluation, out)
        counting.remove()
        record = {
            "steps": state.step,
            "evaluations": counter.seen,
            "reward_calls": reward.calls,
            "finite": finite,
            "curve": evaluation.curve,
            **target.report(evaluation.distribution() if finite else target.base),
        }
        record = record if finite else _lost(record)
        telemetry = describe(watch, state.tokens, devices.device)
        Run(out, cfg).write("tilt", record, telemetry, ("metrics.jsonl",))


def load_initial(cfg: DictConfig, model: nn.Module) -> None:
    """Load the weights of the run that the key ``initial`` names.

    Raises:
        InputError: None is named, or one of another world or network.
    """
    if cfg.initial is None:
        raise InputError(
            "initial: found null; stage tilt needs the folder of a run of stage exact"
        )
    folder = Path(cfg.initial)
    run = Run(folder).require_trained("initial")
    if run.get("world") != cfg.world:
        name = OmegaConf.select(run, "world._target_") or "no world"
        raise InputError(
            f"initial: {folder} was trained in another world ({name}) than the key world names"
        )
    take_over(model, folder)


def attach_models(
    objective: Objective, base: nn.Module, target: TargetDistribution, reward: CountedReward
) -> Objective:
    """Return the objective with its reference p_pre, or the tilted distribution as teacher."""
    if isinstance(objective, SoftDistributionMatching):
        reward(all_sequences(target.world.vocabulary, target.world.length))
        distribution = target.tilt(target.base).view(
            [target.world.vocabulary] * target.world.length
        )
        return objective.attach(Tabulated(distribution))
    if isinstance(objective, ReferenceObjective):
        return objective.attach(base)
    return objective


def open_batches(
    cfg: DictConfig, world: World, model: nn.Module, reward: CountedReward, base: Distribution
) -> Any:  # noqa: ANN401
    """Return the batches of a run."""
    source: BatchSource = build(cfg.feed)
    size, seed = cfg.data.batch, cfg.seed
    corpus = Fresh(world, size, seed)
    return source.open(Explored(corpus, size, world.length, seed, model, reward=reward, base=base))


def _lost(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record of a run whose numbers became not finite."""
    fields = ("steps", "evaluations", "reward_calls", "finite")
    kept = {key: record[key] for key in (*fields, "curve", "beta", "best_of", "ess")}
    return {**kept, "tv": None, "kl": None, "kl_to_pretrained": None}
