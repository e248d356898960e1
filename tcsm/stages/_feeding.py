"""Where a training starts, and what it is fed with."""

from pathlib import Path

from omegaconf import DictConfig
from torch import nn

from tcsm.config import build
from tcsm.data.batch_sources import Batches, BatchSource, DataContext
from tcsm.data.batches import WindowBatches
from tcsm.data.buffer import read_buffer
from tcsm.data.pairs import PairFile, Pairs
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.objectives.base import Objective, ReferenceObjective
from tcsm.posteriors.explicit import Explicit
from tcsm.stages._shared import open_run, take_over
from tcsm.training.checkpoint import digest
from tcsm.training.state import named_tensors


def begin_at(cfg: DictConfig, model: nn.Module, tokenizer: Tokenizer) -> None:
    """Give a model the weights of the run that the key ``initial`` names, if it names one.

    A ratio takes over all but the last layer: there it is no law of tokens.

    Raises:
        InputError: no such run, one of another network, or of another tokenizer.
    """
    if cfg.initial is None:
        return
    folder = Path(cfg.initial)
    run = open_run("initial", folder)
    known: Tokenizer = build(run.tokenizer)
    if known.fingerprint != tokenizer.fingerprint:
        raise InputError(
            f"initial: {folder} was trained on tokens of {known.name}, wanted {tokenizer.name}"
        )
    take_over(model, folder)
    if isinstance(model, Explicit):
        model.begin()


def feed(
    cfg: DictConfig,
    corpus: WindowBatches,
    model: nn.Module,
    tokenizer: Tokenizer,
    objective: Objective,
) -> Batches:
    """The batches of a run.

    Raises:
        InputError: what the feed needs is missing, damaged, or of other sizes; its rows are pairs,
            which the objective would take for texts.
    """
    buffer = None if cfg.collected is None else read_buffer(Path(cfg.collected), tokenizer)
    way: BatchSource = build(cfg.feed)
    if isinstance(way, Pairs | PairFile) and not hasattr(objective, "length"):
        name = type(objective).__name__
        raise InputError(
            f"feed: {type(way).__name__} gives pairs, found objective {name}, which reads texts; "
            "set objective=preference_paired, preference_unpaired or preference_winners"
        )
    size, length, seed = corpus.batch, corpus.length, corpus.seed
    return way.open(DataContext(corpus, size, length, seed, model, tokenizer, buffer))


def weights_named(model: nn.Module, objective: Objective) -> dict[str, str]:
    """Key → digest of the weights that a run starts from, and of those that it compares with."""
    found = {"initial": digest(named_tensors(model))}
    if isinstance(objective, ReferenceObjective):
        found["reference"] = digest(named_tensors(objective.frozen()))
    return found
