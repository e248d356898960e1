"""A trained classifier of texts: R is its log-odds, in nats."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from tcsm.errors import InputError
from tcsm.io.layout import WEIGHTS
from tcsm.rewards.base import Reward
from tcsm.rewards.grams import Logistic, load

FORMER = "classifier.safetensors"  # the name of its weights in earlier versions


@dataclass(frozen=True)
class Classifier(Reward):
    """A trained classifier, read from its folder on first use.

    Attributes:
        folder: Folder of the run that trained it.
        key: Key of the configuration that holds this folder.
    """

    folder: str | None
    key: str = "reward_run"

    def __call__(self, texts: Sequence[str]) -> Float64[np.ndarray, "N"]:
        """Return the log-odds of label 1.

        Raises:
            InputError: No folder, or no complete classifier in it.
        """
        return self.trained.log_odds(texts)

    def open(self) -> None:
        """Read the folder."""
        _ = self.trained

    @cached_property
    def trained(self) -> Logistic:
        """Return the classifier of the folder."""
        if self.folder is None:
            raise InputError(
                f"{self.key}: found null, expected the folder of a trained classifier"
            )
        path = Path(self.folder) / WEIGHTS
        former = path.with_name(FORMER)
        if path.is_file() or former.is_file():
            return load(path if path.is_file() else former)
        raise InputError(
            f"{self.key}: {path} does not exist; train it first (tcsm train "
            f"experiment=reward/testaments out={self.folder})"
        )
