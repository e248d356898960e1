"""The contract of labeled texts: two halves, for a reward and for its judge, without overlap.

A text's half, and whether it is held out there, are functions of the text alone, so that two equal
texts are on one side.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Int64

from tcsm.data.corpora.base import Normalize
from tcsm.data.tally import Tally
from tcsm.errors import InputError

SPLITS = ("train", "test")


@dataclass
class Examples:
    """Texts with their labels, 1 or 0."""

    texts: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def array(self) -> Int64[np.ndarray, "N"]:
        """Return the labels."""
        return np.array(self.labels, dtype=np.int64)


@dataclass(frozen=True)
class Side:
    """The part of a text: half 0 or 1, in it "train" or "test"."""

    half: int
    split: str


class Labels(ABC):
    """A source of labeled texts.

    Attributes:
        normalize: The normalization.
        length: Characters of a piece; None for complete texts.
        held_out: Share of the texts of a half that are its test.
    """

    normalize: Normalize
    length: int | None
    held_out: float

    @property
    @abstractmethod
    def title(self) -> str:
        """Return the name in records."""

    @abstractmethod
    def rows(self) -> Iterator[tuple[str, int]]:
        """Yield every text, normalized, with its label."""

    def __post_init__(self) -> None:
        if self.length is not None and self.length < 1:
            raise InputError(f"labels.length must be 1 or more, or null; found {self.length}")
        if not 0 < self.held_out < 1:
            raise InputError(f"labels.held_out must lie in (0, 1), found {self.held_out}")

    @cached_property
    def tally(self) -> Tally:
        """Return the normalization, which counts what it drops."""
        advice = "to keep all, set labels.normalize.path=tcsm.data.normalize.verbatim"
        return Tally(self.normalize, advice)

    def pieces(self, texts: Iterable[str]) -> Iterator[str]:
        """Return the windows of the texts of one label."""
        return (piece for text in texts for piece in windows(text, self.length))

    def side(self, text: str) -> Side:
        """Return the side of a text."""
        digest = hashlib.sha256(text.encode()).digest()
        chance = int.from_bytes(digest[1:5]) / 2**32
        return Side(digest[0] % 2, SPLITS[chance < self.held_out])

    def half(self, number: int) -> dict[str, Examples]:
        """Return the pieces of a half, "train" and "test".

        Raises:
            InputError: An invalid text, or a side without one of the labels.
        """
        texts_of: dict[tuple[str, int], list[str]] = {(s, y): [] for s in SPLITS for y in (0, 1)}
        for text, label in self.rows():
            side = self.side(text)
            if side.half == number:
                texts_of[side.split, label].append(text)
        examples = {split: Examples() for split in SPLITS}
        for (split, label), texts in texts_of.items():
            pieces = list(self.pieces(texts))
            if not pieces:
                raise InputError(
                    f"labels {self.title}: half {number} has no text of label {label} to {split} "
                    "with; more texts are needed, or a larger labels.held_out"
                )
            examples[split].texts += pieces
            examples[split].labels += [label] * len(pieces)
        return examples


def windows(text: str, length: int | None) -> Iterator[str]:
    """Return windows of a text without overlap; a rest of less than half a window is left out.

    A text shorter than that is one window.
    """
    if length is None or 2 * len(text) < length:
        yield text
        return
    for start in range(0, len(text) - (length - 1) // 2, length):
        yield text[start : start + length]


def labeled(tally: Tally, text: object, label: object, where: str) -> tuple[str, int]:
    """Return a row, checked.

    Raises:
        InputError: No text, or a label that is neither 0 nor 1.
    """
    if not isinstance(text, str):
        raise InputError(f"{where}: its text is {text!r:.60}, expected a string")
    if label not in (0, 1):
        raise InputError(f"{where}: its label is {label!r:.60}, expected 0 or 1")
    kept = tally(text)
    if not kept:
        way = f" by normalization {tally.name}; {tally.advice}" if text.strip() else ""
        raise InputError(f"{where}: nothing remains of its text {text[:40]!r}{way}")
    return kept, int(label == 1)
