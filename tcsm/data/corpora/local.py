"""Text that lies on this machine: one file, or a folder of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tcsm.data.corpora.base import Corpus, Normalize, Splits, check_fractions, cut
from tcsm.errors import InputError


@dataclass(frozen=True)
class LocalText(Corpus):
    """UTF-8 text of a file, or of every file below a folder.

    Each file is cut alone, so that every author of a folder of books is in every split.

    Attributes:
        path: the file or folder; hidden files are passed over.
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
        return Path(self.path).name

    def splits(self) -> Splits:
        """The three parts of all files, in the order of their names.

        Raises:
            InputError: if there is no text.
        """
        texts = [self.normalize(read_text(file)) for file in self._files()]
        if not any(texts):
            raise InputError(f"{self.path}: no text here; corpus.path must name a file with some")
        return cut(self.title, texts, self.fractions)

    def _files(self) -> list[Path]:
        path = Path(self.path)
        if not path.exists():
            raise InputError(f"{path}: no such file or folder (corpus.path)")
        below = (file for file in path.rglob("*") if not file.name.startswith("."))
        return sorted(file for file in below if file.is_file()) if path.is_dir() else [path]


def read_text(file: Path) -> str:
    """The UTF-8 text of a file.

    Raises:
        InputError: if it cannot be read or is no UTF-8.
    """
    try:
        return file.read_bytes().decode()
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not UTF-8 at byte {error.start}; convert it first") from error
