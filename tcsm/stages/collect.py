"""Collect samples of a frozen model with their rewards (10.2, 10.5), or pairs of a file.

    x ∼ p_ref, R(x), log w(x)        w = p_base(x | order)/p_ref(x | order), or 1 without a base

Trained with weights ∝ w e^{R/β}, any objective aims at p_base e^{R/β}/Z. A second collection from
the trained model is a refresh: with the first model as ``base`` the target stays, without it each
round tilts the last distribution further, Σ 1/β in all.

A file of preferences becomes rows of [winner | loser] with rewards of zero, for feed=pair_file.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from tcsm.config import build
from tcsm.data.buffer import Buffer, write_buffer
from tcsm.data.header import read_header
from tcsm.data.tilts import Boltzmann, kl_of_weights, relative_ess, suggested_beta
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.io.layout import TOKENS
from tcsm.on_policy import rewards_of
from tcsm.runs.drafts import remove
from tcsm.runs.drawing import draw, windows
from tcsm.runs.judging import open_reward, summary, variety
from tcsm.runs.pairing import write_pairs
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
    "preferences",
    "reward",
    "sampler",
    "collecting",
    "devices",
)
OF = ("reference",)
BETAS = tuple(2.0**k for k in range(5, -6, -1))  # values of β in the record
TEXTS = 8  # texts in the record
LEAST_ESS = 0.3  # share of the effective sequences that a suggested β leaves


@torch.no_grad()
def main(cfg: DictConfig, out: Path) -> None:
    """Open all, draw, score, write ``sequences.tok``, ``rewards.safetensors``, ``collect.json``.

    Draws are saved before they are scored: the same command reuses them if scoring fails.

    Raises:
        InputError: A run is missing or reads other tokens; a reward is not finite; invalid
            preferences.
    """
    tokenizer: Tokenizer = build(cfg.tokenizer)
    _require_one_source(cfg)
    if cfg.preferences is not None:
        return write_pairs(Run(out, cfg), tokenizer)
    devices: Devices = build(cfg.devices)
    reward = open_reward(cfg.reward)
    watch = Stopwatch()
    with devices.ready():
        drawn = windows(cfg, tokenizer) if cfg.collecting.corpus else draw(cfg, tokenizer, devices)
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


def printed(run: Run) -> Iterator[str]:
    """Yield how many sequences there are, their rewards, and a β whose weights are not too few."""
    record = run.record("collect")
    reward = record.get("reward")
    yield f"{record['count']} sequences → {run.folder / TOKENS}"
    if reward and record.get("ess"):
        yield f"reward {reward['mean']:.3f}, deviation {reward['sd']:.3f}"
        beta = record.get("suggested_beta")
        if beta is None:
            yield "no tilt.beta is suggested: the rewards are equal, or most have the highest one"
        else:
            share = f"{100 * LEAST_ESS:.0f} %"
            yield f"suggested: tilt.beta={beta:g}, which leaves {share} of the sequences effective"


def numbers(buffer: Buffer, betas: Sequence[float]) -> dict[str, Any]:
    """Return statistics of a collection: rewards, variety, and ESS and KL of its weights by β."""
    weight = summary(buffer.log_weight)
    tilted = {beta: Boltzmann(beta).log_weights(buffer) for beta in betas}
    return {
        "count": len(buffer),
        "length": buffer.tokens.shape[1],
        "reward": summary(buffer.reward),
        "ess": [
            {
                "beta": beta,
                "ess": relative_ess(log_w),
                "kl": kl_of_weights(log_w, buffer.log_weight),
            }
            for beta, log_w in tilted.items()
        ],
        "suggested_beta": suggested_beta(buffer, LEAST_ESS) if betas else None,
        "log_weight": {
            "mean": weight["mean"],
            "sd": weight["sd"],
            "ess": relative_ess(buffer.log_weight),
        },
        **variety(buffer.tokens),
    }


def _require_one_source(cfg: DictConfig) -> None:
    """Check what is collected: samples of a model, windows of the text, or pairs of a file.

    Raises:
        InputError: None of them is named, or several are.
    """
    named = [f"{key}={cfg[key]}" for key in ("reference", "preferences") if cfg[key] is not None]
    named += ["collecting.corpus=true"] if cfg.collecting.corpus else []
    if len(named) != 1:
        raise InputError(
            f"reference: found {' and '.join(named) or 'null'}; name the folder of the run that "
            "draws, or take the training text by reference=null collecting.corpus=true, or a "
            "file of pairs by reference=null preferences=FILE"
        )
