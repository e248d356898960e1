"""Train a classifier of labeled texts: the reward of later runs or, from the other half, a judge.

Writes ``classifier.safetensors``, and ``reward.json`` with its accuracy on held-out texts.
"""

import sys
from pathlib import Path

import torch
from omegaconf import DictConfig

from tcsm.config import build
from tcsm.data.labels.base import Labels
from tcsm.rewards.classifier import FILE
from tcsm.rewards.grams import Training, auc
from tcsm.runs.run import Run
from tcsm.training.telemetry import Stopwatch, describe

READS = ("experiment", "axes", "seed", "out", "labels", "classifier", "half")


def main(cfg: DictConfig, out: Path) -> None:
    """Train on one half of the texts, test on what that half held out.

    Raises:
        InputError: Invalid texts.
    """
    watch = Stopwatch()
    labels: Labels = build(cfg.labels)
    train: Training = build(cfg.classifier)
    examples = labels.half(cfg.half)
    for note in labels.tally.notes():
        print(f"tcsm: reward: {note}", file=sys.stderr)
    texts, held_out = examples["train"], examples["test"]
    classifier = train(texts.texts, texts.array)
    log_odds, targets = classifier.log_odds(held_out.texts), held_out.array
    record = {
        "labels": labels.title,
        "half": cfg.half,
        "weights_sha256": classifier.save(out / FILE),
        "train_texts": len(texts),
        "test_texts": len(held_out),
        "auc": auc(log_odds, targets),
        "accuracy": float(((log_odds > 0) == targets).mean()),
    }
    characters = sum(map(len, texts.texts + held_out.texts))
    telemetry = describe(watch, characters, torch.device("cpu"))
    Run(out, cfg).write("reward", record, telemetry)
