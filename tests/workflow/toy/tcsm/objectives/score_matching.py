"""Objectives."""

from dataclasses import dataclass

from tcsm.errors import InputError


@dataclass(frozen=True)
class Objective:
    """A weight."""

    weight: float = 1.0

    def __post_init__(self):
        """Refuse what makes no sense."""
        if self.weight < 0:
            raise InputError(f"objective.weight must be 0 or more, found {self.weight}")

    def value(self, steps):
        """The loss."""
        return self.weight * steps
