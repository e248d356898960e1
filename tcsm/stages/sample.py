"""Weights become text: samples at several step counts, with their statistics."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from tcsm.config import build
from tcsm.data.tokenizers import Tokenizer
from tcsm.reporting.records import write_json
from tcsm.samplers.base import Sampled, Sampler
from tcsm.stages._judging import judge_rate, open_judge, variety
from tcsm.stages._shared import load_model
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
        judge = open_judge(cfg, tokenizer, devices)
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


def _describe(
    sampler: Sampler, drawn: Sampled, tokenizer: Tokenizer, judge: Autoregressive | None
) -> dict[str, Any]:
    tokens = drawn.tokens
    return {
        "sampler": type(sampler).__name__,
        "network_calls": drawn.network_calls,
        "texts": [tokenizer.decode(row.cpu().numpy()) for row in tokens],
        "statistics": {
            **variety(tokens),
            "judge_bpc": judge_rate(judge, tokens, tokenizer).value if judge else None,
        },
    }
