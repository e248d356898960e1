"""The text of a run, and the batches of a training."""

from pathlib import Path

from omegaconf import DictConfig
from torch import nn

from tcsm.config import build
from tcsm.data.batch_sources import Batches, BatchSource, DataContext
from tcsm.data.batches import WindowBatches
from tcsm.data.buffer import read_buffer
from tcsm.data.examples import ExampleBatches
from tcsm.data.header import elsewhere
from tcsm.data.pairs import PairFile, Pairs
from tcsm.data.source import difference, moved, source_of
from tcsm.data.tokenfile import TokenFile, open_tokens
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.objectives.base import Objective


def open_split(cfg: DictConfig, tokenizer: Tokenizer, split: str) -> TokenFile:
    """Return the token file of a split, checked against tokenizer and corpus.

    Raises:
        InputError: It cannot be used, or was made from another corpus; the key that differs.
    """
    path = Path(cfg.data.root) / f"{split}.tok"
    tokens, source = open_tokens(path, tokenizer), source_of(build(cfg.corpus))
    if not tokens.header.source:
        raise InputError(f"{path}: does not say what it was made from; run prepare again")
    if differs := difference(tokens.header.source, source):
        ways = [f"set {line}" for line in moved(tokens.header.source, source)]
        way = " or ".join([*ways, f"run prepare again{elsewhere()}"])
        raise InputError(f"{path}: made from {differs}; {way}")
    return tokens


def open_batches(
    cfg: DictConfig,
    corpus: WindowBatches | ExampleBatches,
    model: nn.Module,
    tokenizer: Tokenizer,
    objective: Objective,
) -> Batches:
    """Return the batches of a run.

    Raises:
        InputError: Data that the batch source needs is missing, damaged, or of other sizes; its
            rows are pairs, which the objective would read as texts.
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
