"""The sequences of a collection: samples of a frozen model, or windows of the training text."""

import sys
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float64, Int64
from omegaconf import DictConfig
from torch import Tensor, nn

from tcsm.config import build
from tcsm.data.batches import WindowBatches
from tcsm.data.tilts import LOW, relative_ess
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.evaluation.ordered import log_along
from tcsm.models.factorized import Factorized
from tcsm.noise import fold
from tcsm.runs.batches import open_split
from tcsm.runs.drafts import Tensors, draft, of_keys, of_model
from tcsm.runs.teachers import of_run
from tcsm.samplers.base import PathSampler, Sampler
from tcsm.samplers.first_hitting import FirstHitting
from tcsm.training.devices import Devices


@dataclass(frozen=True)
class Drawn:
    """Sequences with their log importance weights and their cost.

    Attributes:
        tokens: The sequences.
        log_weight: log w, nats.
        calls: Number of forward passes over a batch.
    """

    tokens: Int64[Tensor, "N L"]
    log_weight: Float64[Tensor, "N"]
    calls: int = 0


def windows(cfg: DictConfig, tokenizer: Tokenizer) -> Drawn:
    """Return windows of the training text, each once before any is repeated.

    Raises:
        InputError: The corpus holds prompts with responses.
    """
    file, count = open_split(cfg, tokenizer, "train"), cfg.collecting.count
    if file.header.roles:
        raise InputError(f"collecting.corpus: found true, but {file.path} holds examples, no text")
    windows = WindowBatches(file.tokens, cfg.data.length, count, cfg.seed).at(0).tokens
    return Drawn(windows, torch.zeros(count, dtype=torch.float64))


def draw(cfg: DictConfig, tokenizer: Tokenizer, devices: Devices) -> Drawn:
    """Return samples of the reference, with importance weights towards the base.

    Raises:
        InputError: A run is missing or reads other tokens, or the sampler does not fit the model.
    """
    model = of_run("reference", cfg.reference, cfg.data.length, tokenizer, devices)
    base = (
        None if cfg.base is None else of_run("base", cfg.base, cfg.data.length, tokenizer, devices)
    )
    sampler = sampler_of(build(cfg.sampler), model, cfg.collecting.steps)
    if base is not None:
        _check_weighed((model, base), sampler)
    digests = [of_model(one, devices) for one in (model, base) if one is not None]
    kept = draft(Path(cfg.out), "collect", of_keys(cfg, "sampler", "collecting"), *digests)

    def batches() -> Tensors:
        with devices.autocast():
            return _batches(cfg, (model, base), sampler)

    tensors = kept.load_or_draw(batches)
    drawn = Drawn(tensors["tokens"], tensors["log_weight"], int(tensors["calls"]))
    _warn(drawn.log_weight)
    return drawn


def _batches(
    cfg: DictConfig, models: tuple[nn.Module, nn.Module | None], sampler: Sampler
) -> Tensors:
    """Return all samples, their log-weights and the number of forward passes."""
    model, base = models
    parts = []
    for first in range(0, cfg.collecting.count, cfg.collecting.batch):
        count = min(cfg.collecting.batch, cfg.collecting.count - first)
        seed = int(fold(cfg.seed, zlib.crc32(b"collect"), first))
        sampled = sampler(model, count, cfg.data.length, seed)
        part = Drawn(sampled.tokens, torch.zeros(count).double(), sampled.network_calls)
        parts.append(part if base is None else weighed(part, (model, base), sampler, seed))
    return {
        "tokens": torch.cat([part.tokens.cpu() for part in parts]),
        "log_weight": torch.cat([part.log_weight.cpu() for part in parts]),
        "calls": torch.tensor(sum(part.calls for part in parts)),
    }


def sampler_of(sampler: Sampler, model: nn.Module, steps: int) -> Sampler:
    """Return a sampler with this number of steps, on the path of the model."""
    sampler = replace(sampler, steps=steps)
    if isinstance(sampler, PathSampler):
        sampler = replace(sampler, path=getattr(model, "path", sampler.path))
    return sampler


def weighed(
    drawn: Drawn, models: tuple[nn.Module, nn.Module], sampler: Sampler, seed: int
) -> Drawn:
    """Return draws with log w = log p_base(x | order) − log p_θ(x | order), in their order.

    Args:
        drawn: Draws from θ.
        models: θ and the base.
        sampler: The sampler of the draws.
        seed: The seed of the draws.

    Raises:
        InputError: The order is unknown, or a model has no marginals.
    """
    walk, factorized = _check_weighed(models, sampler)
    x = drawn.tokens
    count, length = x.shape
    unmasking = walk.unmasking(count, length, seed, x.device)
    t = walk.path.schedule.inverse(unmasking.level)
    log_p = []
    for model in factorized:
        log_p.append(log_along(model, x, unmasking.order, t, unmasking.at_once))
    drawn_log_p, base_log_p = log_p
    return Drawn(x, base_log_p - drawn_log_p, 3 * drawn.calls)


def _check_weighed(
    models: tuple[nn.Module, nn.Module], sampler: Sampler
) -> tuple[FirstHitting, list[Factorized]]:
    """Return a sampler with a known order, and models that have marginals.

    Raises:
        InputError: Others are configured.
    """
    if not isinstance(sampler, FirstHitting):
        name = type(sampler).__name__
        raise InputError(f"base: its weights need sampler=first_hitting, found {name}")
    factorized = [model for model in models if isinstance(model, Factorized)]
    if len(factorized) < len(models):
        kinds = ", ".join(type(model).__name__ for model in models)
        raise InputError(f"base: its weights need two factorized models, found {kinds}")
    return sampler, factorized


def _warn(log_weight: Float64[Tensor, "N"]) -> None:
    """Warn if the importance weights have a small effective sample size."""
    ess = relative_ess(log_weight)
    if ess < LOW:
        print(
            f"tcsm: collect: relative effective sample size {ess:.3f} of the importance weights; "
            "the reference is far from the base: collect more, or refresh by stages (base=null)",
            file=sys.stderr,
        )
