"""What one case of a golden file comes to: numbers found beside numbers expected."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Case = dict[str, Any]


class UnknownKindError(Exception):
    """A name that the format of these files does not hold, as far as this checker knows."""


@dataclass(frozen=True)
class Comparison:
    """A quantity of a case; ``tolerance`` is relative to 1 + |expected|, entry by entry."""

    name: str
    found: Any
    expected: Any
    tolerance: float = 1e-9

    def error(self) -> str | None:
        """What differs, or None."""
        actual, expected = (np.asarray(x, dtype=np.float64) for x in (self.found, self.expected))
        if actual.shape != expected.shape:
            return f"{self.name} has shape {actual.shape}, expected {expected.shape}"
        with np.errstate(invalid="ignore"):
            close = np.abs(actual - expected) <= self.tolerance * (1 + np.abs(expected))
        good = close & np.isfinite(expected) | (actual == expected)
        if good.all():
            return None
        place = tuple(int(i) for i in np.argwhere(~good)[0])
        return f"{self.name}{list(place)} is {actual[place]}, expected {expected[place]}"


@dataclass
class Verdict:
    """The tally of a file."""

    passed: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    later: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)

    @property
    def good(self) -> bool:
        """Nothing failed, nothing was unknown, and something was checked."""
        return bool(self.passed) and not self.failed and not self.unknown

    def __str__(self) -> str:
        lines = [f"FAILED {line}" for line in self.failed]
        lines += [f"UNKNOWN {kind}: {count}" for kind, count in sorted(self.unknown.items())]
        names = ", ".join(f"{kind}: {count}" for kind, count in sorted(self.later.items()))
        summary = (
            f"{self.passed.total()} passed, {len(self.failed)} failed, "
            f"{self.later.total()} not yet supported" + (f" ({names})" if names else "")
        )
        return "\n".join([*lines, summary])
