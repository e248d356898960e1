"""A corpus becomes three token files, train.tok, valid.tok and test.tok."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from tcsm.data.corpora.base import Corpus
from tcsm.data.tokenfile import Header, Piece, describe, write_tokens
from tcsm.data.tokenizers import Tokenizer


def prepare(corpus: Corpus, tokenizer: Tokenizer, root: str | Path) -> dict[str, Header]:
    """Writes the splits of a corpus below `root` and returns their headers."""
    return {
        split: write_tokens(
            Path(root) / f"{split}.tok",
            pieces(documents, tokenizer),
            describe(tokenizer, corpus.title, split),
        )
        for split, documents in corpus.splits().items()
    }


def pieces(documents: Iterable[str], tokenizer: Tokenizer) -> Iterator[Piece]:
    """The tokens of each document, and the separator between two of them."""
    separator = np.array([tokenizer.separator], dtype=tokenizer.dtype)
    between = Piece(separator, int(tokenizer.characters(separator[None])[0]))
    for number, text in enumerate(documents):
        if number:
            yield between
        tokens = tokenizer.encode(text)
        yield Piece(tokens, int(tokenizer.characters(tokens[None])[0]))
