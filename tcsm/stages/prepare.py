"""Text becomes token files: ``data.root``/{train,valid,test}.tok."""

from pathlib import Path

from omegaconf import DictConfig

from tcsm.config import build
from tcsm.data.prepare import prepare

READS = ("out", "corpus", "tokenizer", "data.root")


def main(cfg: DictConfig, out: Path) -> None:
    """Load the corpus, verify it, tokenize it, write it."""
    headers = prepare(build(cfg.corpus), build(cfg.tokenizer), cfg.data.root)
    for split, header in headers.items():
        print(f"{cfg.data.root}/{split}.tok: {header.count:,} tokens of {header.tokenizer}")
