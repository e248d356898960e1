"""Any Python function as a reward."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float64

from tcsm.allowed import find
from tcsm.errors import InputError
from tcsm.rewards.base import Reward


@dataclass(frozen=True)
class Function(Reward):
    """A function that takes a list of texts and gives one number for each.

    Attributes:
        path: "module:function"; Python must find the module, so say PYTHONPATH=. for one here, and
            may call what is not of this package only if TCSM_TARGETS names the module.

    Raises:
        InputError: there is none.
    """

    path: str

    def __post_init__(self) -> None:
        if not callable(self.found):
            raise InputError(f"reward.path: {self.path} is not callable: {self.found!r}")

    @cached_property
    def found(self) -> Any:  # noqa: ANN401  whatever stands there
        """What the path names."""
        if ":" not in self.path:
            raise InputError(f"reward.path: found {self.path}, expected module:function")
        return find("reward.path", self.path)

    def __call__(self, texts: Sequence[str]) -> Float64[np.ndarray, "..."]:
        """What the function gives."""
        return np.asarray(self.found(list(texts)), dtype=np.float64)
