"""Evaluate a model: the likelihood bound on both held-out splits, and loss by noise level."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from tcsm.config import build
from tcsm.data.batches import evaluation_windows
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.evaluation.bound import Bound, Draws
from tcsm.evaluation.estimates import Level, bits_per_character, by_level, perplexity
from tcsm.io.records import write_json
from tcsm.runs.batches import open_split
from tcsm.runs.models import load_model
from tcsm.runs.run import Trained
from tcsm.training.devices import Devices
from tcsm.training.telemetry import Stopwatch, describe

READS = (
    "experiment",
    "seed",
    "out",
    "data.root",
    "data.length",
    "corpus",
    "tokenizer",
    "model",
    "reference",
    "bound",
    "evaluation.sequences",
    "evaluation.draws",
    "evaluation.batch",
    "devices",
)
OF = ("out",)
SPLITS = {"valid": 2, "test": 3}  # seed of each split's draws, the same for all models


def main(cfg: DictConfig, out: Path) -> None:
    """Estimate the bound on validation and test sequences; write ``evaluate.json``."""
    tokenizer = build(cfg.tokenizer)
    devices: Devices = build(cfg.devices)
    bound: Bound = build(cfg.bound)
    watch, run = Stopwatch(), Trained(out)
    data = run.require_data(Path(cfg.data.root), SPLITS)
    with devices.ready():
        model = load_model(cfg, tokenizer, out, devices)
        bound.check(model)
        held = {split: _windows(cfg, tokenizer, split) for split in SPLITS}
        draws, splits = {}, {}
        for split, seed in SPLITS.items():
            windows, characters = held[split]
            ask = partial(bound, model, seed=seed, draws=cfg.evaluation.draws)
            draws[split] = _draw(ask, windows, cfg.evaluation.batch, devices)
            splits[split] = _summary(draws[split], windows, characters)
        record = {
            "stage": "evaluate",
            "experiment": cfg.experiment,
            "seed": cfg.seed,
            "length": cfg.data.length,
            "weights_sha256": run.weights,
            "data_sha256": data,
            "bound": type(bound).__name__.lower(),
            "epsilon": getattr(bound, "epsilon", None),
            "splits": splits,
            "by_noise": [_level(level) for level in by_level(draws["test"])],
        }
        write_json(out / "evaluate.json", record)
        tokens_seen = sum(part["tokens"] * part["draws"] for part in splits.values())
        telemetry = describe(watch, tokens_seen, devices.device)
        write_json(out / "evaluate.telemetry.json", telemetry, ("evaluate.json",))


def _windows(cfg: DictConfig, tokenizer: Tokenizer, split: str) -> tuple[Tensor, Tensor]:
    """Return windows of a split, shape (N, L), and the characters that each stands for, (N).

    Raises:
        InputError: The split is too short, or its windows stand for no character.
    """
    file = open_split(cfg, tokenizer, split)
    length, count = cfg.data.length, cfg.evaluation.sequences
    windows = evaluation_windows(file.tokens, length, count)
    if (lengths := file.lengths()) is None:
        characters = torch.from_numpy(tokenizer.characters(windows.numpy()))
    else:
        characters = evaluation_windows(lengths, length, count).sum(1)
    if not characters.any():
        raise InputError(
            f"{file.path}: the tokens of evaluation.sequences={count} windows stand for no "
            "character; evaluate more, or set another tokenizer"
        )
    return windows, characters


def _draw(
    ask: Callable[[Tensor, Tensor], Draws], windows: Tensor, size: int, devices: Devices
) -> Draws:
    """Return draws for all windows, ``size`` at a time; no number depends on the size."""
    parts = []
    for start in range(0, len(windows), size):
        chunk = windows[start : start + size].to(devices.device)
        ids = torch.arange(start, start + len(chunk), device=devices.device)
        with devices.autocast():
            parts.append(ask(chunk, ids))
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
