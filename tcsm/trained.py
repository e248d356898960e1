"""A trained run: a folder with weights, their record, and what later stages have told of them.

A record names the weights and the data that it is of by their hashes. Whoever reads a run compares
them, so that no number of other weights or of another text is taken for one of this run.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from tcsm.data.header import read_header
from tcsm.errors import InputError
from tcsm.outcomes import FILES, LATER
from tcsm.reporting.records import Record, read_json, weights_of

REFERENCE = "reference_sha256"  # in a record: of the weights of the run that the key names


@dataclass(frozen=True)
class Trained:
    """The run of a training.

    Attributes:
        folder: its folder.
    """

    folder: Path

    @cached_property
    def record(self) -> Record:
        """What the training said of its end, empty if there was none.

        Raises:
            InputError: it is damaged.
        """
        return read_json(self.folder / FILES["train"], ())

    @property
    def weights(self) -> str | None:
        """SHA-256 of the weights, as the record of what trained them has it."""
        return weights_of(self.folder)

    @property
    def corpus(self) -> dict[str, object]:
        """The configuration of the text, empty if there is none."""
        path = self.folder / "config.yaml"
        run = yaml.safe_load(path.read_text("utf-8")) if path.is_file() else {}
        return dict(run.get("corpus", {}))

    def require_data(self, root: Path, splits: Iterable[str]) -> dict[str, str]:
        """Return the hashes of the token files of some splits, those that were trained beside.

        Of a record without the hashes of all splits the training text's own must agree.

        Raises:
            InputError: one is another than when the run was trained.
        """
        known = self.record.get("splits_sha256")
        if known is None:
            known = {"train": self.record.get("data_sha256")} if self.record else {}
        found = hashes(root, {*splits, *known})
        for split in found.keys() & known.keys():
            if found[split] != known[split]:
                raise InputError(
                    f"{root / f'{split}.tok'}: sha256 {found[split][:12]}, but {self.folder} was "
                    f"trained beside {known[split][:12]}; run prepare as it was, name the folder "
                    "of that text by data.root, or train again"
                )
        return {split: found[split] for split in splits if split in found}

    def require_reference(self, folder: str) -> None:
        """Hold a reference's weights against those that the run was trained beside.

        Args:
            folder: of the reference.

        Raises:
            InputError: they are others.
        """
        known, found = self.record.get(REFERENCE), weights_of(Path(folder))
        if known is not None and found != known:
            raise InputError(
                f"reference: {folder} has weights {str(found)[:12]}, but {self.folder} was "
                f"trained beside {known[:12]}; name the folder of those by reference=FOLDER, or "
                f"train {self.folder} again"
            )

    def forget(self) -> None:
        """Remove what was said of former weights, since they are about to be replaced."""
        for stage in LATER:
            for name in (FILES[stage], f"{stage}.telemetry.json"):
                (self.folder / name).unlink(missing_ok=True)


def require_same_text(
    runs: Mapping[str, str | None], corpus: Mapping[str, object], splits: Mapping[str, str]
) -> None:
    """Hold a text against that of the runs that a training starts from or learns from.

    Cut elsewhere, the same corpus has text in its test split that they were trained on.

    Args:
        runs: key → folder.
        corpus: configuration of the text.
        splits: split → SHA-256 of its tokens.

    Raises:
        InputError: one was trained on another cut of the same corpus.
    """
    for key, folder in runs.items():
        run = Trained(Path(folder or "."))
        known = run.record.get("splits_sha256", splits) if folder else splits
        if known != splits and _uncut(run.corpus) == _uncut(corpus):
            raise InputError(
                f"{key}: {folder} was trained on other splits of the same corpus; prepare it as "
                "it was there, or train that run again"
            )


def _uncut(corpus: Mapping[str, object]) -> dict[str, object]:
    """A corpus but for where it is cut."""
    return {name: value for name, value in corpus.items() if name != "fractions"}


def hashes(root: Path, splits: Iterable[str]) -> dict[str, str]:
    """Return split → SHA-256 of its tokens, by the headers of the token files that are there."""
    paths = {split: root / f"{split}.tok" for split in sorted(splits)}
    return {split: read_header(path).sha256 for split, path in paths.items() if path.exists()}
