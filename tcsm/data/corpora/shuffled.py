"""Another corpus with its words in random order: its spelling without its grammar."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tcsm.data.corpora.base import Corpus, Splits


@dataclass(frozen=True)
class Shuffled(Corpus):
    """Every document's words, permuted: the same letters and words, no relation between two.

    Attributes:
        corpus: what is shuffled.
        seed: of the order.
    """

    corpus: Corpus
    seed: int = 0

    @property
    def title(self) -> str:
        """That of the corpus, with the seed."""
        return f"{self.corpus.title}-shuffled-{self.seed}"

    def files(self) -> tuple[Path, ...]:
        """Those of the corpus."""
        return self.corpus.files()

    def notes(self) -> list[str]:
        """Those of the corpus."""
        return self.corpus.notes()

    def splits(self) -> Splits:
        """Those of the corpus, each document by itself."""
        return {
            split: self._shuffled(split, texts) for split, texts in self.corpus.splits().items()
        }

    def _shuffled(self, split: str, texts: Iterable[str]) -> Iterator[str]:
        for number, text in enumerate(texts):
            words = text.split(" ")
            random.Random(f"{self.seed} {split} {number}").shuffle(words)
            yield " ".join(words)
