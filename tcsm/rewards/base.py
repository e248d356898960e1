"""The contract of a reward: texts ↦ numbers, in any unit; β has the same unit."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from jaxtyping import Float64

from tcsm.errors import InputError


class Reward(ABC):
    """A reward of texts; larger is better."""

    @abstractmethod
    def __call__(self, texts: Sequence[str]) -> Float64[np.ndarray, "N"]:
        """Return one finite number per text."""

    def open(self) -> None:  # noqa: B027  most have nothing to load
        """Load the files of the reward, so that a missing one is reported before sampling.

        Raises:
            InputError: A file cannot be loaded.
        """


@contextmanager
def below(key: str) -> Iterator[None]:
    """Let errors that name a key of a reward name it below the key of the reward.

    Raises:
        InputError: As within the block.
    """
    try:
        yield
    except InputError as error:
        raise InputError(re.sub(r"^reward\.", f"{key}.", str(error))) from error


def scores(reward: Reward, texts: Sequence[str]) -> Float64[np.ndarray, "N"]:
    """Return the rewards of texts, checked.

    Raises:
        InputError: The reward raised, or returned another number of values, NaN or infinity.
    """
    name = type(reward).__name__
    try:
        values = np.asarray(reward(texts), dtype=np.float64)
    except InputError:
        raise
    except Exception as error:
        where = _place(reward, texts)
        raise InputError(f"reward {name}: {type(error).__name__}: {error}{where}") from error
    if values.shape != (len(texts),):
        raise InputError(
            f"reward {name}: gave shape {values.shape} for {len(texts)} texts, one number each "
            f"is wanted{_place(reward, texts)}"
        )
    if not np.isfinite(values).all():
        at = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InputError(f"reward {name}: gave {values[at]}{_named(texts, at)}")
    return values


def _place(reward: Reward, texts: Sequence[str]) -> str:
    """Return the place of the first text that fails by itself; "" if none does alone."""
    for at, text in enumerate(texts):
        try:
            good = np.shape(reward([text])) == (1,)
        except Exception:  # this text fails by itself
            good = False
        if not good:
            return _named(texts, at)
    return ""


def _named(texts: Sequence[str], at: int) -> str:
    return f" for text {at}: {texts[at][:80]!r}"
