"""Labeled rows of a data set of the Hugging Face hub, such as IMDB."""

from collections.abc import Iterator
from dataclasses import dataclass

from tcsm.data.corpora.base import Normalize
from tcsm.data.corpora.hub import rows
from tcsm.data.labels.base import Labels, labeled
from tcsm.huggingface import one_line


@dataclass(frozen=True)
class HubLabels(Labels):
    """Two columns of a data set.

    Attributes:
        name: Name of the data set.
        config: Its configuration.
        part: The rows, in the hub's own slices, such as "train".
        revision: The commit on the hub.
        text: The column of the text.
        label: The column of its label, 0 or 1.
        normalize: The normalization.
    """

    name: str
    config: str | None
    part: str
    revision: str
    text: str
    label: str
    normalize: Normalize
    length: int | None
    held_out: float = 0.2

    @property
    def title(self) -> str:
        """Return name, part and revision."""
        return f"{self.name}/{self.part}@{self.revision}"

    def rows(self) -> Iterator[tuple[str, int]]:
        """Yield the rows in the order of the data set.

        Raises:
            InputError: They cannot be fetched; or the number of an invalid row, and why.
        """
        columns = [self.text, self.label]
        selected = rows(self.name, self.config, self.part, self.revision, columns)
        with one_line(f"labels {self.title}"):
            for number, row in enumerate(selected):
                where = f"{self.title}, row {number}"
                yield labeled(self.tally, row[self.text], row[self.label], where)
