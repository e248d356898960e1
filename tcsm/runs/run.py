"""A run: a folder with its configuration, weights and records.

A record holds the hashes of the weights and of the data that it is about. Readers compare them, so
that no number of other weights or of another text is taken for one of this run.

This module imports no torch, since the report reads runs without it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from tcsm import config
from tcsm.config import Unbuilt
from tcsm.config.defaults import trained
from tcsm.data.header import read_header
from tcsm.errors import InputError
from tcsm.io.layout import CONFIG, FILES, LATER, REFERENCE, record_of, telemetry_of, weights_of
from tcsm.io.records import Record, read_json, write_json, write_text


@dataclass(frozen=True, eq=False)
class Run:
    """A run.

    Attributes:
        folder: Its folder.
        given: The configuration that a command works with; None for that of the training.
    """

    folder: Path
    given: DictConfig | None = None

    def __post_init__(self) -> None:
        """Make the folder a path, which users may give as a string."""
        object.__setattr__(self, "folder", Path(self.folder))

    @cached_property
    def trained(self) -> DictConfig | None:
        """Return the configuration of the training, None if there is none.

        Raises:
            InputError: It is damaged.
        """
        return trained(self.folder)

    def require_trained(self, key: str) -> DictConfig:
        """Return the configuration of the training of a run that a key names.

        Raises:
            InputError: No such run, or one without a model.
        """
        path = self.folder / CONFIG
        if not path.is_file():
            raise InputError(
                f"{key}: {path} does not exist; train that run first, or set {key}=null"
            )
        if self.trained is None:
            raise InputError(
                f"{key}: {path} names no model; it must be the config.yaml of a training"
            )
        return self.trained

    def require_tokens(self, key: str, fingerprint: str, name: str) -> None:
        """Check the tokens of a run that a key names.

        Args:
            key: The key, for errors.
            fingerprint: Fingerprint of the tokenizer that it must have been trained with.
            name: Name of that tokenizer.

        Raises:
            InputError: No such run, or one that reads other tokens.
        """
        self.require_trained(key)
        known = self.tokenizer
        if known.fingerprint != fingerprint:
            raise InputError(
                f"{key}: {self.folder} was trained on tokens of {known.name}, wanted {name}"
            )

    @property
    def config(self) -> DictConfig:
        """Return the configuration: the given one, else that of the training.

        Raises:
            InputError: There is none.
        """
        cfg = self.trained if self.given is None else self.given
        if cfg is None:
            raise InputError(
                f"{self.folder / CONFIG} is no configuration of a training; name the folder of a "
                "trained run"
            )
        return cfg

    @property
    def scratch(self) -> Path:
        """Return the folder of files that a stage needs while it works."""
        return Path(OmegaConf.select(self.config, "scratch", default=self.folder))

    @property
    def seed(self) -> int | None:
        """Return the seed of the training, if there was one."""
        return None if self.trained is None else self.trained.get("seed")

    @property
    def corpus(self) -> Unbuilt[Any] | None:
        """Return the corpus of the training, None if there is none."""
        corpus = None if self.trained is None else self.trained.get("corpus")
        return None if corpus is None else Unbuilt(corpus)

    @property
    def world(self) -> Record | None:
        """Return the configuration of the toy world, None in a run of text."""
        return None if self.config.get("world") is None else self.part("world").plain

    @property
    def values(self) -> Record:
        """Return the configuration as plain values."""
        return Unbuilt[Any](self.config).plain

    def value(self, key: str) -> Any:  # noqa: ANN401 -- any value
        """Return the value of a dotted key of the configuration, None if it has none."""
        return Unbuilt[Any](self.config).value(key)

    def part(self, key: str) -> Unbuilt[Any]:
        """Return a part of the configuration that can be built."""
        return Unbuilt(self.config[key])

    @cached_property
    def tokenizer(self) -> Any:  # noqa: ANN401 -- a Tokenizer; its module would count as read
        """Return the tokenizer."""
        return config.build(self.config.tokenizer)

    def record(self, stage: str = "train", keys: Sequence[str] = ()) -> Record:
        """Return the record of a stage, empty if there is none.

        Raises:
            InputError: It is damaged, or lacks one of the keys.
        """
        return read_json(self.folder / record_of(stage), keys)

    def telemetry(self, stage: str, keys: Sequence[str] = ()) -> Record:
        """Return the telemetry of a stage, empty if there is none.

        Raises:
            InputError: It is damaged, lacks one of the keys, or a file beside it was altered.
        """
        record = self.folder / record_of(stage)
        return read_json(self.folder / telemetry_of(stage), keys, record)

    @property
    def weights(self) -> str | None:
        """Return the SHA-256 of the weights, from the record of their training."""
        return self.record().get("weights_sha256")

    def draws(self, seed: int) -> Record:
        """Return the fields of a record of samples: which weights drew, by which seed.

        Args:
            seed: Seed of the draws, which need not be that of the training.
        """
        return {"weights_sha256": self.weights, "weights_seed": self.seed, "draws_seed": seed}

    def write(
        self,
        stage: str,
        record: Mapping[str, object],
        telemetry: Mapping[str, object],
        journals: Sequence[str] = (),
    ) -> None:
        """Write the record of a stage, what it is a record of, and its telemetry.

        The telemetry is written last. It holds the checksums of the configuration and of the
        record, and DVC does not track it, so it may lie beside files of another run. Weights in
        the folder of a stage that only reads them have the configuration of their training.

        Args:
            stage: The stage.
            record: Its numbers.
            telemetry: What depends on time and machine.
            journals: JSON-lines files of a training; the record holds the checksum of the first,
                the telemetry that of the second.

        Raises:
            InputError: A file cannot be written.
        """
        own = () if self._is_only_read(stage) else (CONFIG,)
        for name in own:
            write_text(self.folder / name, OmegaConf.to_yaml(self.config, resolve=True))
        name = record_of(stage)
        write_json(self.folder / name, {**self.owner(stage), **record}, journals[:1])
        beside = (*own, name, *journals[1:])
        write_json(self.folder / telemetry_of(stage), telemetry, beside)

    def _is_only_read(self, stage: str) -> bool:
        """Return whether a stage reads the weights of the folder, which a training left there."""
        return stage != "train" and weights_of(self.folder).exists()

    def owner(self, stage: str) -> Record:
        """Return the fields of every record: its stage, its experiment, the run's seed."""
        seed = self.seed if self._is_only_read(stage) else None
        seed = self.config.seed if seed is None else seed
        return {"stage": stage, "experiment": self.config.experiment, "seed": seed}

    def forget(self) -> None:
        """Remove the records of former weights, which are about to be replaced."""
        for stage in LATER:
            for name in (record_of(stage), telemetry_of(stage)):
                (self.folder / name).unlink(missing_ok=True)

    def require_free(self, stage: str) -> None:
        """Refuse a folder of another stage, whose configuration would be overwritten.

        Raises:
            InputError: The folder and the record in it.
        """
        if stage not in FILES or stage == "sample":
            return
        shared = {stage, *LATER, *(["train"] if stage == "evaluate" else [])}
        for name in (name for other, name in FILES.items() if other not in shared):
            if (self.folder / name).exists():
                raise InputError(
                    f"out: {self.folder} holds {name} of another stage; name a folder of its own "
                    "(out=FOLDER)"
                )

    def require_weights(self, digest: str) -> None:
        """Check the weights that were read against the record beside them.

        Raises:
            InputError: The record is of other weights.
        """
        if self.record("train", ("weights_sha256",)).get("weights_sha256", digest) != digest:
            raise InputError(
                f"{weights_of(self.folder)}: {FILES['train']} beside it is of other weights; "
                "train again"
            )

    def require_data(self, root: Path, splits: Iterable[str]) -> dict[str, str]:
        """Return the hashes of the token files of some splits; check that the run used the same.

        A record without the hashes of all splits is compared by that of the training split.

        Raises:
            InputError: A split differs from the one that the run was trained with.
        """
        record = self.record()
        known = record.get("splits_sha256")
        if known is None:
            known = {"train": record.get("data_sha256")} if record else {}
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
        known, actual = self.record().get(REFERENCE), Run(Path(folder)).weights
        if known is not None and actual != known:
            raise InputError(
                f"reference: {folder} has weights {str(actual)[:12]}, but {self.folder} was "
                f"trained with {known[:12]}; name the folder of those by reference=FOLDER, or "
                f"train {self.folder} again"
            )


def hashes(root: Path, splits: Iterable[str]) -> dict[str, str]:
    """Return split → SHA-256 of its tokens, from the headers of the token files that exist."""
    paths = {split: root / f"{split}.tok" for split in sorted(splits)}
    return {split: read_header(path).digest for split, path in paths.items() if path.exists()}
