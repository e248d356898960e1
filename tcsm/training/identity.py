"""The identity of a run: the values that decide it, and which saved states fit it."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tcsm.errors import InputError

Value = str | int | float | bool | None
SHOWN = 3  # keys that a message names
CONTENT = "sha256:"  # prefix of a value that is the digest of a file or folder
ABSENT = "not there"


class OtherRunError(InputError):
    """A saved state belongs to a run with another identity.

    Attributes:
        run: Digest of that run's identity.
    """

    def __init__(self, message: str, run: str = "") -> None:
        super().__init__(message)
        self.run = run


@dataclass(frozen=True)
class Identity:
    """The values that decide a run.

    Attributes:
        values: Values by dotted key; the content of a folder or a file as its digest.
        soft: Keys whose values may change while a run is stopped, such as devices and steps.
    """

    values: Mapping[str, Value]
    soft: frozenset[str] = frozenset()

    @property
    def text(self) -> str:
        """Return the values as JSON."""
        return json.dumps(dict(self.values), sort_keys=True)

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the values."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def can_resume(self, keys: Iterable[str]) -> bool:
        """Return whether a state that differs in these keys can be resumed."""
        return self.soft.issuperset(keys)

    def differing(self, others: Mapping[str, Value]) -> tuple[str, ...]:
        """Return the keys whose values differ, keys that users set before digests of contents."""
        keys = [*self.values, *(key for key in others if key not in self.values)]
        differ = [key for key in keys if self.values.get(key, ABSENT) != others.get(key, ABSENT)]
        return tuple(sorted(differ, key=lambda key: _content(self.values.get(key))))

    def words(self, others: Mapping[str, Value], keys: Sequence[str]) -> str:
        """Return how some keys differ: ``trainer.steps was 4, now 8``."""
        shown = [self._word(key, others) for key in keys[:SHOWN]]
        more = [f"{len(keys) - SHOWN} more"] if len(keys) > SHOWN else []
        return "; ".join(shown + more)

    def _word(self, key: str, others: Mapping[str, Value]) -> str:
        now, before = (values.get(key, ABSENT) for values in (self.values, others))
        if _content(now) or _content(before):
            return f"{key} has other contents"
        return f"{key} was {_shown(before)}, now {_shown(now)}"


def _content(value: Value) -> bool:
    """Return whether a value is the digest of a file's or folder's content."""
    return isinstance(value, str) and value.startswith(CONTENT)


def _shown(value: Value) -> str:
    """Return a value as YAML writes it."""
    return value if isinstance(value, str) else json.dumps(value)
