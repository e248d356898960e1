"""The contract of a corpus: documents of text in three splits."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from typing import ClassVar

from tcsm.data.examples import Document
from tcsm.data.tally import Tally, examples
from tcsm.errors import InputError

Normalize = Callable[[str], str]
Splits = dict[str, Iterable[Document]]

_KEEP_ALL = (
    "to keep all, set corpus.normalize.path=tcsm.data.normalize.verbatim and tokenizer=bytes"
)

SPLITS = ("train", "valid", "test")


class Corpus(ABC):
    """A source of text.

    Attributes:
        answers: Whether its documents are prompts with responses.
    """

    answers: ClassVar[bool] = False

    @property
    @abstractmethod
    def title(self) -> str:
        """Return the name in the headers of token files."""

    @abstractmethod
    def splits(self) -> Splits:
        """Return the documents of "train", "valid" and "test"."""

    def files(self) -> tuple[Path, ...]:
        """Return the user's own files that it reads; none for pinned sources such as downloads."""
        return ()

    def notes(self) -> list[str]:
        """Return lines on what was read and dropped, once all documents have been drawn."""
        return []


class Normalized(Corpus):
    """A source of text with a normalization.

    Attributes:
        normalize: The normalization.
    """

    normalize: Normalize

    @cached_property
    def tally(self) -> Tally:
        """Return the normalization, which counts what it drops."""
        return Tally(self.normalize, _KEEP_ALL)

    def notes(self) -> list[str]:
        """Return lines on what the normalization dropped."""
        return self.tally.notes()

    def nothing_kept(self, place: str, key: str) -> InputError:
        """Return the error for a place, named by a key, without any text that is kept."""
        if not (dropped := self.tally.dropped()):
            return InputError(f"{place}: no text here; {key} must name a file with some")
        return InputError(
            f"{place}: no text here that normalization {self.tally.name} keeps, of "
            f"{dropped.total():,} characters such as {examples(dropped)}; {self.tally.advice}"
        )


def check_fractions(fractions: Sequence[float]) -> None:
    """Refuse fractions that are not three positive numbers of sum 1."""
    positive = len(fractions) == len(SPLITS) and all(part > 0 for part in fractions)
    if not positive or not math.isclose(sum(fractions), 1, abs_tol=1e-9):
        raise InputError(
            "corpus.fractions must be three positive numbers that sum to 1 (train, valid, test), "
            f"found {list(fractions)}"
        )


def cut(title: str, texts: Sequence[str], fractions: Sequence[float]) -> Splits:
    """Cut each text by character into contiguous parts: its head to train, its tail to test.

    Raises:
        InputError: A split would have no character.
    """
    parts: dict[str, list[str]] = {split: [] for split in SPLITS}
    for text in texts:
        ends = [0, *(round(len(text) * share) for share in accumulate(fractions))]
        for split, (first, last) in zip(SPLITS, pairwise(ends), strict=True):
            parts[split].append(text[first:last])
    for split, documents in parts.items():
        if not any(documents):
            raise InputError(
                f"corpus {title}: {sum(map(len, texts))} characters leave nothing for the split "
                f"{split!r}; give a longer text"
            )
    return {split: [text for text in documents if text] for split, documents in parts.items()}
