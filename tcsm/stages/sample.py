"""Weights become text: samples at several step counts, with their statistics."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from tcsm.config import build
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.evaluation.estimates import bits_per_character
from tcsm.evaluation.samples import distinct, entropy, repetition
from tcsm.reporting.records import write_json
from tcsm.samplers.base import Sampled, Sampler
from tcsm.stages._shared import load_model, open_run
from tcsm.stages._template import known
from tcsm.teachers.autoregressive import Autoregressive
from tcsm.training.devices import Devices
from tcsm.training.telemetry import Stopwatch, describe

READS = (
    "experiment",
    "seed",
    "out",
    "data.length",
    "tokenizer",
    "model",
    "reference",
    "sampler",
    "sampling.count",
    "sampling.steps",
    "sampling.template",
    "judge",
    "devices",
)


def main(cfg: DictConfig, out: Path) -> None:
    """Draw texts on every grid of ``sampling.steps``; write ``samples.json``."""
    tokenizer = build(cfg.tokenizer)
    devices: Devices = build(cfg.devices)
    sampler: Sampler = build(cfg.sampler)
    given = known(cfg.sampling.template, tokenizer, cfg.data.length)
    watch, tokens = Stopwatch(), 0
    with devices.ready():
        model = load_model(cfg, tokenizer, out, devices)
        judge = _judge(cfg, tokenizer, devices)
        runs = []
        for steps in cfg.sampling.steps:
            walk = replace(sampler, steps=steps)
            with devices.autocast():
                drawn = walk(model, cfg.sampling.count, cfg.data.length, cfg.seed, given)
                runs.append({**_describe(walk, drawn, tokenizer, judge), "steps": steps})
            tokens += drawn.tokens.numel()
        record = {"stage": "sample", "experiment": cfg.experiment, "seed": cfg.seed, "runs": runs}
        write_json(out / "samples.json", record)
        write_json(out / "sample.telemetry.json", describe(watch, tokens, devices.device))


def _judge(cfg: DictConfig, tokenizer: Tokenizer, devices: Devices) -> Autoregressive | None:
    """The autoregressive run that scores samples; its own configuration says what it is."""
    if cfg.judge is None:
        return None
    run = open_run("judge", Path(cfg.judge))
    judge = load_model(run, tokenizer, Path(cfg.judge), devices)
    if not isinstance(judge, Autoregressive):
        raise InputError(f"judge: {cfg.judge} must be an autoregressive run")
    return judge


def _describe(
    sampler: Sampler, drawn: Sampled, tokenizer: Tokenizer, judge: Autoregressive | None
) -> dict[str, Any]:
    tokens = drawn.tokens
    return {
        "sampler": type(sampler).__name__,
        "network_calls": drawn.network_calls,
        "texts": [tokenizer.decode(row.cpu().numpy()) for row in tokens],
        "statistics": {
            "entropy": entropy(tokens),
            "distinct_4": distinct(tokens, 4),
            "repetition": repetition(tokens, 4),
            "judge_bpc": _judged(judge, tokens, tokenizer) if judge else None,
        },
    }


@torch.no_grad()
def _judged(judge: Autoregressive, tokens: Tensor, tokenizer: Tokenizer) -> float:
    """Generative perplexity as BPC: −log p(samples) under the judge, a character."""
    characters = torch.from_numpy(tokenizer.characters(tokens.cpu().numpy()))
    return bits_per_character(-judge.log_prob(tokens).cpu(), characters).value
