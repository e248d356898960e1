"""Text that lies on this machine: one file, or a folder of them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tcsm.data.corpora import folder
from tcsm.data.corpora.base import Corpus, Normalize, Splits, check_fractions, cut
from tcsm.data.corpora.folder import Listing, kind_of, list_text, shown
from tcsm.data.encoding import MARK, decode
from tcsm.errors import InputError

_REFUSED = {
    folder.ODD: "neither a file nor a folder (corpus.path)",
    folder.OF_RECORDS: "holds records, not prose; write their texts into a .txt file, or rename "
    "it to .txt to read it as it is (corpus.path)",
    folder.OF_ARCHIVES: "compressed; unpack it first (corpus.path)",
    folder.BINARY: "a binary file, no text (corpus.path)",
}


@dataclass(frozen=True)
class LocalText(Corpus):
    """UTF-8 text of a file, or of every text file below a folder; byte order marks are left out.

    Each file is cut alone, so that every author of a folder of books is in every split.

    Attributes:
        path: the file or folder; `list_text` says what is left out of a folder.
        normalize: which symbols are kept.
        fractions: train, valid and test of each file, contiguous by character.
    """

    path: str | Path
    normalize: Normalize
    fractions: Sequence[float] = (0.9, 0.05, 0.05)

    def __post_init__(self) -> None:
        check_fractions(self.fractions)

    @property
    def title(self) -> str:
        """The last part of the path."""
        return Path(os.path.abspath(self.path)).name

    def files(self) -> tuple[Path, ...]:
        """The files that `splits` reads, in the order of their paths.

        Raises:
            InputError: there is no such path, or a file that is no text.
        """
        return self._listing.files

    def splits(self) -> Splits:
        """The three parts of all files, in the order of their paths.

        Raises:
            InputError: if there is no text.
        """
        texts = [self.normalize(read_text(file)) for file in self.files()]
        if not any(texts):
            raise InputError(f"{self.path}: no text here; corpus.path must name a file with some")
        return cut(self.title, texts, self.fractions)

    @cached_property
    def _listing(self) -> Listing:
        path = Path(self.path)
        if not path.exists():
            raise InputError(f"{shown(path)}: no such file or folder (corpus.path)")
        if path.is_dir():
            return list_text(path)
        kind = kind_of(path)
        if kind in _REFUSED:
            raise InputError(f"{shown(path)}: {_REFUSED[kind]}")
        return Listing((path,), {})


def read_text(file: Path) -> str:
    """The UTF-8 text of a file, without its byte order marks.

    Files that were joined have some in their middle.

    Raises:
        InputError: if it cannot be read or is no UTF-8.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"{shown(file)}: cannot be read: {error.strerror}") from error
    return decode(content, shown(file)).replace(MARK, "")
