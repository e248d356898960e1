"""A corpus with the words of each document in random order: its spelling without grammar."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tcsm.data.corpora.base import Corpus, Splits
from tcsm.data.examples import Document
from tcsm.errors import InputError


@dataclass(frozen=True)
class Shuffled(Corpus):
    """The words of every document, permuted.

    Attributes:
        corpus: The corpus.
        seed: Seed of the order.
    """

    corpus: Corpus
    seed: int = 0

    @property
    def title(self) -> str:
        """Return the title of the corpus, with the seed."""
        return f"{self.corpus.title}-shuffled-{self.seed}"

    def files(self) -> tuple[Path, ...]:
        """Return the files of the corpus."""
        return self.corpus.files()

    def notes(self) -> list[str]:
        """Return the notes of the corpus."""
        return self.corpus.notes()

    def splits(self) -> Splits:
        """Return the splits of the corpus, each document permuted by itself."""
        return {
            split: self._shuffled(split, texts) for split, texts in self.corpus.splits().items()
        }

    def _shuffled(self, split: str, texts: Iterable[Document]) -> Iterator[str]:
        for number, text in enumerate(texts):
            if not isinstance(text, str):
                raise InputError(
                    "corpus.corpus: its documents are prompts with responses, not texts"
                )
            words = text.split(" ")
            random.Random(f"{self.seed} {split} {number}").shuffle(words)
            yield " ".join(words)
