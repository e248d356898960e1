"""Excerpts of a text, to check that a tokenizer loses nothing of it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest

from tcsm.data.examples import Document
from tcsm.data.tokenizers import Tokenizer

_TRIED = 4096  # characters of an excerpt that is tokenized and decoded
_EVERY = 2**20  # characters from one excerpt to the next
_BLOCK = 2**16  # characters that are searched at once for what no excerpt holds
_NEAR = 24  # characters before and after it
_RUNS = {"  ", "\n\n", " \n", "\n "}  # of blanks, which some tokenizers make one of
_AROUND = 12  # characters around a difference that a message shows


@dataclass
class Excerpts:
    """Excerpts of a split: at intervals, and around the first of each character.

    Attributes:
        parts: Position in the split and text of each excerpt.
        held: Characters and runs of blanks in the excerpts.
        size: Characters of the split so far.
    """

    parts: list[tuple[int, str]] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    size: int = 0

    def of(self, documents: Iterable[Document]) -> Iterator[Document]:
        """Yield the documents, taking excerpts of each, of an example of its response."""
        for text in documents:
            self._note(text if isinstance(text, str) else text.response)
            yield text

    def _note(self, text: str) -> None:
        for start in range(-self.size % _EVERY, len(text), _EVERY):
            self._add(text, start, start + _TRIED)
        for start in range(0, len(text), _BLOCK):
            block = text[start : start + _BLOCK]
            for sign in sorted({*block} - self.held) + sorted(_RUNS - self.held):
                if sign not in self.held and (place := block.find(sign)) >= 0:
                    self._add(text, max(0, start + place - _NEAR), start + place + _NEAR)
        self.size += len(text)

    def _add(self, text: str, start: int, end: int) -> None:
        """Add an excerpt, without blanks at its edges unless the text begins or ends there."""
        part = text[start:end]
        if start:
            start, part = start + len(part) - len(part.lstrip()), part.lstrip()
        part = part if end >= len(text) else part.rstrip()
        self.parts.append((self.size + start, part))
        self.held.update(part, (run for run in _RUNS if run in part))

    def changed(self, tokenizer: Tokenizer) -> str:
        """Return the first place where decoding gives another text, "" if there is none."""
        for start, text in self.parts:
            if change := _changed(text, tokenizer.decode(tokenizer.encode(text)), start):
                return change
        return ""


def _changed(text: str, decoded: str, start: int) -> str:
    """Return the first place where two texts differ, or "" if they do not."""
    if text == decoded:
        return ""
    pairs = enumerate(zip_longest(text, decoded))
    at = next(number for number, (one, other) in pairs if one != other)
    actual, expected = (part[at : at + _AROUND] for part in (decoded, text))
    return f"{actual!r} for {expected!r} at character {start + at}"
