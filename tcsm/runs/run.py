"""A trained run: a folder with weights, their record, and the records of later stages.

A record holds the hashes of the weights and of the data that it is about. Readers compare them, so
that no number of other weights or of another text is taken for one of this run.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from tcsm import config
from tcsm.data.header import read_header
from tcsm.errors import InputError
from tcsm.io.layout import FILES, LATER
from tcsm.io.records import Record, read_json, weights_of

REFERENCE = "reference_sha256"  # key of a record: SHA-256 of the reference's weights


@dataclass(frozen=True)
class Trained:
    """A trained run.

    Attributes:
        folder: Its folder.
    """

    folder: Path

    @cached_property
    def record(self) -> Record:
        """Return the record of the training, empty if there is none.

        Raises:
            InputError: The record is damaged.
        """
        return read_json(self.folder / FILES["train"], ())

    @property
    def weights(self) -> str | None:
        """Return the SHA-256 of the weights, from the record of their training."""
        return weights_of(self.folder)

    @cached_property
    def configuration(self) -> DictConfig | None:
        """Return the configuration of the training, None if there is none.

        Raises:
            InputError: It is damaged.
        """
        path = self.folder / "config.yaml"
        run = next(config.load(str(path))) if path.is_file() else None
        return run if run is not None and "model" in run else None

    @property
    def corpus(self) -> dict[str, object]:
        """Return the configuration of the corpus, empty if there is none."""
        corpus = None if self.configuration is None else self.configuration.get("corpus")
        plain = {} if corpus is None else OmegaConf.to_container(corpus)
        assert isinstance(plain, dict)
        return {str(name): value for name, value in plain.items()}

    @property
    def seed(self) -> int | None:
        """Return the seed of the training, if there was one."""
        return None if self.configuration is None else self.configuration.get("seed")

    def drew(self, seed: int) -> Record:
        """Return the fields of a record of samples: which weights drew, by which seed.

        Args:
            seed: Seed of the draws, which need not be that of the training.
        """
        return {"weights_sha256": self.weights, "weights_seed": self.seed, "draws_seed": seed}

    def require_data(self, root: Path, splits: Iterable[str]) -> dict[str, str]:
        """Return the hashes of the token files of some splits; check that the run used the same.

        A record without the hashes of all splits is compared by that of the training split.

        Raises:
            InputError: A split differs from the one that the run was trained with.
        """
        known = self.record.get("splits_sha256")
        if known is None:
            known = {"train": self.record.get("data_sha256")} if self.record else {}
        actual = hashes(root, {*splits, *known})
        for split in actual:
            if actual[split] != known.get(split, actual[split]):
                raise InputError(
                    f"{root / f'{split}.tok'}: sha256 {actual[split][:12]}, but {self.folder} was "
                    f"trained with {known[split][:12]}; run prepare as it was, name the folder "
                    "of that text by data.root, or train again"
                )
        return {split: actual[split] for split in splits if split in actual}

    def require_reference(self, folder: str) -> None:
        """Check a reference's weights against those that the run was trained with.

        Args:
            folder: Folder of the reference.

        Raises:
            InputError: The weights differ.
        """
        known, actual = self.record.get(REFERENCE), weights_of(Path(folder))
        if known is not None and actual != known:
            raise InputError(
                f"reference: {folder} has weights {str(actual)[:12]}, but {self.folder} was "
                f"trained with {known[:12]}; name the folder of those by reference=FOLDER, or "
                f"train {self.folder} again"
            )

    def forget(self) -> None:
        """Remove the records of former weights, which are about to be replaced."""
        for stage in LATER:
            for name in (FILES[stage], f"{stage}.telemetry.json"):
                (self.folder / name).unlink(missing_ok=True)


def require_same_text(
    runs: Mapping[str, str | None], corpus: Mapping[str, object], splits: Mapping[str, str]
) -> None:
    """Check a text against that of the runs that a training starts or learns from.

    With other cuts, the test split of the same corpus would hold text that they were trained on.

    Args:
        runs: key → folder.
        corpus: Configuration of the corpus.
        splits: split → SHA-256 of its tokens.

    Raises:
        InputError: A run was trained on another cut of the same corpus.
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
    """Return the configuration of a corpus without the fractions of its splits."""
    return {name: value for name, value in corpus.items() if name != "fractions"}


def hashes(root: Path, splits: Iterable[str]) -> dict[str, str]:
    """Return split → SHA-256 of its tokens, from the headers of the token files that exist."""
    paths = {split: root / f"{split}.tok" for split in sorted(splits)}
    return {split: read_header(path).sha256 for split, path in paths.items() if path.exists()}
