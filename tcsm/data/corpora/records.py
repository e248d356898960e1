"""Texts, or prompts with responses, as rows of files: JSON lines, Parquet, saved data sets."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, islice, pairwise
from pathlib import Path
from typing import Any

from tcsm.data.corpora.base import SPLITS, Normalize, Normalized, Splits, check_fractions
from tcsm.data.encoding import check_text, shown
from tcsm.data.examples import Document, Example
from tcsm.data.tables import rows, sources
from tcsm.errors import InputError


@dataclass(frozen=True)
class Records(Normalized):
    """The rows of a file, or of the files of a folder.

    A folder may name its splits: by files such as train-0.parquet, or as `datasets` saves them.
    The others are cut from the end of "train", by row.

    Attributes:
        path: The file or folder.
        column: The column of the texts; None for prompts with responses.
        prompt: The column of the prompts; None for responses without.
        response: The column of the responses.
        padded: Whether padding behind a response is trained on, see `Example`.
        chat: Whether prompts are put into the chat template of the tokenizer.
        normalize: The normalization.
        fractions: Train, valid and test.
    """

    path: str | Path
    normalize: Normalize
    column: str | None = "text"
    prompt: str | None = None
    response: str | None = None
    padded: bool = False
    chat: bool = False
    fractions: Sequence[float] = (0.9, 0.05, 0.05)

    def __post_init__(self) -> None:
        check_fractions(self.fractions)
        if (self.column is None) == (self.response is None):
            raise InputError(
                "corpus.column, corpus.response: one of both must name a column, the other be "
                f"null; found {self.column} and {self.response}"
            )
        if self.response is None and (self.prompt or self.chat or self.padded):
            raise InputError("corpus.prompt, padded, chat: need corpus.response, found null")

    @property
    def title(self) -> str:
        """Return the last part of the path."""
        return shown(Path(self.path).absolute().name)

    @property
    def answers(self) -> bool:  # type: ignore[override]
        """Return whether rows are prompts with responses."""
        return self.response is not None

    def files(self) -> tuple[Path, ...]:
        """Return the files, split by split.

        Raises:
            InputError: There are none.
        """
        return tuple(file for files in sources(Path(self.path)).values() for file in files)

    def splits(self) -> Splits:
        """Return the documents of each split; all rows are read once before, to check them.

        Raises:
            InputError: An invalid row, with its place, or no row for a split.
        """
        files = sources(Path(self.path))
        if "train" not in files:
            raise InputError(f"{shown(self.path)}: holds {', '.join(files)}, wanted train")
        counts = {split: sum(1 for _ in self._rows(of)) for split, of in files.items()}
        cut = ["train", *(split for split in SPLITS if split not in files)]
        shares = [self.fractions[SPLITS.index(split)] for split in cut]
        scale = counts["train"] / sum(shares)
        ends = [round(end * scale) for end in accumulate(shares, initial=0)]
        parts = {split: ("train", *ends) for split, ends in zip(cut, pairwise(ends), strict=True)}
        parts = {split: parts.get(split, (split, 0, counts.get(split, 0))) for split in SPLITS}
        for split, (of, first, last) in parts.items():
            if first == last:
                raise InputError(
                    f"{shown(self.path)}: {counts[of]} rows leave none for the split {split!r}; "
                    "give more rows, or other corpus.fractions"
                )
        return {split: self._documents(files[of], *ends) for split, (of, *ends) in parts.items()}

    def notes(self) -> list[str]:
        """Return lines on rows without text, and on what the normalization dropped."""
        empty, first = self._empty
        line = f"skipped rows without text: {empty:,}, such as {first}"
        return [*([line] if empty else []), *super().notes()]

    @cached_property
    def _empty(self) -> list[Any]:
        """Number of rows without text so far, and the place of the first."""
        return [0, ""]

    def _documents(self, files: Iterable[Path], first: int, last: int) -> Iterator[Document]:
        kept = False
        for where, row in islice(self._rows(files), first, last):
            if document := self._normalized(where, row):
                kept = True
                yield document
            else:
                self._empty[:] = self._empty[0] + 1, self._empty[1] or where
        if not kept:
            raise self.nothing_kept(shown(self.path), "corpus.path")

    def _normalized(self, where: str, row: Document) -> Document:
        if isinstance(row, str):
            return self.tally(row)
        prompt, response = map(self.tally, (row.prompt, row.response))
        _require_text(response, f"{where}: {self.response!r}, normalized,")
        return replace(row, prompt=prompt, response=response)

    def _rows(self, files: Iterable[Path]) -> Iterator[tuple[str, Document]]:
        """Yield every row with its place."""
        columns = [name for name in (self.column, self.prompt, self.response) if name is not None]
        for where, row in (pair for file in files for pair in rows(file, columns)):
            for name in columns:
                if name not in row:
                    known = ", ".join(map(str, row)) or "none"
                    raise InputError(f"{where}: no column {name!r}; its columns are {known}")
                _require_text(row.get(name), f"{where}: {name!r}", empty=name != self.response)
            texts = [str(row[name]) for name in columns]
            if self.response is None:
                yield where, texts[0]
            else:
                yield where, Example("".join(texts[:-1]), texts[-1], self.padded, self.chat)


def _require_text(text: object, place: str, empty: bool = False) -> None:
    """Check a text, which may be empty or not.

    Raises:
        InputError: The place, and what is wrong there.
    """
    if not isinstance(text, str):
        raise InputError(f"{place} must be a text, found {json.dumps(text, default=str):.60}")
    if not empty and not text.strip():
        raise InputError(f"{place} is empty: {text!r:.60}")
    check_text(text, place)
