"""The teacher of a student: the model of another run, or a checkpoint of the Hub."""

import hashlib
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from tcsm.config import build
from tcsm.data.source import difference, source_of
from tcsm.data.tokenizers import HuggingFace, Tokenizer
from tcsm.errors import InputError
from tcsm.huggingface import one_line, quiet
from tcsm.objectives.base import Objective, ReferenceObjective
from tcsm.objectives.distribution import SoftDistributionMatching
from tcsm.process.sources import Mask
from tcsm.runs.cached_teacher import CachedTeacher, prune
from tcsm.runs.models import build_model, load_model, unwrap
from tcsm.runs.run import Run, hashes
from tcsm.targets.adapters import JointlyMasked, TeacherAdapter
from tcsm.training.checkpoint import digest
from tcsm.training.devices import Devices
from tcsm.training.state import named_tensors


def load_objective(
    cfg: DictConfig, tokenizer: Tokenizer, devices: Devices
) -> tuple[Objective, CachedTeacher]:
    """Return the objective of a run with its teacher or reference, and the cached teacher.

    Raises:
        InputError: A teacher or a reference is missing, does not fit, or is not used.
    """
    objective: Objective = build(cfg.objective)
    _same_corpus(cfg)
    if isinstance(objective, SoftDistributionMatching):
        adapter, source = objective.target.teacher, objective.target.path.source
        assert isinstance(adapter, TeacherAdapter)
        if isinstance(adapter, JointlyMasked) and not isinstance(source, Mask):
            raise InputError("teacher=together masks positions, which needs path=mask")
        cache = pruned(cfg.targets.cache, cfg.targets.limit_mib, devices)
        teacher = cached(cache, adapter, teacher_model(cfg, tokenizer, devices), devices)
        return objective.attach(teacher), teacher
    if isinstance(objective, ReferenceObjective):
        if cfg.reference is not None:
            reference = of_run("reference", cfg.reference, cfg.data.length, tokenizer, devices)
            objective = objective.attach(reference)
        objective.require_reference()
    if cfg.teacher_run is not None or cfg.pretrained is not None:
        name = type(objective).__name__
        raise InputError(f"teacher_run: {name} uses no teacher; set objective=soft, or null here")
    return objective, CachedTeacher()


def _same_corpus(cfg: DictConfig) -> None:
    """Refuse a reference of another corpus: a ratio to it would learn the other text.

    Raises:
        InputError: The reference was trained on another corpus.
    """
    if cfg.reference is None:
        return
    reference = Run(Path(cfg.reference))
    run = reference.require_trained("reference")
    splits = reference.record().get("splits_sha256")
    same = splits is not None and splits == hashes(Path(cfg.data.root), splits)
    if same or "corpus" not in run:
        return  # the same tokens; their text may have moved
    known, wanted = (source_of(build(config.corpus)) for config in (run, cfg))
    if differs := difference(known, wanted):
        raise InputError(f"reference: {cfg.reference} was trained on {differs}")


def pruned(cache: str | None, limit_mib: int, devices: Devices) -> Path | None:
    """Return the folder of cached targets without the oldest files beyond its largest size."""
    if cache is not None and devices.main:
        prune(Path(cache), limit_mib * 2**20)
    return None if cache is None else Path(cache)


def cached(
    cache: Path | None,
    adapter: TeacherAdapter,
    model: nn.Module,
    devices: Devices,
    precision: torch.dtype = torch.float16,
) -> CachedTeacher:
    """Return the teacher of a model, cached in a folder."""
    parts = [
        digest(named_tensors(model)),
        str(model),
        str(adapter),
        devices.device.type,
        str(devices.bf16),
    ]
    identity = hashlib.sha256("\n".join([*parts, str(precision)]).encode()).hexdigest()
    return CachedTeacher(adapter.attach(model), identity, cache, precision)


def teacher_model(cfg: DictConfig, tokenizer: Tokenizer, devices: Devices) -> nn.Module:
    """Return the teacher's model.

    Raises:
        InputError: None or two are named; it reads other tokens, or shorter texts.
    """
    if (cfg.teacher_run is None) == (cfg.pretrained is None):
        named = "null" if cfg.teacher_run is None else "pretrained, too"
        raise InputError(
            f"teacher_run: found {named}; name the folder of a teacher's run, or set pretrained"
        )
    if cfg.teacher_run is not None:
        return of_run("teacher_run", cfg.teacher_run, cfg.data.length, tokenizer, devices)
    _same_numbers(cfg, tokenizer)
    model = build_model(OmegaConf.create({"model": cfg.pretrained}), tokenizer, "pretrained")
    return _asked(_frozen(model.to(devices.device).eval(), cfg.data.length), cfg)


@torch.no_grad()
def _asked(model: nn.Module, cfg: DictConfig) -> nn.Module:
    """Return a checkpoint's model after one pass over a text of the wanted length.

    Raises:
        InputError: It fails, e.g. for a length that it cannot place.
    """
    x = torch.zeros(1, cfg.data.length, dtype=torch.int64, device=next(model.parameters()).device)
    place = f"pretrained.net.name: {cfg.pretrained.net.name} cannot read data.length="
    with one_line(f"{place}{cfg.data.length} tokens"), quiet():
        unwrap(model)(x, None, torch.ones_like(x, dtype=torch.bool))
    return model


def _same_numbers(cfg: DictConfig, tokenizer: Tokenizer) -> None:
    """Refuse a checkpoint with our token ids whose own tokenizer differs from ours."""
    name, tokens = cfg.pretrained.net.name, cfg.pretrained.net.get("tokens")
    if tokens is None and isinstance(tokenizer, HuggingFace):
        revision = cfg.pretrained.net.get("revision", "main")
        try:
            other = HuggingFace(name, tokenizer.size, revision)
        except InputError as error:
            reason = str(error).removeprefix("tokenizer.path: ")
            raise InputError(f"pretrained.net.name: {reason}") from None
        if other.fingerprint != tokenizer.fingerprint:
            raise InputError(
                f"pretrained.net.name: {name} has another tokenizer than {tokenizer.name}"
            )


def of_run(
    key: str, name: str | Path, length: int, tokenizer: Tokenizer, devices: Devices
) -> nn.Module:
    """Return the model of the run whose folder a key holds, frozen.

    Args:
        key: The key, for errors.
        name: The folder.
        length: Tokens of the texts that it will read.
        tokenizer: Tokenizer of these texts.
        devices: Where to compute.

    Raises:
        InputError: No such run; it reads other tokens, or shorter texts.
    """
    run = Run(Path(name))
    run.require_tokens(key, tokenizer.fingerprint, tokenizer.name)
    return _frozen(load_model(run, devices), length)


def _frozen(model: nn.Module, length: int) -> nn.Module:
    longest = unwrap(model).longest
    if longest is not None and longest < length:
        raise InputError(
            f"data.length must be {longest} or less, the most that the teacher can place, found "
            f"{length}"
        )
    return model.requires_grad_(False)
