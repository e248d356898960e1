"""Score the samples of a model by the reward, by an independent judge, and as text.

Post-training is judged by three numbers that trade off: the reward, a classifier of other data and
other features, and the likelihood under an autoregressive model of the text. A training-free guide
may choose each text among several.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float64, Int64
from omegaconf import DictConfig
from torch import Tensor, nn

from tcsm.config import build
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.models.autoregressive import Autoregressive
from tcsm.noise import batch_noise, fold
from tcsm.on_policy import rewards_of
from tcsm.rewards.base import Reward
from tcsm.runs.drafts import Tensors, draft, of_model, remove
from tcsm.runs.drawing import sampler_of
from tcsm.runs.judging import judge_rate, open_judge, open_reward, variety
from tcsm.runs.run import Run
from tcsm.runs.teachers import of_run
from tcsm.samplers.base import Sampler
from tcsm.samplers.guidance import BestOfN, Guidance
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
OF = ("grading.run", "out")
ANEW = ("seed",)  # other draws of the same weights
TEXTS = 8  # texts in the record


@dataclass(frozen=True)
class Judges:
    """The models that score texts, opened before any text is drawn.

    Attributes:
        reward: The reward.
        other: An independent reward, if there is one.
        language: An autoregressive model of the text, if there is one.
    """

    reward: Reward
    other: Reward | None
    language: Autoregressive | None


@dataclass(frozen=True)
class Drawn:
    """Texts and their cost.

    Attributes:
        tokens: The texts.
        rewards: The reward of each.
        sampler: Name of the sampler.
        network_calls: Number of forward passes over as many texts.
        reward_calls: Number of rewards that a guide evaluated.
    """

    tokens: Int64[Tensor, "N L"]
    rewards: Float64[Tensor, "N"]
    sampler: str
    network_calls: int
    reward_calls: int


@torch.no_grad()
def main(cfg: DictConfig, out: Path) -> None:
    """Open all, draw texts, score them, write ``grade.json``.

    Draws are saved before they are scored: the same command reuses them if scoring fails.

    Raises:
        InputError: A run is missing or reads other tokens; no reward, or one that is not finite.
    """
    tokenizer: Tokenizer = build(cfg.tokenizer)
    devices: Devices = build(cfg.devices)
    watch = Stopwatch()
    with devices.ready():
        judges = _judges(cfg, tokenizer, devices)
        drawn = _draw(cfg, tokenizer, devices, judges.reward)
        numbers = _numbers(cfg, drawn, tokenizer, judges)
        record = {**Run(Path(cfg.grading.run)).draws(cfg.seed), **numbers}
        telemetry = describe(watch, drawn.tokens.numel(), devices.device)
        Run(out, cfg).write("grade", record, telemetry)
        remove(out, "grade")


def _judges(cfg: DictConfig, tokenizer: Tokenizer, devices: Devices) -> Judges:
    """Return rewards and judge of a configuration."""
    reward = open_reward(cfg.reward)
    if reward is None:
        raise InputError("reward: found null; grade needs one, such as reward=classifier")
    other = open_reward(cfg.reward_judge, "reward_judge")
    return Judges(reward, other, open_judge(cfg, tokenizer, devices))


def _draw(cfg: DictConfig, tokenizer: Tokenizer, devices: Devices, reward: Reward) -> Drawn:
    """Draw the guide's candidates for each text, and choose one of them."""
    model = _model(cfg, tokenizer, devices)
    sampler = sampler_of(cfg, model, cfg.grading.steps)
    guide: Guidance = BestOfN(1) if cfg.guide is None else build(cfg.guide)
    keys = ("sampler", "grading.count", "grading.steps")
    kept = draft(cfg, "grade", keys, str(guide.count), of_model(model, devices))

    def candidates() -> Tensors:
        with devices.autocast():
            return _candidates(cfg, model, sampler, guide.count)

    drawn = kept.load_or_draw(candidates)
    tokens = drawn["tokens"]
    rewards = torch.stack([rewards_of(reward, some, tokenizer) for some in tokens], 1)
    chosen = guide.choose(rewards, batch_noise(cfg.seed, 0, len(rewards)).uniform("guide"))
    rows = torch.arange(len(chosen))
    reward_calls = rewards.numel() if cfg.guide is not None else 0
    name, calls = type(sampler).__name__, int(drawn["calls"])
    return Drawn(tokens[chosen, rows], rewards[rows, chosen], name, calls, reward_calls)


def _candidates(cfg: DictConfig, model: nn.Module, sampler: Sampler, count: int) -> Tensors:
    """Return samples (count, N, L), and the number of forward passes."""
    drawn = [
        sampler(
            model,
            cfg.grading.count,
            cfg.data.length,
            int(fold(cfg.seed, zlib.crc32(b"grade"), index)),
        )
        for index in range(count)
    ]
    calls = torch.tensor(sum(sampled.network_calls for sampled in drawn))
    return {"tokens": torch.stack([sampled.tokens.cpu() for sampled in drawn]), "calls": calls}


def _model(cfg: DictConfig, tokenizer: Tokenizer, devices: Devices) -> nn.Module:
    if cfg.grading.run is None:
        raise InputError("grading.run: found null, wanted the folder of a trained run")
    return of_run("grading.run", cfg.grading.run, cfg.data.length, tokenizer, devices)


def _numbers(
    cfg: DictConfig, drawn: Drawn, tokenizer: Tokenizer, judges: Judges
) -> dict[str, Any]:
    """Return all numbers about the texts."""
    tokens = drawn.tokens
    judge, other = judges.language, judges.other
    rate = None if judge is None else judge_rate(judge, tokens, tokenizer)
    judge_rewards = None if other is None else rewards_of(other, tokens, tokenizer)
    return {
        "count": len(tokens),
        "length": tokens.shape[1],
        "steps": cfg.grading.steps,
        "sampler": drawn.sampler,
        "network_calls": drawn.network_calls,
        "reward_calls": drawn.reward_calls,
        "reward": _summary(drawn.rewards),
        "judge_reward": None if judge_rewards is None else _summary(judge_rewards),
        "rewards": drawn.rewards.tolist(),
        "judge_rewards": None if judge_rewards is None else judge_rewards.tolist(),
        "judge_bpc": None if rate is None else rate.value,
        "judge_bpc_se": None if rate is None or len(tokens) < 2 else rate.se,
        **variety(tokens),
        "texts": [tokenizer.decode(row.numpy()) for row in tokens[:TEXTS]],
    }


def _summary(rewards: Float64[Tensor, "N"]) -> dict[str, float | None]:
    """Return mean, standard deviation, and error of the mean; a single text has none."""
    spread = float(rewards.std()) if len(rewards) > 1 else None
    error = None if spread is None else spread / len(rewards) ** 0.5
    return {"mean": float(rewards.mean()), "sd": spread, "se": error}
