"""How good the samples of a model are: by the reward, by an independent judge, and as text.

Post-training is judged by three numbers that can be bought from each other: what the reward says,
what a classifier of other data and other features says, and what an autoregressive model of the
text thinks of it. A training-free guide may choose each text among several.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float64, Int64
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from tcsm.config import build
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.noise import batch_noise, fold
from tcsm.reporting.records import write_json, write_text
from tcsm.rewards.base import Reward
from tcsm.samplers.guided import BestOf, Guide
from tcsm.stages._drawing import sampler_of
from tcsm.stages._judging import judge_rate, open_judge, variety
from tcsm.stages._policy import judged
from tcsm.stages._teaching import of_run
from tcsm.training.devices import Devices
from tcsm.training.telemetry import Stopwatch, describe

READS = (
    "experiment",
    "axes",
    "seed",
    "out",
    "data.length",
    "tokenizer",
    "sampler",
    "grading.count",
    "grading.steps",
    "grading.run",
    "guide",
    "reward",
    "reward_judge",
    "judge",
    "devices",
)
TEXTS = 8  # that the record shows


@dataclass(frozen=True)
class Drawn:
    """Texts and what they cost.

    Attributes:
        tokens: the texts.
        rewards: what the reward says of each.
        sampler: who drew them.
        network_calls: passes of the network over as many texts.
        reward_calls: judgments that a guide asked for.
    """

    tokens: Int64[Tensor, "N L"]
    rewards: Float64[Tensor, "N"]
    sampler: str
    network_calls: int
    reward_calls: int


@torch.no_grad()
def main(cfg: DictConfig, out: Path) -> None:
    """Draw texts, judge them, write ``grade.json``.

    Raises:
        InputError: a run is missing or reads other tokens; no reward, or one that is no number.
    """
    tokenizer: Tokenizer = build(cfg.tokenizer)
    devices: Devices = build(cfg.devices)
    if cfg.reward is None:
        raise InputError("reward: found null; grade needs one, such as reward=classifier")
    watch = Stopwatch()
    with devices.ready():
        drawn = _draw(cfg, tokenizer, devices)
        numbers = _numbers(cfg, drawn, tokenizer, devices)
        owner = {"stage": "grade", "experiment": cfg.experiment, "seed": cfg.seed}
        own = () if (out / "train.json").exists() else ("config.yaml",)
        for name in own:
            write_text(out / name, OmegaConf.to_yaml(cfg, resolve=True))
        write_json(out / "grade.json", {**owner, **numbers})
        telemetry = describe(watch, drawn.tokens.numel(), devices.device)
        write_json(out / "grade.telemetry.json", telemetry, own)


def _draw(cfg: DictConfig, tokenizer: Tokenizer, devices: Devices) -> Drawn:
    """As many texts as each candidate of the guide has, and one of them for every text."""
    model = _model(cfg, tokenizer, devices)
    sampler = sampler_of(cfg, model, cfg.grading.steps)
    guide: Guide = BestOf(1) if cfg.guide is None else build(cfg.guide)
    reward: Reward = build(cfg.reward)
    tokens, scores, calls = [], [], 0
    for index in range(guide.count):
        seed = int(fold(cfg.seed, zlib.crc32(b"grade"), index))
        with devices.autocast():
            sampled = sampler(model, cfg.grading.count, cfg.data.length, seed)
        tokens.append(sampled.tokens.cpu())
        scores.append(judged(reward, tokens[-1], tokenizer))
        calls += sampled.network_calls
    found = torch.stack(scores, 1)
    kept = guide.choose(found, batch_noise(cfg.seed, 0, len(found)).uniform("guide"))
    rows = torch.arange(len(kept))
    reward_calls = found.numel() if cfg.guide is not None else 0
    name = type(sampler).__name__
    return Drawn(torch.stack(tokens, 1)[rows, kept], found[rows, kept], name, calls, reward_calls)


def _model(cfg: DictConfig, tokenizer: Tokenizer, devices: Devices) -> nn.Module:
    if cfg.grading.run is None:
        raise InputError("grading.run: found null, wanted the folder of a trained run")
    return of_run("grading.run", cfg, tokenizer, devices)


def _numbers(
    cfg: DictConfig, drawn: Drawn, tokenizer: Tokenizer, devices: Devices
) -> dict[str, Any]:
    """Everything that is said of the texts."""
    tokens = drawn.tokens
    judge = open_judge(cfg, tokenizer, devices)
    rate = None if judge is None else judge_rate(judge, tokens.to(devices.device), tokenizer)
    theirs = None
    if cfg.reward_judge is not None:
        theirs = judged(build(cfg.reward_judge), tokens, tokenizer)
    return {
        "count": len(tokens),
        "steps": cfg.grading.steps,
        "sampler": drawn.sampler,
        "network_calls": drawn.network_calls,
        "reward_calls": drawn.reward_calls,
        "reward": _summary(drawn.rewards),
        "judge_reward": None if theirs is None else _summary(theirs),
        "rewards": drawn.rewards.tolist(),
        "judge_rewards": None if theirs is None else theirs.tolist(),
        "judge_bpc": None if rate is None else rate.value,
        "judge_bpc_se": None if rate is None or len(tokens) < 2 else rate.se,
        **variety(tokens),
        "texts": [tokenizer.decode(row.numpy()) for row in tokens[:TEXTS]],
    }


def _summary(rewards: Float64[Tensor, "N"]) -> dict[str, float | None]:
    """Mean, spread, and error of the mean; a single text has no spread."""
    spread = float(rewards.std()) if len(rewards) > 1 else None
    error = None if spread is None else spread / len(rewards) ** 0.5
    return {"mean": float(rewards.mean()), "sd": spread, "se": error}
