"""Train a model with any objective, or a classifier; write weights, metrics and a record."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from tcsm.config import build, cut, typed
from tcsm.data.examples import going_on
from tcsm.errors import InputError
from tcsm.io.layout import JOURNALS, WEIGHTS
from tcsm.io.records import Writer
from tcsm.runs import classifier
from tcsm.runs.checkpoints import (
    manager,
    settled,
    train_until_nonfinite,
    write_artifacts,
)
from tcsm.runs.identity import identity
from tcsm.runs.models import unwrap
from tcsm.runs.parts import Loss, Parts, Training
from tcsm.runs.run import Run
from tcsm.runs.text import TextTraining
from tcsm.runs.toy import ToyTraining
from tcsm.training import distributed
from tcsm.training.devices import Devices
from tcsm.training.hooks import Hooks, Row
from tcsm.training.launch import is_needed, start
from tcsm.training.loggers.base import Logger, opened
from tcsm.training.loop import fit
from tcsm.training.progress import Progress
from tcsm.training.resume import CheckpointManager
from tcsm.training.state import TrainState
from tcsm.training.telemetry import Stopwatch, describe

LEFT = (
    "state*.safetensors*",
    *JOURNALS,
    "launch-*.yaml",
)  # files of a training in its scratch folder
KEEP_SCRATCH = "TCSM_KEEP_SCRATCH"
READS = (
    "experiment",
    "axes",
    "seed",
    "out",
    "scratch",
    "world",
    "data.root",
    "data.length",
    "data.batch",
    "corpus",
    "tokenizer",
    "model",
    "initial",
    "reference",
    "collected",
    "batches",
    "tilting",
    "labels",
    "classifier",
    "half",
    "teacher_run",
    "pretrained",
    "targets",
    "objective",
    "bound",
    "trainer",
    "count_failures",
    "validation",
    "devices",
    "logger",
    "overrides",
)

# What decides the training of a classifier.
OF_CLASSIFIER = ("experiment", "axes", "seed", "out", "labels", "classifier", "half")
WRITES = ("out", "scratch", "targets.cache")
RESUMES = True


@dataclass(frozen=True)
class Job:
    """A training and its surroundings.

    Attributes:
        run: The run that it writes.
        training: The training.
        devices: Where to train.
        logger: Another place for the metrics, or None.
    """

    run: Run
    training: Training
    devices: Devices
    logger: Logger | None


def main(cfg: DictConfig, out: Path) -> None:
    """Train, or resume an interrupted training; write the run's folder.

    The scratch folder stays, so that nothing is repeated where several runs share a process and a
    later one is killed: `cleanup` removes it.

    Raises:
        InputError: Data, sizes or values that do not fit together; a loss that is not finite.
    """
    if _is_classifier(cfg):
        return _fit_classifier(cfg, out)
    if Path(cfg.scratch).resolve() == out.resolve():
        raise InputError(
            "scratch: must be another folder than out, whose files it would take along"
        )
    job = Job(
        run=Run(out, cfg),
        training=typed(TextTraining if cfg.world is None else ToyTraining, cfg),
        devices=build(cfg.devices),
        logger=build(cfg.logger),
    )
    with job.devices.ready():
        _train(job)


def _train(job: Job) -> None:
    """Open the parts, train to the last step, and write weights, records and telemetry."""
    run, training, devices = job.run, job.training, job.devices
    parts = training.parts(devices)
    devices.place(parts.model, unwrap(parts.model))
    state = TrainState(unwrap(parts.model), training.trainer, training.seed)
    checkpoints = manager(run, identity(run.values, parts.contents), devices)
    if settled(run.folder, checkpoints, parts.contents, state):
        return
    initial = parts.validation.initial(state)
    checkpoints.resume(state)
    place = f"scratch: {checkpoints.folder} must be one folder for all processes; last step"
    devices.require_same(state.step, place)
    parts.teacher.resume_costs(checkpoints.folder / JOURNALS[1])
    watch = Stopwatch(state.elapsed)
    if devices.main:
        run.forget()
    parts = replace(parts, batches=going_on(parts.batches, state.step, state.sequences))
    _descend(job, parts, state, checkpoints)
    weights = state.weights()  # every process must call it
    if devices.main:
        facts = {**parts.facts(), **initial, "contents": parts.contents}
        if checkpoints.changes:  # the result differs from that of an uninterrupted run
            facts["changes"] = checkpoints.changes
        record = write_artifacts(run, state, weights)
        flops = unwrap(parts.model).flops_per_token(training.data.length)
        telemetry = describe(watch, state.tokens, devices.device, flops, devices.world)
        telemetry |= parts.teacher.costs()
        run.write("train", {**record, **facts}, telemetry, JOURNALS)


def _descend(job: Job, parts: Parts, state: TrainState, checkpoints: CheckpointManager) -> None:
    """Train to the last step; failures that count end at the last checkpoint."""
    loss = Loss(parts.model, parts.objective, job.training.seed)
    with ExitStack() as stack:
        hooks = _hooks(job, parts, state, checkpoints, stack)
        descend = partial(fit, state, loss, parts.batches, job.devices, hooks)
        if job.training.count_failures:
            train_until_nonfinite(descend, state, checkpoints)
        else:
            descend()


def _hooks(
    job: Job,
    parts: Parts,
    state: TrainState,
    checkpoints: CheckpointManager,
    stack: ExitStack,
) -> Hooks:
    """Return hooks: journals in the scratch folder, progress, a logger, and checkpoints."""
    validate, training = parts.validation, job.training
    if not checkpoints.main:  # it takes part in validation and checkpoints
        return Hooks(record=lambda row: validate(state), checkpoints=checkpoints)
    paths = (checkpoints.folder / name for name in JOURNALS)
    metrics, times = (stack.enter_context(closing(Writer(path, state.step))) for path in paths)
    label = f"{training.experiment} seed {training.seed}"
    progress = stack.enter_context(closing(Progress(label)))
    progress.begin(training.trainer.steps, metrics.path)
    log = stack.enter_context(opened(job.logger, job.run.folder, state.step))

    def record(row: Row) -> None:
        row = {**row, **validate(state)}
        for write in (metrics.append, progress.note, log):
            write(row)

    def time(row: Row) -> None:
        row = {**row, **parts.teacher.costs()}
        for write in (times.append, log):
            write(row)

    return Hooks(record, time, progress, checkpoints)


def printed(run: Run) -> Iterator[str]:
    """Yield the last losses of a training, where its weights are, and the next command."""
    record = run.record()
    first, last = (record.get(key) or {} for key in ("initial", "final"))
    names = {"loss": "loss", "valid_bpc": "validation BPC", "exact_kl": "exact KL"}
    values = [
        f"{words} {last[key]:.3f}" + _change(first.get(key), last[key])
        for key, words in names.items()
        if last.get(key) is not None
    ]
    yield f"step {record['steps']}: {', '.join(values) or 'done'} → {run.folder / WEIGHTS}"
    if not _is_classifier(run.config):
        yield f"next: tcsm evaluate out={run.folder}"


def _change(first: float | None, last: float) -> str:
    return "" if first is None else f" ({last - first:+.3f} from the initial weights)"


def launch(runs: Sequence[DictConfig]) -> int | None:
    """Start several processes for the runs if they are configured; return None if not.

    Raises:
        InputError: The runs differ in their number of processes.
    """
    if any(map(_is_classifier, runs)):
        distributed.require_single(runs)
        return None
    devices: Devices = build(runs[0].devices)
    if any(run.devices != runs[0].devices for run in runs):
        raise InputError("devices: the runs of one command must have the same, found others")
    if not is_needed(devices):
        return None
    text = "---\n".join(OmegaConf.to_yaml(run, resolve=True) for run in runs)
    return start("train", text, Path(runs[0].scratch), devices)


def cleanup(cfg: DictConfig) -> None:
    """Remove the scratch folder of a run whose own folder is complete.

    A scratch folder within the run's folder stays, so that the run can continue to more steps.
    With ``TCSM_KEEP_SCRATCH`` set, the caller removes it.
    """
    devices: Devices = build(cfg.devices)
    within = Path(cfg.out).resolve() in Path(cfg.scratch).resolve().parents
    if (
        devices.main and not within and KEEP_SCRATCH not in os.environ
    ):  # another process may have removed it
        for path in (p for pattern in LEFT for p in Path(cfg.scratch).glob(pattern)):
            path.unlink(missing_ok=True)  # no other files; releasing the lock removes the folder
    devices.leave()


def _is_classifier(cfg: DictConfig) -> bool:
    """Return whether a configuration is of a classifier, or of what it alone reads."""
    return cfg.classifier is not None or cfg.labels is not None


def _fit_classifier(cfg: DictConfig, out: Path) -> None:
    """Train a classifier.

    Raises:
        InputError: The configuration names a model, or lacks a key; or as in `classifier.fit`.
    """
    if cfg.model is not None:
        raise InputError(
            "model: a training is of a model or, where labels and classifier are set, of a "
            "classifier; leave these out, or start from experiment=reward/testaments"
        )
    for key, choice in (("labels", "jsonl"), ("classifier", "words"), ("half", 0)):
        if cfg[key] is None:
            raise InputError(f"{key}: found null; a classifier needs it, as {key}={choice}")
    run = Run(out, cut(cfg, OF_CLASSIFIER))
    classifier.fit(run, build(cfg.labels), build(cfg.classifier), cfg.half)
