"""Where the sequences of a collection come from: a frozen model, or the training text."""

import sys
import zlib
from dataclasses import dataclass, replace

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
from tcsm.noise import fold
from tcsm.posteriors.factorized import Factorized
from tcsm.samplers.base import PathSampler, Sampler
from tcsm.samplers.first_hitting import FirstHitting
from tcsm.stages._drafts import Tensors, draft, of_model
from tcsm.stages._shared import open_split
from tcsm.stages._teaching import of_run
from tcsm.training.devices import Devices


@dataclass(frozen=True)
class Drawn:
    """Sequences, how much each counts before any reward, and what they cost.

    Attributes:
        tokens: the sequences.
        log_weight: log w, nats.
        calls: passes of networks over a batch.
    """

    tokens: Int64[Tensor, "N L"]
    log_weight: Float64[Tensor, "N"]
    calls: int = 0


def windows(cfg: DictConfig, tokenizer: Tokenizer) -> Drawn:
    """Windows of the training text, each once before any comes twice."""
    tokens = open_split(cfg, tokenizer, "train").tokens
    count = cfg.collecting.count
    windows = WindowBatches(tokens, cfg.data.length, count, cfg.seed).at(0).tokens
    return Drawn(windows, torch.zeros(count, dtype=torch.float64))


def draw(cfg: DictConfig, tokenizer: Tokenizer, devices: Devices) -> Drawn:
    """Samples of the reference, batch by batch, with their importance for the base.

    Raises:
        InputError: a run is missing, reads other tokens, or is not what the sampler walks.
    """
    model = of_run("reference", cfg, tokenizer, devices)
    base = None if cfg.base is None else of_run("base", cfg, tokenizer, devices)
    sampler = sampler_of(cfg, model, cfg.collecting.steps)
    if base is not None:
        _check_weighed((model, base), sampler)
    digests = [of_model(one, devices) for one in (model, base) if one is not None]
    kept = draft(cfg, "collect", ("sampler", "collecting"), *digests)

    def batches() -> Tensors:
        with devices.autocast():
            return _batches(cfg, (model, base), sampler)

    found = kept.taken(batches)
    drawn = Drawn(found["tokens"], found["log_weight"], int(found["calls"]))
    _warn(drawn.log_weight)
    return drawn


def _batches(
    cfg: DictConfig, models: tuple[nn.Module, nn.Module | None], sampler: Sampler
) -> Tensors:
    """All samples, their log-weights and the calls of the networks, batch by batch."""
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


def sampler_of(cfg: DictConfig, model: nn.Module, steps: int) -> Sampler:
    """The configured sampler in so many steps, on the path of the model that it asks."""
    sampler: Sampler = replace(build(cfg.sampler), steps=steps)
    if isinstance(sampler, PathSampler):
        sampler = replace(sampler, path=getattr(model, "path", sampler.path))
    return sampler


def weighed(
    drawn: Drawn, models: tuple[nn.Module, nn.Module], sampler: Sampler, seed: int
) -> Drawn:
    """With log w = log p_base(x | order) − log p_θ(x | order), in the order of the sampler.

    Args:
        drawn: what θ drew.
        models: θ, and the base.
        sampler: with which θ drew.
        seed: with which it did.

    Raises:
        InputError: the order is not known, or a model has no marginals.
    """
    walk, factorized = _check_weighed(models, sampler)
    x = drawn.tokens
    count, length = x.shape
    opening = walk.opening(count, length, seed, x.device)
    t = walk.path.schedule.inverse(opening.level)
    found = []
    for model in factorized:
        found.append(log_along(model, x, opening.order, t, opening.at_once))
    theirs, wanted = found
    return Drawn(x, wanted - theirs, 3 * drawn.calls)


def _check_weighed(
    models: tuple[nn.Module, nn.Module], sampler: Sampler
) -> tuple[FirstHitting, list[Factorized]]:
    """A sampler whose order is known, and models that have marginals.

    Raises:
        InputError: they are others.
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
    """Say so when the reference has left the base far behind."""
    ess = relative_ess(log_weight)
    if ess < LOW:
        print(
            f"tcsm: collect: relative effective sample size {ess:.3f} of the importance weights; "
            "the reference is far from the base: collect more, or refresh by stages (base=null)",
            file=sys.stderr,
        )
