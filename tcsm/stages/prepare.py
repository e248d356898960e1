"""Tokenize a corpus into ``data.root``/{train,valid,test}.tok."""

import os
import sys
from pathlib import Path

from omegaconf import DictConfig

from tcsm.config import build
from tcsm.data.corpora.base import Corpus
from tcsm.data.prepare import prepare
from tcsm.data.shards import Shards
from tcsm.errors import InputError

READS = ("out", "corpus", "tokenizer", "data.root")
WRITES = ("data.root", "out")
RESUMES = True
SCRATCH = Path("results/.scratch/prepare")


def main(cfg: DictConfig, out: Path) -> None:
    """Load the corpus, verify it, tokenize it, write it.

    The number of processes, ``TCSM_WORKERS``, is not part of the configuration, since no byte
    depends on it.
    """
    folder = SCRATCH / str(cfg.data.root).strip("/").replace("/", "-")
    shards = Shards(folder, build(cfg.tokenizer), _workers())
    corpus: Corpus = build(cfg.corpus)
    headers = prepare(corpus, shards, cfg.data.root)
    for note in corpus.notes():
        print(f"tcsm: prepare: {note}", file=sys.stderr)
    for split, header in headers.items():
        print(f"{cfg.data.root}/{split}.tok: {header.count:,} tokens of {header.tokenizer}")


def _workers() -> int:
    workers = os.environ.get("TCSM_WORKERS", "1")
    if not workers.isdecimal():
        raise InputError(f"TCSM_WORKERS must be a whole number of 1 or more, found {workers!r}")
    return int(workers)
