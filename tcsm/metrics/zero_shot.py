"""The likelihood bound on a corpus that a run was not trained on, in the run's own tokens."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tcsm.data.corpora import hub
from tcsm.data.corpora.base import Normalize
from tcsm.data.examples import windows
from tcsm.data.normalize import verbatim
from tcsm.data.shards import pieces
from tcsm.data.tables import rows, sources
from tcsm.errors import InputError
from tcsm.metrics.base import Evaluated, Measured
from tcsm.metrics.likelihood import Likelihood

KEY = "path of the metric"


@dataclass(frozen=True, kw_only=True)
class ZeroShot(Likelihood):
    """A bound of the likelihood on one part of a data set.

    Its rows are detokenized, normalized as the corpus of the run, joined, tokenized, and cut into
    windows without overlap; the rest is left out. The record says all of it.

    Attributes:
        name: Name of the data set on the Hugging Face hub.
        config: Its configuration.
        part: The rows, in the hub's own slices.
        revision: The branch, tag or commit on the hub.
        column: The column of the text, or several, whose texts are joined by blanks.
        path: A file or folder to read instead, see `tcsm.data.tables`; None for the hub.
        detokenize: The detokenizer.
        between: Text between two rows; None for the separator of the tokenizer.
        sequences: Windows, evenly spaced; all if there are fewer.
    """

    name: str
    config: str | None
    part: str
    revision: str
    column: str | int | Sequence[str | int]
    detokenize: Normalize
    path: str | None = None
    between: str | None = None

    def __call__(self, evaluated: Evaluated) -> Callable[[], Measured]:
        """Read and tokenize the text; return the function that estimates the bound.

        Raises:
            InputError: The text cannot be read or tokenized, or is too short; the bound does not
                fit the model.
        """
        self.bound.check(evaluated.model)
        normalize = normalization(evaluated.run.corpus and evaluated.run.corpus())
        tokenizer = evaluated.tokenizer
        texts: Iterable[str] = map(self.detokenize, self._texts())
        if self.between is not None:
            texts = [self.between.join(texts)]
        documents = (kept for text in texts if (kept := normalize(text)))
        parts = list(pieces(documents, tokenizer, self._title))
        tokens = np.concatenate([np.empty(0, tokenizer.dtype), *(part.tokens for part in parts)])
        lengths = [part.lengths for part in parts if part.lengths is not None]
        if tokens.size < evaluated.length:
            raise InputError(
                f"{self._title}: {tokens.size} tokens, fewer than data.length = {evaluated.length}"
            )
        count = min(self.sequences, tokens.size // evaluated.length)
        joined = np.concatenate(lengths) if lengths else None
        held = windows(tokens, joined, evaluated.length, count, tokenizer)
        data = {"test": hashlib.sha256(tokens.tobytes()).hexdigest()}
        measure = partial(self._measure, evaluated, {"test": held}, data)
        return partial(self._described, measure, self._protocol(normalize, tokens.size, tokenizer))

    @property
    def _title(self) -> str:
        names = filter(None, [self.name, self.config, self.part])
        return "/".join(names) if self.path is None else self.path

    def _texts(self) -> Iterator[str]:
        """Yield the text of each row."""
        named = [self.column] if isinstance(self.column, str | int) else self.column
        columns = list(map(str, named))
        if self.path is None:
            try:
                loaded = hub.rows(self.name, self.config, self.part, self.revision, columns)
            except InputError as error:
                raise InputError(
                    f"{error}; or name a file by the key path of this metric"
                ) from error
            table = ((f"{self._title}, row {n}", row) for n, row in enumerate(loaded, start=1))
        else:
            files = (file for part in sources(Path(self.path), KEY).values() for file in part)
            table = (pair for file in files for pair in rows(file, columns, KEY))
        for where, row in table:
            yield " ".join(_text(row, column, where) for column in columns)

    def _protocol(self, normalize: Normalize, tokens: int, tokenizer: Any) -> Mapping[str, Any]:  # noqa: ANN401
        """Return the fields of the record about the text."""
        return {
            "text": self._title,
            "revision": None if self.path else self.revision,
            "detokenizer": self.detokenize.__name__,
            "normalization": normalize.__name__,
            "between": self.between,
            "tokenizer": tokenizer.name,
            "tokens": tokens,
            "windows": "without overlap, evenly spaced",
        }

    @staticmethod
    def _described(measure: Callable[[], Measured], protocol: Mapping[str, Any]) -> Measured:
        measured = measure()
        return replace(measured, fields={**measured.fields, "protocol": protocol})


def _text(row: Mapping[str, Any], column: str, where: str) -> str:
    text = row.get(column)
    if not isinstance(text, str):
        raise InputError(f"{where}: {column!r} must be a text, found {text!r:.60}")
    return text


def normalization(corpus: object) -> Normalize:
    """Return the normalization of a corpus, or of the corpus that it is made from."""
    inner = getattr(corpus, "corpus", None)
    normalize: Normalize = getattr(corpus, "normalize", verbatim)
    return normalize if inner is None else normalization(inner)
