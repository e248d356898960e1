"""A corpus becomes three token files, train.tok, valid.tok and test.tok: all of them or none."""

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from tcsm.data.corpora.base import Corpus
from tcsm.data.tokenfile import Header, Piece, describe, write_tokens
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError


def prepare(corpus: Corpus, tokenizer: Tokenizer, root: str | Path) -> dict[str, Header]:
    """Writes the splits of a corpus below `root` and returns their headers.

    They grow in a folder of their own and move once all are there, so that a corpus that fails
    leaves the former files as they were.
    """
    fresh = Path(root) / "unfinished"
    try:
        headers = {
            split: write_tokens(
                fresh / f"{split}.tok",
                pieces(documents, tokenizer, corpus.title),
                describe(tokenizer, corpus.title, split),
            )
            for split, documents in corpus.splits().items()
        }
        for split in headers:
            os.replace(fresh / f"{split}.tok", Path(root) / f"{split}.tok")
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return headers


def pieces(documents: Iterable[str], tokenizer: Tokenizer, title: str) -> Iterator[Piece]:
    """The tokens of each document, and the separator between two of them.

    Raises:
        InputError: a symbol that the tokenizer does not know, with the title of the corpus.
    """
    separator = np.array([tokenizer.separator], dtype=tokenizer.dtype)
    between = Piece(separator, int(tokenizer.characters(separator[None])[0]))
    for number, text in enumerate(documents):
        if number:
            yield between
        try:
            tokens = tokenizer.encode(text)
        except InputError as error:
            raise InputError(f"corpus {title}: {error}") from error
        yield Piece(tokens, int(tokenizer.characters(tokens[None])[0]))
