"""Any Python function as a reward."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float64

from tcsm.config.allowed import find
from tcsm.errors import InputError
from tcsm.rewards.base import Reward


@dataclass(frozen=True)
class Function(Reward):
    """A reward by a function that takes a list of texts and returns one number for each.

    Attributes:
        path: "module:function". Python must be able to import the module (PYTHONPATH=. for one in
            this folder), and TCSM_TARGETS must name it unless it belongs to this package.

    Raises:
        InputError: There is no such function.
    """

    path: str

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise InputError(f"reward.path: {self.path} is not callable: {self.function!r}")

    @cached_property
    def function(self) -> Any:  # noqa: ANN401  any callable
        """Return the function."""
        if ":" not in self.path:
            raise InputError(f"reward.path: found {self.path}, expected module:function")
        return find("reward.path", self.path)

    def __call__(self, texts: Sequence[str]) -> Float64[np.ndarray, "..."]:
        """Return the values of the function."""
        return np.asarray(self.function(list(texts)), dtype=np.float64)
