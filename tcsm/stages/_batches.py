"""The initial weights of a training, and its batches."""

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


def load_initial(cfg: DictConfig, model: nn.Module, tokenizer: Tokenizer) -> None:
    """Load the weights of the run that the key ``initial`` names, if it names one.

    A density ratio loads all but the last layer, whose outputs are no distribution of tokens.

    Raises:
        InputError: No such run, one of another network, or of another tokenizer.
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
        model.reset_head()


def open_batches(
    cfg: DictConfig,
    corpus: WindowBatches,
    model: nn.Module,
    tokenizer: Tokenizer,
    objective: Objective,
) -> Batches:
    """Return the batches of a run.

    Raises:
        InputError: Data that the batch source needs is missing, damaged, or of other sizes; its
            rows
            are pairs, which the objective would read as texts.
    """
    buffer = None if cfg.collected is None else read_buffer(Path(cfg.collected), tokenizer)
    source: BatchSource = build(cfg.feed)
    if isinstance(source, Pairs | PairFile) and not hasattr(objective, "length"):
        name = type(objective).__name__
        raise InputError(
            f"feed: {type(source).__name__} gives pairs, but objective {name} reads texts; "
            "set objective=preference_paired, preference_unpaired or preference_winners"
        )
    size, length, seed = corpus.batch, corpus.length, corpus.seed
    return source.open(DataContext(corpus, size, length, seed, model, tokenizer, buffer))


def weights_named(model: nn.Module, objective: Objective) -> dict[str, str]:
    """Return key → digest of the initial weights and of the reference's weights."""
    digests = {"initial": digest(named_tensors(model))}
    if isinstance(objective, ReferenceObjective):
        digests["reference"] = digest(named_tensors(objective.require_reference()))
    return digests
