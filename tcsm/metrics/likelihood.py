"""The likelihood bound on held-out text, and the loss by noise level."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from tcsm.data.batches import evaluation_windows
from tcsm.data.tokenfile import TokenFile
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.evaluation.bound import Bound, Draws
from tcsm.evaluation.estimates import Level, bits_per_character, by_level, perplexity
from tcsm.metrics.base import Evaluated, Measured
from tcsm.training.devices import Devices

SPLITS = {"valid": 2, "test": 3}  # seed of each split's draws, the same for all models


@dataclass(frozen=True)
class Likelihood:
    """A bound of the likelihood on validation and test sequences.

    Attributes:
        bound: The estimator.
        sequences: Sequences of each split, evenly spaced.
        draws: Draws of the bound per sequence.
        batch: Sequences in memory at once; no number depends on it.
    """

    bound: Bound
    sequences: int
    draws: int
    batch: int

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
        windows: Mapping[str, tuple[Tensor, Tensor]],
        data: Mapping[str, str],
    ) -> Measured:
        draws, splits = {}, {}
        for split, seed in SPLITS.items():
            tokens, characters = windows[split]
            bound = partial(self.bound, evaluated.model, seed=seed, draws=self.draws)
            draws[split] = _draw(bound, tokens, self.batch, evaluated.devices)
            splits[split] = _summary(draws[split], tokens, characters)
        fields = {
            "length": evaluated.length,
            "data_sha256": data,
            "bound": type(self.bound).__name__.lower(),
            "epsilon": getattr(self.bound, "epsilon", None),
            "splits": splits,
            "by_noise": [_level(level) for level in by_level(draws["test"])],
        }
        return Measured(fields, sum(part["tokens"] * part["draws"] for part in splits.values()))

    def _windows(
        self, file: TokenFile, length: int, tokenizer: Tokenizer
    ) -> tuple[Tensor, Tensor]:
        """Return windows, shape (N, L), and the characters that each stands for, (N).

        Raises:
            InputError: The split is too short, or its windows stand for no character.
        """
        windows = evaluation_windows(file.tokens, length, self.sequences)
        if (lengths := file.lengths()) is None:
            characters = torch.from_numpy(tokenizer.characters(windows.numpy()))
        else:
            characters = evaluation_windows(lengths, length, self.sequences).sum(1)
        if not characters.any():
            raise InputError(
                f"{file.path}: the tokens of evaluation.sequences={self.sequences} windows stand "
                "for no character; evaluate more, or set another tokenizer"
            )
        return windows, characters


def _draw(
    bound: Callable[[Tensor, Tensor], Draws], windows: Tensor, size: int, devices: Devices
) -> Draws:
    """Return draws for all windows, ``size`` at a time; no number depends on the size."""
    parts = []
    for start in range(0, len(windows), size):
        chunk = windows[start : start + size].to(devices.device)
        ids = torch.arange(start, start + len(chunk), device=devices.device)
        with devices.autocast():
            parts.append(bound(chunk, ids))
    return Draws(
        *(torch.cat([getattr(part, name).cpu() for part in parts]) for name in vars(parts[0]))
    )


def _summary(draws: Draws, windows: Tensor, characters: Tensor) -> dict[str, Any]:
    """Return numbers of one split, and nats and characters per sequence for paired comparisons."""
    nats = draws.nats.mean(1)
    bpc = bits_per_character(nats, characters)
    return {
        "bpc": bpc.value,
        "bpc_se": bpc.se,
        "ppl_token": perplexity(nats, windows.shape[1]),
        "sequences": len(windows),
        "tokens": windows.numel(),
        "characters": int(characters.sum()),
        "draws": draws.nats.shape[1],
        "nats": nats.tolist(),
        "chars": characters.tolist(),
    }


def _level(level: Level) -> dict[str, float]:
    return {
        "alpha": level.alpha,
        "nats_per_token": level.nats,
        "se": level.se,
        "n": level.draws,
    }
