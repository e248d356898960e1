"""What every reward is: texts ↦ numbers, in any unit; β is in the same one."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from jaxtyping import Float64

from tcsm.errors import InputError


class Reward(ABC):
    """A judgment of texts; more is better."""

    @abstractmethod
    def __call__(self, texts: Sequence[str]) -> Float64[np.ndarray, "N"]:
        """One finite number a text."""

    def open(self) -> None:  # noqa: B027  most have nothing to load
        """Load what the reward reads, so that what is missing is known before texts are drawn.

        Raises:
            InputError: it cannot be loaded.
        """


@contextmanager
def below(key: str) -> Iterator[None]:
    """Have errors that name a key of a reward name it below the key at which the reward stands.

    Raises:
        InputError: as within the block.
    """
    try:
        yield
    except InputError as error:
        raise InputError(re.sub(r"^reward\.", f"{key}.", str(error))) from error


def scores(reward: Reward, texts: Sequence[str]) -> Float64[np.ndarray, "N"]:
    """The rewards of texts, held against what a reward must be.

    Raises:
        InputError: the reward raised, or gave another number of values, NaN or infinity.
    """
    name = type(reward).__name__
    try:
        found = np.asarray(reward(texts), dtype=np.float64)
    except InputError:
        raise
    except Exception as error:
        where = _place(reward, texts)
        raise InputError(f"reward {name}: {type(error).__name__}: {error}{where}") from error
    if found.shape != (len(texts),):
        raise InputError(
            f"reward {name}: gave shape {found.shape} for {len(texts)} texts, one number each "
            f"is wanted{_place(reward, texts)}"
        )
    if not np.isfinite(found).all():
        at = int(np.flatnonzero(~np.isfinite(found))[0])
        raise InputError(f"reward {name}: gave {found[at]}{_named(texts, at)}")
    return found


def _place(reward: Reward, texts: Sequence[str]) -> str:
    """The first text that is no good by itself either; "" if only all of them together are not."""
    for at, text in enumerate(texts):
        try:
            good = np.shape(reward([text])) == (1,)
        except Exception:  # the one that is looked for
            good = False
        if not good:
            return _named(texts, at)
    return ""


def _named(texts: Sequence[str], at: int) -> str:
    return f" for text {at}: {texts[at][:80]!r}"
