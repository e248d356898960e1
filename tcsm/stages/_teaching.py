"""Where a student meets its teacher: the model of another run, or a checkpoint of the Hub."""

import hashlib
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from torch import nn

from tcsm.config import build
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.objectives.base import Objective
from tcsm.objectives.soft import SoftDistributionMatching
from tcsm.stages._answers import Answers, make_room
from tcsm.stages._shared import bare, build_model, load_model, open_run
from tcsm.teachers.ways import Way
from tcsm.training.checkpoint import digest
from tcsm.training.devices import Devices
from tcsm.training.state import named


def taught(cfg: DictConfig, tokenizer: Tokenizer, devices: Devices) -> tuple[Objective, Answers]:
    """The objective of a run, with its teacher if it needs one, and what the teacher says.

    Raises:
        InputError: a teacher is missing, does not fit, or has nobody to teach.
    """
    objective: Objective = build(cfg.objective)
    if isinstance(objective, SoftDistributionMatching):
        answers = ask(cfg, cfg.objective.target.teacher, tokenizer, devices)
        return objective.taught_by(answers), answers
    if cfg.teacher_run is not None or cfg.pretrained is not None:
        name = type(objective).__name__
        raise InputError(f"teacher_run: {name} asks no teacher; set objective=soft, or null here")
    return objective, Answers()


def ask(cfg: DictConfig, way: DictConfig, tokenizer: Tokenizer, devices: Devices) -> Answers:
    """The teacher of a run, asked in some way; its answers kept where the run says."""
    model = lent(cfg, tokenizer, devices)
    asked: Way = build(way)
    parts = [digest(named(model)), str(model), OmegaConf.to_yaml(way, resolve=True)]
    parts += [devices.device.type, str(devices.bf16)]
    identity = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    cache = None if cfg.targets.cache is None else Path(cfg.targets.cache)
    if cache is not None and devices.main:
        make_room(cache, cfg.targets.limit_mib * 2**20)
    return Answers(asked(model), identity, cache)


def lent(cfg: DictConfig, tokenizer: Tokenizer, devices: Devices) -> nn.Module:
    """The model that teaches, frozen, on its device.

    Raises:
        InputError: none or two are named; it reads other tokens, or shorter texts.
    """
    if (cfg.teacher_run is None) == (cfg.pretrained is None):
        found = "null" if cfg.teacher_run is None else "pretrained, too"
        raise InputError(
            f"teacher_run: found {found}; name the folder of a teacher's run, or set pretrained"
        )
    model = _of_run(cfg, tokenizer, devices) if cfg.teacher_run else _of_hub(cfg, tokenizer)
    longest = bare(model).longest
    if longest is not None and longest < cfg.data.length:
        raise InputError(
            f"data.length must be {longest} or less, the most that the teacher can place, found "
            f"{cfg.data.length}"
        )
    return model.to(devices.device).eval().requires_grad_(False)


def _of_run(cfg: DictConfig, tokenizer: Tokenizer, devices: Devices) -> nn.Module:
    folder = Path(cfg.teacher_run)
    run = open_run("teacher_run", folder)
    known: Tokenizer = build(run.tokenizer)
    if known.fingerprint != tokenizer.fingerprint:
        raise InputError(
            f"teacher_run: {folder} was trained on tokens of {known.name}, wanted {tokenizer.name}"
        )
    return load_model(run, tokenizer, folder, devices)


def _of_hub(cfg: DictConfig, tokenizer: Tokenizer) -> nn.Module:
    return build_model(OmegaConf.create({"model": cfg.pretrained}), tokenizer)
