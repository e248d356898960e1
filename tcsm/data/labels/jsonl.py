"""Labeled texts of a file: one JSON object a line, such as reviews and whether they praise."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tcsm.data.corpora.base import Normalize
from tcsm.data.labels.base import Labels, labeled
from tcsm.errors import InputError


@dataclass(frozen=True)
class LabeledJsonl(Labels):
    """The lines of a file; any of them that is no good is refused.

    Attributes:
        path: the file, ``.jsonl`` or ``.jsonl.gz``.
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
        unpack = gzip.open if Path(self.path).suffix == ".gz" else open
        try:
            with unpack(self.path, "rt", encoding="utf-8") as file:
                for number, line in enumerate(file, start=1):
                    yield self._row(line, f"{self.path}:{number}")
        except (OSError, EOFError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{self.path}: cannot be read: {reason} (labels.path)") from error

    def _row(self, line: str, where: str) -> tuple[str, int]:
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{where}: not valid JSON ({error.msg})") from None
        if not isinstance(row, dict):
            raise InputError(f"{where}: found {type(row).__name__}, expected an object")
        for key in (self.text, self.label):
            if key not in row:
                raise InputError(f"{where}: no key {key!r}; found {', '.join(row) or 'none'}")
        return labeled(self.normalize, row[self.text], row[self.label], where)
