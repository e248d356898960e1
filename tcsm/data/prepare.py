"""A corpus becomes three token files, train.tok, valid.tok and test.tok: all of them or none."""

import os
import shutil
from pathlib import Path

from tcsm.data.corpora.base import Corpus
from tcsm.data.shards import Shards
from tcsm.data.tokenfile import Header, describe, write_tokens


def prepare(corpus: Corpus, shards: Shards, root: str | Path) -> dict[str, Header]:
    """Writes the splits of a corpus below `root` and returns their headers.

    They grow in a folder of their own and move once all are there, so that a corpus that fails
    leaves the former files as they were. The shards are removed at the end; those of a run that
    was stopped stay, and the next one takes them over.
    """
    fresh = Path(root) / "unfinished"
    try:
        headers = {}
        for split, documents in corpus.splits().items():
            header = describe(shards.tokenizer, corpus.title, split)
            path = fresh / f"{split}.tok"
            headers[split] = write_tokens(path, shards.pieces(documents, header), header)
        for split in headers:
            os.replace(fresh / f"{split}.tok", Path(root) / f"{split}.tok")
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(shards.folder, ignore_errors=True)
    return headers
