"""Count the characters that a normalization drops."""

import sys
from collections import Counter
from collections.abc import Callable

import numpy as np

_CHUNK = 2**20  # characters counted at once
_LETTERS, _ALL = 0.01, 0.1  # dropped shares of all characters above which there is a warning


class Tally:
    """A normalization that counts the characters that it drops.

    A character is dropped if it becomes nothing but blanks; blanks themselves are never counted.

    Args:
        normalize: The normalization.
        advice: What to set so that nothing is dropped.
    """

    def __init__(self, normalize: Callable[[str], str], advice: str) -> None:
        self._normalize, self.advice = normalize, advice
        self._counts = np.zeros(sys.maxunicode + 1, dtype=np.int64)
        self._waiting: list[str] = []
        self.characters = 0
        self._counted = 0

    def __call__(self, text: str) -> str:
        """Return the normalized text."""
        kept = self._normalize(text)
        self.characters += len(text)
        if kept == text:
            self._counted += len(text)
        else:
            self._waiting.append(text)
        if self.characters - self._counted >= _CHUNK:
            self._count()
        return kept

    @property
    def name(self) -> str:
        """Return the name of the normalization."""
        return str(getattr(self._normalize, "__name__", type(self._normalize).__name__))

    def dropped(self) -> Counter[str]:
        """Return how often each character was dropped."""
        self._count()
        counts = Counter(
            {chr(code): int(self._counts[code]) for code in self._counts.nonzero()[0]}
        )
        return Counter({char: n for char, n in counts.items() if self._drops(char)})

    def notes(self) -> list[str]:
        """Return one line about dropped characters, a warning if there are many; none if none."""
        dropped = self.dropped()
        if not dropped:
            return []
        count, letters = dropped.total(), sum(n for c, n in dropped.items() if c.isalpha())
        line = (
            f"normalization {self.name} dropped {count:,} of {self.characters:,} characters "
            f"({count / self.characters:.1%}), most often {examples(dropped)}"
        )
        if letters < _LETTERS * self.characters and count < _ALL * self.characters:
            return [line]
        return [f"warning: {line}; {letters:,} of them are letters; {self.advice}"]

    def _drops(self, char: str) -> bool:
        return not char.isspace() and not self._normalize(char).strip()

    def _count(self) -> None:
        text = "".join(self._waiting)
        for start in range(0, len(text), _CHUNK):
            part = text[start : start + _CHUNK].encode("utf-32-le", "surrogatepass")
            self._counts += np.bincount(np.frombuffer(part, "<u4"), minlength=len(self._counts))
        self._waiting, self._counted = [], self.characters


def examples(dropped: Counter[str], count: int = 3) -> str:
    """Return the most frequent characters as text."""
    return " ".join(repr(char) for char, _ in dropped.most_common(count))
