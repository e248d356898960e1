"""A training of a classifier of labeled texts, the reward or the judge of later runs.

It fits weights of n-grams by L-BFGS, in one process, and does not resume. Its configuration holds
only what decides it.
"""

import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from tcsm.errors import InputError
from tcsm.io.layout import JOURNALS, WEIGHTS
from tcsm.io.records import Record, Writer
from tcsm.runs.run import Run
from tcsm.training.telemetry import Stopwatch, describe


def fit(run: Run, labels: Any, train: Any, half: int) -> None:  # noqa: ANN401 -- Labels, Training:
    """Train on one half of the texts, test on what that half held out, write the run's folder.

    Args:
        run: The run.
        labels: The labeled texts.
        train: The training; as imports, the modules of both would count as read by every training.
        half: The half that it learns from.

    Raises:
        InputError: Invalid texts; a model in the folder.
    """
    watch, out = Stopwatch(), run.folder
    if run.trained is not None:
        raise InputError(f"out: {out} holds a trained model; name another folder")
    examples = labels.half(half)
    for note in labels.tally.notes():
        print(f"tcsm: train: {note}", file=sys.stderr)
    texts, held_out = examples["train"], examples["test"]
    classifier = train(texts.texts, texts.array)
    record = {
        "labels": labels.title,
        "half": half,
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
        with closing(Writer(out / name)) as journal:
            journal.append({"step": step, **row})
