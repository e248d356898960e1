"""How many characters a normalization drops, and which."""

import sys
from collections import Counter
from collections.abc import Callable

import numpy as np

_CHUNK = 2**20  # characters that are counted at once
_LETTERS, _ALL = 0.01, 0.1  # shares of all characters; more of them dropped is worth a warning


class Tally:
    """A normalization that counts the characters that it drops.

    A character is dropped if nothing but blanks remains of it alone; blanks themselves never are.

    Args:
        normalize: which symbols are kept.
        advice: what to set so that nothing is dropped.
    """

    def __init__(self, normalize: Callable[[str], str], advice: str) -> None:
        self._normalize, self.advice = normalize, advice
        self._counts = np.zeros(sys.maxunicode + 1, dtype=np.int64)
        self._waiting: list[str] = []
        self.characters = 0
        self._counted = 0

    def __call__(self, text: str) -> str:
        """The normalized text."""
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
        """That of the normalization."""
        return str(getattr(self._normalize, "__name__", type(self._normalize).__name__))

    def dropped(self) -> Counter[str]:
        """How often each character was dropped."""
        self._count()
        counts = Counter(
            {chr(code): int(self._counts[code]) for code in self._counts.nonzero()[0]}
        )
        return Counter({char: n for char, n in counts.items() if self._drops(char)})

    def notes(self) -> list[str]:
        """One line about what was dropped, a warning if it is much; none if nothing was."""
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
    """The most frequent characters."""
    return " ".join(repr(char) for char, _ in dropped.most_common(count))
