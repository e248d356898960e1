"""Tokenize a corpus into three files, train.tok, valid.tok and test.tok: all or none."""

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from tcsm.data.corpora.base import Corpus
from tcsm.data.excerpts import Excerpts
from tcsm.data.header import LENGTHS, ROLES, Header
from tcsm.data.shards import Shards
from tcsm.data.source import source_of
from tcsm.data.tokenfile import describe, open_tokens, write_tokens
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError


def prepare(corpus: Corpus, shards: Shards, root: str | Path) -> dict[str, Header]:
    """Write the splits of a corpus below `root` and return their headers.

    They are written to a folder of their own and moved once all exist, so that a failing corpus
    leaves the former files unchanged. The shards are removed at the end; those of an interrupted
    run stay, and the next run reuses them.

    Raises:
        InputError: There is no text, or one that the tokenizer cannot represent.
    """
    fresh, tokenizer = Path(root) / "unfinished", shards.tokenizer
    source = source_of(corpus)  # before any text is read, so that later changes are noticed
    try:
        headers = {}
        for split, documents in corpus.splits().items():
            excerpts = Excerpts()
            texts = excerpts.of(documents) if tokenizer.measures else documents
            header = replace(describe(tokenizer, corpus.title, split), source=source)
            header = replace(
                header,
                lengths=LENGTHS if tokenizer.measures else "",
                roles=ROLES if corpus.answers else "",
            )
            path = fresh / f"{split}.tok"
            headers[split] = write_tokens(path, shards.pieces(texts, header), header)
            _judge(tokenizer, excerpts, path)
        for split in headers:
            os.replace(fresh / f"{split}.tok", Path(root) / f"{split}.tok")
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(shards.folder, ignore_errors=True)
    return headers


def _judge(tokenizer: Tokenizer, excerpts: Excerpts, path: Path) -> None:
    """Print on stderr what a tokenizer loses of a split.

    Raises:
        InputError: The tokenizer knows no token of the split.
    """
    if not tokenizer.measures:
        return
    file = open_tokens(path, tokenizer)
    count, unknown, other = file.header.count, 0, 0
    for start in range(0, count, 2**22):
        part = file.tokens[start : start + 2**22]
        unknown += int(np.count_nonzero(part == tokenizer.unknown))
        other += int(np.count_nonzero(part == tokenizer.separator))
    where = f"corpus {file.header.corpus}, split {file.header.split!r}"
    if unknown and unknown + other == count:
        raise InputError(
            f"{where}: the tokenizer {tokenizer.name!r} knows none of its {unknown} tokens; "
            "set another tokenizer"
        )
    words = [f"{unknown:,} of {count:,} tokens are unknown"] if unknown else []
    if changed := excerpts.changed(tokenizer):
        words.append(f"decoding gives back {changed}")
    if words:
        print(
            f"tcsm: prepare: {where}: the tokenizer loses text: {'; '.join(words)}",
            file=sys.stderr,
        )
