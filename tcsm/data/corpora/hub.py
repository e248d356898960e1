"""A data set of the Hugging Face hub, such as OpenWebText, LM1B and WikiText."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tcsm.data.corpora.base import SPLITS, Normalize, Normalized, Splits
from tcsm.errors import InputError
from tcsm.huggingface import one_line


@dataclass(frozen=True)
class HubDataset(Normalized):
    """The rows of one column, each a document.

    Attributes:
        name: Name of the data set, such as "Salesforce/wikitext", or a local folder.
        config: Its configuration, such as "wikitext-103-raw-v1".
        column: The column of the text.
        parts: The rows of each split in the hub's own slices, such as
            {train: "train[:98%]", valid: "train[98%:99%]", test: "train[99%:]"}.
        revision: The commit on the hub.
        normalize: The normalization.
    """

    name: str
    config: str | None
    column: str
    parts: Mapping[str, str]
    revision: str
    normalize: Normalize

    def __post_init__(self) -> None:
        if set(self.parts) != set(SPLITS):
            raise InputError(f"corpus.parts must name train, valid, test; found {[*self.parts]}")

    @property
    def title(self) -> str:
        """Return name, configuration and revision."""
        return "/".join(filter(None, [self.name, self.config])) + f"@{self.revision}"

    def files(self) -> tuple[Path, ...]:
        """Return the files of a local folder; data on the hub is identified by its revision."""
        paths = (path for path in Path(self.name).rglob("*") if path.is_file())
        return tuple(sorted(path for path in paths if not path.name.startswith(".")))

    def splits(self) -> Splits:
        """Return the documents of each split, one at a time; rows without text are skipped.

        The first document raises InputError without the package datasets, or if that cannot find
        or fetch the data.
        """
        return {split: self._documents(split) for split in SPLITS}

    def _documents(self, split: str) -> Iterator[str]:
        part, kept = self.parts[split], False
        selected = rows(self.name, self.config, part, self.revision, [self.column])
        with one_line(f"corpus {self.title}, part {part!r}"):
            for number, row in enumerate(selected):
                content = row[self.column]
                if not isinstance(content, str | None):
                    raise InputError(
                        f"corpus {self.title}, part {part!r}, row {number}: corpus.column "
                        f"{self.column!r} holds {type(content).__name__}, wanted text"
                    )
                if text := self.tally(content or ""):
                    kept = True
                    yield text
        if not kept:
            raise self.nothing_kept(f"corpus {self.title}, part {part!r}", "corpus.parts")


def rows(name: str, config: str | None, part: str, revision: str, columns: Sequence[str]) -> Any:  # noqa: ANN401  datasets is not typed
    """Yield columns of a part of a data set, row by row.

    Raises:
        InputError: The package datasets is missing, or cannot find or fetch them.
    """
    try:
        from datasets import load_dataset  # noqa: PLC0415  an extra of the package
    except ImportError as error:
        raise InputError(f"corpus {name} needs: pip install -e '.[hub]'") from error
    title = "/".join(filter(None, [name, config])) + f"@{revision}"
    with one_line(f"corpus {title}, part {part!r}"):
        return load_dataset(name, config, split=part, revision=revision).select_columns([*columns])
