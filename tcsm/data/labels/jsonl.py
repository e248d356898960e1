"""Labeled texts of a file: one JSON object a line, such as reviews and whether they praise."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tcsm.data.corpora.base import Normalize
from tcsm.data.jsonl import read_objects
from tcsm.data.labels.base import Labels, labeled
from tcsm.errors import InputError


@dataclass(frozen=True)
class LabeledJsonl(Labels):
    """The lines of a file; any of them that is no good is refused.

    Attributes:
        path: the file, plain or gzipped.
        text: the key of the text.
        label: the key of its label, 0 or 1.
        normalize: which symbols are kept.
    """

    path: str | Path
    text: str
    label: str
    normalize: Normalize
    length: int | None
    held_out: float = 0.2

    @property
    def title(self) -> str:
        """The last part of the path."""
        return Path(self.path).name

    def rows(self) -> Iterator[tuple[str, int]]:
        """The texts in the order of the file.

        Raises:
            InputError: the file cannot be read; a line, by its number, and why.
        """
        keys = (self.text, self.label)
        for where, row in read_objects(Path(self.path), "labels.path", keys):
            for key in keys:
                if key not in row:
                    raise InputError(f"{where}: no key {key!r}; found {', '.join(row) or 'none'}")
            yield labeled(self.tally, row[self.text], row[self.label], where)
