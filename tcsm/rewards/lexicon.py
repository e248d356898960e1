"""Pretrained rewards, each with an extra of the package; meant for ordinary English."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np
from jaxtyping import Float64

from tcsm.errors import InputError
from tcsm.rewards.base import Reward

LEAST = 1e-6  # least probability, so that log-odds are finite


@dataclass(frozen=True)
class Vader(Reward):
    """VADER's compound sentiment in [−1, 1], by the words of a lexicon; many texts get 0."""

    @cached_property
    def analyzer(self) -> Any:  # noqa: ANN401  not typed
        """Return the lexicon."""
        return _extra("vaderSentiment.vaderSentiment", "sentiment").SentimentIntensityAnalyzer()

    def open(self) -> None:
        """Load the lexicon."""
        _ = self.analyzer

    def __call__(self, texts: Sequence[str]) -> Float64[np.ndarray, "N"]:
        """Return the compound score of each text.

        Raises:
            InputError: the extra is not installed.
        """
        scores = [self.analyzer.polarity_scores(text)["compound"] for text in texts]
        return np.array(scores, dtype=np.float64)


@dataclass(frozen=True)
class Profanity(Reward):
    """Log-odds that a text offends, by a linear model of words; use a negative weight."""

    def open(self) -> None:
        """Import the package."""
        _extra("profanity_check", "toxicity")

    def __call__(self, texts: Sequence[str]) -> Float64[np.ndarray, "N"]:
        """Return log p/(1 − p), p clipped to [10⁻⁶, 1 − 10⁻⁶].

        Raises:
            InputError: the extra is not installed.
        """
        check = _extra("profanity_check", "toxicity")
        p = np.clip(np.asarray(check.predict_prob(list(texts)), np.float64), LEAST, 1 - LEAST)
        return np.log(p) - np.log1p(-p)


def _extra(module: str, extra: str) -> Any:  # noqa: ANN401
    """Return a module of an optional package."""
    try:
        return import_module(module)
    except ImportError:
        raise InputError(
            f"reward: the package {module.partition('.')[0]} is missing; pip install tcsm[{extra}]"
        ) from None
