"""A corpus becomes three token files, train.tok, valid.tok and test.tok: all of them or none."""

import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, islice, zip_longest
from pathlib import Path

import numpy as np

from tcsm.data.corpora.base import Corpus
from tcsm.data.header import LENGTHS, Header
from tcsm.data.shards import Shards
from tcsm.data.source import source_of
from tcsm.data.tokenfile import describe, open_tokens, write_tokens
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError

_TRIED = 4096  # characters of each split that are tokenized and decoded
_AROUND = 12  # characters that a message shows of what came back otherwise


def prepare(corpus: Corpus, shards: Shards, root: str | Path) -> dict[str, Header]:
    """Writes the splits of a corpus below `root` and returns their headers.

    They grow in a folder of their own and move once all are there, so that a corpus that fails
    leaves the former files as they were. The shards are removed at the end; those of a run that
    was stopped stay, and the next one takes them over.

    Raises:
        InputError: there is no text, or one that the tokenizer cannot represent.
    """
    fresh, tokenizer = Path(root) / "unfinished", shards.tokenizer
    source = source_of(corpus)  # before a text is read: what changes later is another one
    try:
        headers = {}
        for split, documents in corpus.splits().items():
            first, texts = _first(documents)
            header = replace(describe(tokenizer, corpus.title, split), source=source)
            header = replace(header, lengths=LENGTHS if tokenizer.measures else "")
            path = fresh / f"{split}.tok"
            headers[split] = write_tokens(path, shards.pieces(texts, header), header)
            _judge(tokenizer, first, path)
        for split in headers:
            os.replace(fresh / f"{split}.tok", Path(root) / f"{split}.tok")
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(shards.folder, ignore_errors=True)
    return headers


def _first(documents: Iterable[str]) -> tuple[str, Iterable[str]]:
    """The beginning of the first document, and all of them."""
    rest = iter(documents)
    found = list(islice(rest, 1))
    return "".join(found)[:_TRIED], chain(found, rest)


def _judge(tokenizer: Tokenizer, text: str, path: Path) -> None:
    """Say on standard error what a tokenizer loses of a split.

    Raises:
        InputError: it knows no token of the split.
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
    if changed := _changed(text, tokenizer.decode(tokenizer.encode(text))):
        words.append(f"decoding gives back {changed}")
    if words:
        print(
            f"tcsm: prepare: {where}: the tokenizer loses text: {'; '.join(words)}",
            file=sys.stderr,
        )


def _changed(text: str, decoded: str) -> str:
    """The first place where two texts differ, or "" if they do not."""
    if text == decoded:
        return ""
    pairs = enumerate(zip_longest(text, decoded))
    at = next(number for number, (one, other) in pairs if one != other)
    found, wanted = (part[at : at + _AROUND] for part in (decoded, text))
    return f"{found!r} for {wanted!r} at character {at}"
