"""Use trained runs from Python: load one, draw samples from it, evaluate it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tcsm import commands, config
from tcsm.config import defaults
from tcsm.errors import InputError
from tcsm.evaluation.bound import Bound, Draws
from tcsm.huggingface import one_line
from tcsm.io.layout import weights_of
from tcsm.io.records import Record
from tcsm.models.base import Posterior
from tcsm.runs.models import load_model
from tcsm.runs.run import Run
from tcsm.stages import sample as sampling

Folder = str | PathLike[str]
HUB = "hub:"


@dataclass(frozen=True)
class Score:
    """The likelihood of one text under a model.

    Attributes:
        nats: Estimate of −log p(text), or of its bound, in nats.
        error: Standard error of the estimate from its draws; 0 where the likelihood is exact, NaN
            of a single draw.
        characters: Number of characters of the text.
    """

    nats: float
    error: float
    characters: int

    @property
    def bits_per_character(self) -> float:
        """Return nats/(ln 2 · characters)."""
        return self.nats / (math.log(2) * self.characters)


class TrainedRun(Run):
    """A run with weights, and what they can be asked."""

    @cached_property
    def model(self) -> nn.Module:
        """Return the trained model, in evaluation mode.

        Raises:
            InputError: The weights are damaged, or of another model.
        """
        return load_model(self, config.build(self.config.devices))

    def sample(
        self, count: int, prompt: str | None = None, steps: int | None = None, seed: int = 0
    ) -> list[str]:
        """Return texts of ``data.length`` tokens, drawn by the sampler of the configuration.

        Args:
            count: Number of texts.
            prompt: Known text, in which each "_" is a token to draw, as is all after its end.
            steps: Number of sampler steps; None for the largest of ``sampling.steps``.
            seed: Seed of the draws.

        Raises:
            InputError: A prompt that is too long or in other symbols; fewer than one step.
        """
        cfg = self.config
        sampler = replace(config.build(cfg.sampler), steps=steps or max(cfg.sampling.steps))
        length = cfg.data.length
        given = sampling.parse_template(prompt, self.tokenizer, length)
        with torch.no_grad():
            tokens = sampler(self.model, count, length, seed, given).tokens
        return [self.tokenizer.decode(row.cpu().numpy()) for row in tokens]

    def score(self, texts: Sequence[str], draws: int = 16, seed: int = 0) -> list[Score]:
        """Return the likelihood of each text, by the bound of the configuration (§11).

        A text of more than ``data.length`` tokens is cut into parts that the model reads one by
        one; their nats are summed.

        Args:
            texts: The texts.
            draws: Draws of the bound for each part.
            seed: Seed of the draws.

        Raises:
            InputError: An empty text, or one in other symbols than those of the tokenizer.
        """
        bound: Bound = config.build(self.config.bound)
        call = partial(bound, self.model, seed=seed, draws=draws)
        return [self._score(call, bound.sampled, text, at) for at, text in enumerate(texts)]

    def _score(self, bound: Callable[..., Draws], sampled: bool, text: str, index: int) -> Score:
        tokens = torch.from_numpy(self.tokenizer.encode(text).astype("int64"))
        if not len(tokens):
            raise InputError(f"texts[{index}]: is empty; a text has one token or more")
        device = next(self.model.parameters()).device
        characters = int(self.tokenizer.characters(tokens[None].numpy())[0])
        ids = torch.tensor([index], device=device)
        parts = torch.split(tokens.to(device), self.config.data.length)
        nats = torch.stack([bound(part[None], ids).nats[0].cpu() for part in parts]).sum(0)
        error = float(nats.std() / len(nats) ** 0.5) if sampled else 0.0
        return Score(float(nats.mean()), error, characters)

    def log_conditionals(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Return log q^i(· | x_t) at every position, (B, L, V); visible ones are certain (1.3).

        Args:
            x_t: States, (B, L); the mask is the state V.
            t: Times, (B), 0 for noise and 1 for data.

        Raises:
            InputError: The model has no marginals.
        """
        if not isinstance(self.model, Posterior):
            name = type(self.model).__name__
            raise InputError(f"model: log_conditionals needs a posterior, found {name}")
        path: Any = self.model.path
        with torch.no_grad():
            return self.model.log_marginals(x_t, t, path.source.noised(x_t))


def load(folder: Folder, *overrides: str) -> TrainedRun:
    """Return a trained run, whose ``model``, ``tokenizer`` and ``config`` can be used.

    Args:
        folder: Folder of the run, or of ``tcsm export``; "hub:OWNER/NAME", or
            "hub:OWNER/NAME@REVISION", is downloaded first from the Hugging Face Hub.
        overrides: As on the command line, such as "devices.choice=cpu".

    Raises:
        InputError: There is no such run, it cannot be downloaded, or an override is invalid.
    """
    if str(folder).startswith(HUB):
        with one_line(f"{folder}: cannot be downloaded"):
            from huggingface_hub import snapshot_download  # noqa: PLC0415 -- may be absent

            name, _, revision = str(folder).removeprefix(HUB).partition("@")
            folder = snapshot_download(name, revision=revision or None)
    reads = (*sampling.READS, "bound")
    composed = defaults.compose([f"out={folder}", *overrides], reads, sampling.OF, sampling.ANEW)
    if not (path := weights_of(Path(folder))).is_file():
        raise InputError(f"{path} does not exist; expected the folder of a run: train first")
    return TrainedRun(Path(folder), config.cut(composed, reads))


def sample(folder: Folder, *overrides: str) -> Record:
    """Draw samples from a trained run as ``tcsm sample`` does; return the record that it wrote.

    Args:
        folder: Folder of the run.
        overrides: As on the command line, such as "sampling.count=4".

    Raises:
        InputError: There is no such run, or an override is invalid.
    """
    return _record("sample", folder, overrides)


def evaluate(folder: Folder, *overrides: str) -> Record:
    """Evaluate a trained run as ``tcsm evaluate`` does; return the record that it wrote.

    Args:
        folder: Folder of the run.
        overrides: As on the command line, such as "evaluation.sequences=32".

    Raises:
        InputError: There is no such run, or an override is invalid.
    """
    return _record("evaluate", folder, overrides)


def _record(stage: str, folder: Folder, overrides: tuple[str, ...]) -> Record:
    commands.run_stage(stage, [f"out={folder}", *overrides])
    return Run(Path(folder)).record(stage)
