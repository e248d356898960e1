"""A training of a classifier of labeled texts, the reward or the judge of later runs.

It fits weights of n-grams by L-BFGS, in one process, and does not resume. Its configuration holds
only what decides it.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from tcsm.config import build
from tcsm.errors import InputError
from tcsm.io.layout import JOURNALS, WEIGHTS
from tcsm.io.records import Record, Writer
from tcsm.runs.defaults import cut
from tcsm.runs.run import Run
from tcsm.training.telemetry import Stopwatch, describe

KEYS = ("experiment", "axes", "seed", "out", "labels", "classifier", "half")


def is_named(cfg: DictConfig) -> bool:
    """Return whether a configuration is of a classifier, or of what it alone reads."""
    return cfg.classifier is not None or cfg.labels is not None


def fit(cfg: DictConfig, out: Path) -> None:
    """Train on one half of the texts, test on what that half held out, write the run's folder.

    Raises:
        InputError: Invalid texts; a missing key; a model in the configuration, or in the folder.
    """
    watch, run = Stopwatch(), Run(out, cut(cfg, KEYS))
    _require_alone(cfg, run)
    # Labels and Training: as imports, their modules would count as read by every training.
    labels: Any = build(cfg.labels)
    train: Any = build(cfg.classifier)
    examples = labels.half(cfg.half)
    for note in labels.tally.notes():
        print(f"tcsm: train: {note}", file=sys.stderr)
    texts, held_out = examples["train"], examples["test"]
    classifier = train(texts.texts, texts.array)
    record = {
        "labels": labels.title,
        "half": cfg.half,
        "parameters": classifier.weight.size + 1,
        "steps": classifier.iterations,
        "tokens": None,  # it reads texts
        "train_texts": len(texts),
        "test_texts": len(held_out),
        **classifier.test(held_out.texts, held_out.array),
    }
    loss = classifier.cross_entropy(texts.texts, texts.array)
    characters = sum(map(len, texts.texts + held_out.texts))
    telemetry = describe(watch, characters, torch.device("cpu"))
    run.forget()
    digest = classifier.save(out / WEIGHTS)
    _write_journals(out, classifier.iterations, loss, telemetry)
    run.write("train", {**record, "weights_sha256": digest}, telemetry, JOURNALS)


def _write_journals(out: Path, step: int, loss: float, telemetry: dict[str, object]) -> None:
    """Write loss and times of the last iteration, the only one that the library reports."""
    losses: Record = {"loss": loss}
    times: Record = {key: telemetry[key] for key in ("seconds", "cpu_seconds")}
    for name, row in zip(JOURNALS, (losses, times), strict=True):
        with Writer(out / name) as journal:
            journal.append({"step": step, **row})


def _require_alone(cfg: DictConfig, run: Run) -> None:
    """Refuse a model beside a classifier.

    Raises:
        InputError: The configuration names a model or lacks a key; the folder holds a model.
    """
    if cfg.model is not None:
        raise InputError(
            "model: a training is of a model or, where labels and classifier are set, of a "
            "classifier; leave these out, or start from experiment=reward/testaments"
        )
    for key, choice in (("labels", "jsonl"), ("classifier", "words"), ("half", 0)):
        if cfg[key] is None:
            raise InputError(f"{key}: found null; a classifier needs it, as {key}={choice}")
    if run.trained is not None:
        raise InputError(f"out: {run.folder} holds a trained model; name another folder")
