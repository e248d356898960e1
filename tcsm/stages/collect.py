"""Draw samples from a frozen model and score them by a reward (10.2, 10.5).

    x ∼ p_ref, R(x), log w(x)        w = p_base(x | order)/p_ref(x | order), or 1 without a base

Trained with weights ∝ w e^{R/β}, any objective aims at p_base e^{R/β}/Z. A second collection from
the trained model is a refresh: with the first model as ``base`` the target stays, without it each
round tilts the last distribution further, Σ 1/β in all.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from tcsm.config import build
from tcsm.data.buffer import TOKENS, Buffer, write_buffer
from tcsm.data.header import read_header
from tcsm.data.tilts import Boltzmann, kl_of_weights, relative_ess
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.evaluation.samples import distinct, entropy, repetition
from tcsm.on_policy import rewards_of
from tcsm.runs.drafts import remove
from tcsm.runs.drawing import draw, windows
from tcsm.runs.judging import open_reward
from tcsm.runs.run import Run
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
    "reference",
    "base",
    "reward",
    "sampler",
    "collecting",
    "devices",
)
OF = ("reference",)
BETAS = tuple(2.0**k for k in range(5, -6, -1))  # values of β in the record
TEXTS = 8  # texts in the record


@torch.no_grad()
def main(cfg: DictConfig, out: Path) -> None:
    """Open all, draw, score, write ``sequences.tok``, ``rewards.safetensors``, ``collect.json``.

    Draws are saved before they are scored: the same command reuses them if scoring fails.

    Raises:
        InputError: A run is missing or reads other tokens; a reward is not finite.
    """
    tokenizer: Tokenizer = build(cfg.tokenizer)
    devices: Devices = build(cfg.devices)
    reward = open_reward(cfg.reward)
    watch = Stopwatch()
    with devices.ready():
        drawn = windows(cfg, tokenizer) if _of_text(cfg) else draw(cfg, tokenizer, devices)
        rewards = torch.zeros_like(drawn.log_weight)
        if reward is not None:
            rewards = rewards_of(reward, drawn.tokens, tokenizer)
        buffer = Buffer(drawn.tokens, rewards, drawn.log_weight)
        digest = write_buffer(out, buffer, tokenizer, cfg.experiment)
        sums = {"tokens_sha256": read_header(out / TOKENS).sha256, "sha256": digest}
        judgments = 0 if reward is None else len(buffer)
        calls = {"network_calls": drawn.calls, "reward_calls": judgments}
        texts = [tokenizer.decode(row.numpy()) for row in buffer.tokens[:TEXTS]]
        drawn_by = None if cfg.reference is None else Run(Path(cfg.reference))
        record = {
            **({"draws_seed": cfg.seed} if drawn_by is None else drawn_by.draws(cfg.seed)),
            **calls,
            **sums,
            **numbers(buffer, BETAS if reward else ()),
            "texts": texts,
        }
        telemetry = describe(watch, buffer.tokens.numel(), devices.device)
        Run(out, cfg).write("collect", record, telemetry)
        remove(out, "collect")


def numbers(buffer: Buffer, betas: Sequence[float]) -> dict[str, Any]:
    """Return statistics of a collection: rewards, variety, and ESS and KL of its weights by β."""
    tokens, count = buffer.tokens, len(buffer)
    sd = float(buffer.reward.std()) if count > 1 else None
    tilted = {beta: Boltzmann(beta).log_weights(buffer) for beta in betas}
    return {
        "count": count,
        "length": tokens.shape[1],
        "reward": {
            "mean": float(buffer.reward.mean()),
            "sd": sd,
            "se": None if sd is None else sd / count**0.5,
        },
        "ess": [
            {
                "beta": beta,
                "ess": relative_ess(log_w),
                "kl": kl_of_weights(log_w, buffer.log_weight),
            }
            for beta, log_w in tilted.items()
        ],
        "log_weight": {
            "mean": float(buffer.log_weight.mean()),
            "sd": float(buffer.log_weight.std()) if count > 1 else None,
            "ess": relative_ess(buffer.log_weight),
        },
        "entropy": entropy(tokens),
        "distinct_4": distinct(tokens, 4),
        "repetition": repetition(tokens, 4),
    }


def _of_text(cfg: DictConfig) -> bool:
    """Return whether the training text is collected.

    Raises:
        InputError: Neither it nor a model is named, or both are.
    """
    if cfg.collecting.corpus == (cfg.reference is not None):
        named = "null" if cfg.reference is None else f"{cfg.reference} and collecting.corpus=true"
        raise InputError(
            f"reference: found {named}; name the folder of the run that draws, or take the "
            "training text by reference=null collecting.corpus=true"
        )
    return bool(cfg.collecting.corpus)
