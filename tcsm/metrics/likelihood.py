"""The likelihood bound on held-out text, and the loss by noise level."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from tcsm.data.batches import Rows
from tcsm.data.examples import held_out
from tcsm.data.tokenfile import TokenFile
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.evaluation.bound import Bound, Draws
from tcsm.evaluation.estimates import (
    Level,
    bits_per_character,
    by_level,
    draws_error,
    perplexity,
)
from tcsm.metrics.base import Evaluated, Measured
from tcsm.training.devices import Devices

# Seed of each split's first round of draws, the same for all models; further rounds add two.
SPLITS = {"valid": 2, "test": 3}
FREEDOM = 32  # least degrees of freedom of an error that ends the draws


@dataclass(frozen=True)
class Likelihood:
    """A bound of the likelihood on validation and test sequences.

    Attributes:
        bound: The estimator.
        sequences: Sequences of each split, evenly spaced.
        draws: Draws of the bound per sequence; with a target, of one round.
        batch: Draws in memory at once, at least those of one sequence; no number depends on it.
        target_se: Standard error by the draws alone, in bits per character, at which rounds of
            draws end; None for a single round.
        most_draws: Draws per sequence at which they end in any case.

    Raises:
        InputError: An error that is not above 0, or less than two rounds before the end.
    """

    bound: Bound
    sequences: int
    draws: int
    batch: int
    target_se: float | int | None = None
    most_draws: int = 1024

    def __post_init__(self) -> None:
        """Refuse a target that no number of draws reaches, or that no error is estimated for."""
        target = self.target_se
        if target is None:
            return
        if type(target) not in (int, float) or not 0 < target < math.inf:
            raise InputError(f"evaluation.target_se must be a number above 0, found {target}")
        if self.most_draws < 2 * self.draws:
            raise InputError(
                f"evaluation.most_draws must be at least {2 * self.draws}, two rounds of "
                f"evaluation.draws, found {self.most_draws}"
            )

    def __call__(self, evaluated: Evaluated) -> Callable[[], Measured]:
        """Open both splits; return the function that estimates the bound.

        Raises:
            InputError: The bound does not fit the model, or the text is not that of its training.
        """
        data = evaluated.run.require_data(evaluated.data, SPLITS)
        self.bound.check(evaluated.model)
        windows = {
            split: self._windows(
                evaluated.open_split(split), evaluated.length, evaluated.tokenizer
            )
            for split in SPLITS
        }
        return partial(self._measure, evaluated, windows, data)

    def _measure(
        self,
        evaluated: Evaluated,
        windows: Mapping[str, Rows],
        data: Mapping[str, str],
    ) -> Measured:
        draws, splits = {}, {}
        for split, rows in windows.items():
            seed = SPLITS[split]
            rounds = self._rounds(partial(self._round, evaluated, rows, seed), rows.characters)
            draws[split] = _joined(rounds, 1)
            splits[split] = _summary(draws[split], rows)
            if self.target_se is not None:
                splits[split] |= self._error(rounds, rows.characters)
        fields = {
            "length": evaluated.length,
            "data_sha256": data,
            "bound": type(self.bound).__name__.lower(),
            "epsilon": getattr(self.bound, "epsilon", None),
            "target_se": self.target_se,
            "splits": splits,
            "by_noise": [_level(level) for level in by_level(draws["test"])],
        }
        return Measured(fields, sum(part["tokens"] * part["draws"] for part in splits.values()))

    def _round(self, evaluated: Evaluated, rows: Rows, seed: int, number: int) -> Draws:
        """Return a round of draws, independent of all others."""
        seed += len(SPLITS) * number
        bound = partial(self.bound, evaluated.model, seed=seed, draws=self.draws)
        size = max(1, self.batch // self.draws) if self.bound.sampled else self.batch
        return _draw(bound, rows, size, evaluated.devices)

    def _rounds(self, draw: Callable[[int], Draws], characters: Tensor) -> list[Draws]:
        """Return the rounds ``draw(0)``, … : one, or as many as the target needs."""
        rounds = [draw(0)]
        if self.target_se is None or not self.bound.sampled:
            return rounds
        while (len(rounds) + 1) * self.draws <= self.most_draws:
            rounds.append(draw(len(rounds)))
            enough = len(characters) * (len(rounds) - 1) >= FREEDOM
            if enough and self._error(rounds, characters)["target_reached"]:
                break
        return rounds

    def _error(self, rounds: list[Draws], characters: Tensor) -> dict[str, Any]:
        """Return the error by the draws alone, and whether it is as small as the target."""
        means = torch.stack([draws.nats.mean(1) for draws in rounds], 1)
        error = draws_error(means, characters) if self.bound.sampled else 0.0
        assert self.target_se is not None
        return {"bpc_draws_se": error, "target_reached": error <= self.target_se}

    def _windows(self, file: TokenFile, length: int, tokenizer: Tokenizer) -> Rows:
        """Return windows, or the examples of a file of such.

        Raises:
            InputError: The split is too short, or its windows stand for no character.
        """
        rows = held_out(file, length, self.sequences, tokenizer, "evaluation.sequences")
        if not rows.characters.any():
            raise InputError(
                f"{file.path}: the tokens of evaluation.sequences={self.sequences} windows stand "
                "for no character; evaluate more, or set another tokenizer"
            )
        return rows


def _draw(bound: Callable[..., Draws], rows: Rows, size: int, devices: Devices) -> Draws:
    """Return draws for all rows, ``size`` of them at a time; no number depends on the size."""
    parts = []
    for start in range(0, len(rows.tokens), size):
        chunk = rows.tokens[start : start + size].to(devices.device)
        mask = rows.mask(slice(start, start + size), devices.device)
        ids = torch.arange(start, start + len(chunk), device=devices.device)
        with devices.autocast():
            parts.append(bound(chunk, ids, **mask))
    return _joined(parts, 0)


def _joined(parts: list[Draws], dim: int) -> Draws:
    """Return the draws of further sequences (0) or further draws of the same ones (1)."""
    return Draws(
        *(torch.cat([getattr(part, name).cpu() for part in parts], dim) for name in vars(parts[0]))
    )


def _summary(draws: Draws, rows: Rows) -> dict[str, Any]:
    """Return numbers of one split, and nats and characters per sequence for paired comparisons."""
    nats = draws.nats.mean(1)
    bpc = bits_per_character(nats, rows.characters)
    return {
        "bpc": bpc.value,
        "bpc_se": bpc.se,
        "ppl_token": perplexity(nats, rows.count),
        "sequences": len(nats),
        "tokens": rows.count,
        "characters": int(rows.characters.sum()),
        "draws": draws.nats.shape[1],
        "nats": nats.tolist(),
        "chars": rows.characters.tolist(),
    }


def _level(level: Level) -> dict[str, float]:
    return {
        "alpha": level.alpha,
        "nats_per_token": level.nats,
        "se": level.se,
        "n": level.draws,
    }
