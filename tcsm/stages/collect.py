"""Collect samples of a frozen model with their rewards (10.2, 10.5), or pairs of a file.

    x ∼ p_ref, R(x), log w(x)        w = p_base(x | order)/p_ref(x | order), or 1 without a base

Trained with weights ∝ w e^{R/β}, any objective aims at p_base e^{R/β}/Z. A second collection from
the trained model is a refresh: with the first model as ``base`` the target stays, without it each
round tilts the last distribution further, Σ 1/β in all.

A file of preferences becomes rows of [winner | loser] with rewards of zero, for batches=pair_file.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from tcsm.config import Unbuilt, build, cut
from tcsm.data.batches import WindowBatches
from tcsm.data.buffer import Buffer, unweighted, write_buffer
from tcsm.data.header import read_header
from tcsm.data.preferences import read_preferences
from tcsm.data.tilts import Boltzmann, kl_of_weights, relative_ess, suggested_beta
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.io.layout import TOKENS
from tcsm.on_policy import rewards_of
from tcsm.rewards.base import Reward
from tcsm.runs.corpus import Text
from tcsm.runs.drafts import draft, of_model, remove
from tcsm.runs.drawing import Collection, Drawn, sampler_of
from tcsm.runs.judging import summary, variety
from tcsm.runs.run import Run
from tcsm.runs.teachers import of_run
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
    run, length = Run(out, cfg), cfg.data.length
    if cfg.preferences is not None:
        return write_pairs(run, Path(cfg.preferences), tokenizer, length)
    devices: Devices = build(cfg.devices)
    reward: Reward | None = build(cfg.reward)
    if reward is not None:
        reward.open()
    watch = Stopwatch()
    with devices.ready():
        drawn = (_windows if cfg.collecting.corpus else _draw)(cfg, tokenizer, devices)
        rewards = torch.zeros_like(drawn.log_weight)
        if reward is not None:
            rewards = rewards_of(reward, drawn.tokens, tokenizer)
        buffer = Buffer(drawn.tokens, rewards, drawn.log_weight)
        digest = write_buffer(out, buffer, tokenizer, cfg.experiment)
        drawn_by = None if cfg.reference is None else Run(Path(cfg.reference))
        record = {
            **({"draws_seed": cfg.seed} if drawn_by is None else drawn_by.draws(cfg.seed)),
            "network_calls": drawn.calls,
            "reward_calls": 0 if reward is None else len(buffer),
            "tokens_sha256": read_header(out / TOKENS).sha256,
            "sha256": digest,
            **numbers(buffer, BETAS if reward else ()),
            "texts": [tokenizer.decode(row.numpy()) for row in buffer.tokens[:TEXTS]],
        }
        run.write("collect", record, describe(watch, buffer.tokens.numel(), devices.device))
        remove(out, "collect")


def _windows(cfg: DictConfig, tokenizer: Tokenizer, devices: Devices) -> Drawn:
    """Return windows of the training text, each once before any is repeated.

    Raises:
        InputError: The corpus holds prompts with responses.
    """
    file = Text(Path(cfg.data.root), tokenizer, Unbuilt(cfg.corpus)).open("train")
    if file.header.roles:
        raise InputError(f"collecting.corpus: found true, but {file.path} holds examples, no text")
    count = cfg.collecting.count
    windows = WindowBatches(file.tokens, cfg.data.length, count, cfg.seed)
    return Drawn(windows.at(0).tokens, torch.zeros(count, dtype=torch.float64))


def _draw(cfg: DictConfig, tokenizer: Tokenizer, devices: Devices) -> Drawn:
    """Return samples of the reference, with importance weights towards the base.

    Raises:
        InputError: A run is missing or reads other tokens, or the sampler does not fit the model.
    """
    length, base = cfg.data.length, None
    model = of_run("reference", cfg.reference, length, tokenizer, devices)
    if cfg.base is not None:
        base = of_run("base", cfg.base, length, tokenizer, devices)
    sampler = sampler_of(build(cfg.sampler), model, cfg.collecting.steps)
    count, batch = cfg.collecting.count, cfg.collecting.batch
    collection = Collection((model, base), sampler, length, count, batch, cfg.seed)
    digests = [of_model(one, devices) for one in (model, base) if one is not None]
    chosen = cut(cfg, ("seed", "data.length", "sampler", "collecting"))
    return collection.draw(
        draft(Path(cfg.out), "collect", OmegaConf.to_yaml(chosen), *digests), devices
    )


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


def write_pairs(run: Run, path: Path, tokenizer: Tokenizer, length: int) -> None:
    """Read all lines, then write them and their record.

    Raises:
        InputError: A line is no pair; nothing is written then.
    """
    watch = Stopwatch()
    preferences = read_preferences(path, tokenizer, length)
    count, short = len(preferences.rows), int((preferences.lengths < length).sum())
    if preferences.cut:
        words = f"{preferences.cut} of {2 * count} texts were longer than data.length and were cut"
        print(f"tcsm: collect: {words} to {length} tokens", file=sys.stderr)
    if short:
        words = f"{short} of {2 * count} texts are shorter than data.length = {length}"
        print(f"tcsm: collect: {words}; their padding is not trained on", file=sys.stderr)
    rewards = torch.zeros(count, dtype=torch.float64)
    buffer = unweighted(preferences.rows, rewards)
    buffer = replace(buffer, lengths=preferences.lengths, prompts=preferences.prompts)
    digest = write_buffer(run.folder, buffer, tokenizer, path.name)
    record = {
        "count": count,
        "length": length,
        "cut": preferences.cut,
        "padded": short,
        "tokens_sha256": read_header(run.folder / TOKENS).sha256,
        "sha256": digest,
    }
    telemetry = describe(watch, preferences.rows.numel(), torch.device("cpu"))
    run.write("collect", record, telemetry)
