"""Labeled texts of a file with one JSON object per line, such as reviews."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tcsm.data.corpora.base import Normalize
from tcsm.data.jsonl import read_objects
from tcsm.data.labels.base import Labels, labeled
from tcsm.errors import InputError


@dataclass(frozen=True)
class LabeledJsonl(Labels):
    """The lines of a file; an invalid line refuses the file.

    Attributes:
        path: The file, plain or gzipped.
        text: The key of the text.
        label: The key of its label, 0 or 1.
        normalize: The normalization.
    """

    path: str | Path
    text: str
    label: str
    normalize: Normalize
    length: int | None
    held_out: float = 0.2

    @property
    def title(self) -> str:
        """Return the last part of the path."""
        return Path(self.path).name

    def rows(self) -> Iterator[tuple[str, int]]:
        """Yield the texts in the order of the file.

        Raises:
            InputError: The file cannot be read; or the number of an invalid line, and why.
        """
        keys = (self.text, self.label)
        for where, row in read_objects(Path(self.path), "labels.path", keys):
            for key in keys:
                if key not in row:
                    raise InputError(f"{where}: no key {key!r}; found {', '.join(row) or 'none'}")
            yield labeled(self.tally, row[self.text], row[self.label], where)
