"""Text on this machine: one file, or a folder of files."""

import os
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tcsm.data.corpora import folder
from tcsm.data.corpora.base import Normalize, Normalized, Splits, check_fractions, cut
from tcsm.data.corpora.folder import Listing, kind_of, list_text
from tcsm.data.encoding import MARK, decode, shown
from tcsm.data.packed import unpacked
from tcsm.errors import InputError

_REFUSED = {
    folder.ODD: "neither a file nor a folder (corpus.path)",
    folder.OF_RECORDS: "holds records, not prose; set corpus=records for JSON lines, Parquet and "
    "Arrow, or rename it to .txt to read it as it is (corpus.path)",
    folder.OF_ARCHIVES: "compressed; unpack it, or name it .txt.gz or .txt.zst (corpus.path)",
    folder.BINARY: "a binary file, no text; if it is some, rename it to .txt (corpus.path)",
}


@dataclass(frozen=True)
class LocalText(Normalized):
    """UTF-8 text of a file, or of every text file below a folder, without byte order marks.

    Files may be compressed: .txt.gz and .txt.zst.

    Each file is cut by itself, so that every author of a folder of books is in every split.

    Attributes:
        path: The file or folder; `list_text` defines what is left out of a folder.
        normalize: The normalization.
        fractions: Train, valid and test of each file, contiguous by character.
    """

    path: str | Path
    normalize: Normalize
    fractions: Sequence[float] = (0.9, 0.05, 0.05)

    def __post_init__(self) -> None:
        check_fractions(self.fractions)

    @property
    def title(self) -> str:
        """Return the last part of the path."""
        return shown(Path(os.path.abspath(self.path)).name)

    def files(self) -> tuple[Path, ...]:
        """Return the files that `splits` reads, in the order of their paths.

        Raises:
            InputError: No such path, or a file that is not text.
        """
        return self._listing.files

    def splits(self) -> Splits:
        """Return the three parts of all files, in the order of their paths.

        Raises:
            InputError: There is no text.
        """
        texts = [self._read(file) for file in self.files()]
        if all(not text or text.isspace() for text in texts):
            error = self.nothing_kept(shown(self.path), "corpus.path")
            raise InputError("; ".join([str(error), *self._listing.notes()]))
        return cut(self.title, texts, self.fractions)

    def notes(self) -> list[str]:
        """Return lines on what was read, skipped and why, and dropped by the normalization."""
        files, read = self.files(), self._reading
        name, kinds = shown(self.path), Counter(file.suffix or "no suffix" for file in files)
        if Path(self.path).is_dir():
            endings = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
            name = f"{name}, files: {len(files):,} ({endings})"
        lines = [f"read {name}, characters: {self.tally.characters:,}", *self._listing.notes()]
        if read.emptied:
            kind = f"files of which normalization {self.tally.name} keeps nothing"
            lines += Listing((), {kind: tuple(read.emptied)}).notes()
        if read.marks:
            lines.append(f"left out byte order marks inside of texts: {read.marks:,}")
        if read.returns:
            lines.append(
                f"warning: {read.returns:,} carriage returns of Windows line ends are kept as "
                "characters; to have none, convert the files with dos2unix"
            )
        return lines + super().notes()

    @cached_property
    def _reading(self) -> "_Reading":
        return _Reading()

    def _read(self, file: Path) -> str:
        content = read_text(file)
        text = self.tally(content.replace(MARK, ""))
        self._reading.marks += content.count(MARK)
        self._reading.returns += text.count("\r")
        if not text:
            self._reading.emptied.append(file)
        return text

    @cached_property
    def _listing(self) -> Listing:
        path = Path(self.path)
        if not path.exists():
            raise InputError(f"{shown(self.path)}: no such file or folder (corpus.path)")
        if path.is_dir():
            return list_text(path)
        kind = kind_of(path)
        if kind in _REFUSED:
            raise InputError(f"{shown(path)}: {_REFUSED[kind]}")
        return Listing((path,), {})


@dataclass
class _Reading:
    """Observations while files were read.

    Attributes:
        marks: Byte order marks after the first character, where files were joined.
        returns: Carriage returns that were kept.
        emptied: Files of which nothing was kept.
    """

    marks: int = 0
    returns: int = 0
    emptied: list[Path] = field(default_factory=list)


def read_text(file: Path) -> str:
    """Return the UTF-8 text of a file, without a byte order mark at its beginning.

    Raises:
        InputError: It cannot be read or is not UTF-8.
    """
    try:
        with unpacked(file) as stream:
            content = stream.read()
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{shown(file)}: cannot be read: {reason}") from error
    return decode(content, file)
