"""Post-training in a world: any feed and objective, held against the law that a reward asks for.

Starts from the run of the key ``initial``, whose exact law is p_pre. Writes ``tilt.json``: the
distance of the law in the end from p_pre e^{R/β}/Z (10.1), and from that of the world; its curve,
what the reward was asked, and laws as pictures. An objective that asks a teacher is given the
conditionals of the true tilted law, which a world alone can tell.
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
from tcsm.objectives.base import Objective, ReferenceObjective
from tcsm.objectives.soft import SoftDistributionMatching
from tcsm.posteriors.base import Posterior
from tcsm.reporting.records import write_json
from tcsm.stages._account import account
from tcsm.stages._aim import Aim, Distribution
from tcsm.stages._explore import Asked, Explored
from tcsm.stages._glue import Loss
from tcsm.stages._shared import open_run, take_over, unwrap
from tcsm.stages._world import Counter, Fresh, Truth, descend
from tcsm.teachers.base import Tabulated
from tcsm.training.devices import Devices
from tcsm.training.state import TrainState
from tcsm.training.telemetry import Stopwatch, describe
from tcsm.worlds.base import World, every

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
    """Train and judge; write ``config.yaml``, ``metrics.jsonl`` and ``tilt.json``.

    Raises:
        InputError: no run to start from, or one of another world or network; more calls of the
            reward than there may be; values that do not fit together.
    """
    devices: Devices = build(cfg.devices)
    world: World = build(cfg.world)
    asked = Asked(build(cfg.tilting))
    watch = Stopwatch()
    with devices.ready():
        torch.manual_seed(cfg.seed)
        model: nn.Module = build(cfg.model)
        begin(cfg, model)
        base = copy.deepcopy(model).eval().requires_grad_(False)
        distribution = torch.log_softmax(enumeration.log_distribution(base, world.length), 0)
        aim = Aim(world, asked.tilting, distribution)
        objective = taught(build(cfg.objective), base, aim, asked)
        state = TrainState(unwrap(model), build(cfg.trainer), cfg.seed)
        truth = Truth(world.length, copy.deepcopy(base), state, aim.judge)
        counter = Counter()
        counting = unwrap(model).register_forward_pre_hook(counter)
        fed = feed(cfg, world, model, asked, aim.base)
        loss = Loss(model, objective, cfg.seed)
        finite = descend(state, loss, fed, devices, truth, out)
        counting.remove()
        record = {
            "stage": "tilt",
            "experiment": cfg.experiment,
            "seed": cfg.seed,
            "steps": state.step,
            "evaluations": counter.seen,
            "reward_calls": asked.calls,
            "finite": finite,
            "curve": truth.curve,
            **aim.report(truth.distribution() if finite else aim.base),
        }
        record = record if finite else _lost(record)
        write_json(out / "tilt.json", record, ("metrics.jsonl",))
        telemetry = describe(watch, state.tokens, devices.device)
        account(cfg, out, "tilt", telemetry)


def begin(cfg: DictConfig, model: nn.Module) -> None:
    """Give a model the weights of the run that the key ``initial`` names.

    Raises:
        InputError: none is named, or one of another world or network.
    """
    if cfg.initial is None:
        raise InputError(
            "initial: found null; stage tilt needs the folder of a run of stage exact"
        )
    folder = Path(cfg.initial)
    run = open_run("initial", folder)
    if run.get("world") != cfg.world:
        found = OmegaConf.select(run, "world._target_") or "no world"
        raise InputError(
            f"initial: {folder} was trained in another world ({found}) than the key world says"
        )
    take_over(model, folder)


def taught(objective: Objective, base: nn.Module, aim: Aim, asked: Asked) -> Objective:
    """The objective with what it compares with: p_pre, or the true tilted law as a teacher."""
    if isinstance(objective, SoftDistributionMatching):
        asked(every(aim.world.vocabulary, aim.world.length))
        distribution = aim.tilt(aim.base).view([aim.world.vocabulary] * aim.world.length)
        return objective.with_teacher(Tabulated(distribution))
    if isinstance(objective, ReferenceObjective):
        assert isinstance(base, Posterior)
        return objective.with_reference(base)
    return objective


def feed(cfg: DictConfig, world: World, model: nn.Module, asked: Asked, base: Distribution) -> Any:  # noqa: ANN401
    """The batches of a run."""
    way: BatchSource = build(cfg.feed)
    size, seed = cfg.data.batch, cfg.seed
    corpus = Fresh(world, size, seed)
    return way.open(Explored(corpus, size, world.length, seed, model, asked=asked, base=base))


def _lost(record: dict[str, Any]) -> dict[str, Any]:
    """What is left of a run that met numbers that are not finite."""
    told = ("stage", "experiment", "seed", "steps", "evaluations", "reward_calls", "finite")
    kept = {key: record[key] for key in (*told, "curve", "beta", "best_of", "ess")}
    return {**kept, "tv": None, "kl": None, "kl_to_pretrained": None}
