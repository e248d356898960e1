"""Train a model with any objective; write weights, metrics and a record."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from tcsm.config import build
from tcsm.data.batches import WindowBatches, evaluation_windows
from tcsm.data.corpora.base import SPLITS
from tcsm.data.tokenfile import TokenFile
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.evaluation.bound import Bound
from tcsm.io.records import Writer, write_json
from tcsm.runs.batches import open_batches, open_split
from tcsm.runs.cached_teacher import CachedTeacher
from tcsm.runs.checkpoints import resume, scratch, train_until_nonfinite, write_artifacts
from tcsm.runs.finished import settled
from tcsm.runs.identity import contents, identity, weights_named
from tcsm.runs.loss import Loss
from tcsm.runs.models import build_model, load_initial, require_tokens, unwrap
from tcsm.runs.run import REFERENCE, Trained, hashes, require_same_text
from tcsm.runs.teachers import load_objective
from tcsm.runs.validation import Validation
from tcsm.training.devices import Devices
from tcsm.training.hooks import Hooks
from tcsm.training.launch import is_needed, start
from tcsm.training.loop import fit
from tcsm.training.optim import OptimConfig
from tcsm.training.resume import JOURNALS, CheckpointManager
from tcsm.training.state import TrainState
from tcsm.training.telemetry import Progress, Stopwatch, describe

LEARNED_FROM = ("initial", "reference", "teacher_run")
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
    "data.root",
    "data.length",
    "data.batch",
    "corpus",
    "tokenizer",
    "model",
    "initial",
    "reference",
    "collected",
    "feed",
    "teacher_run",
    "pretrained",
    "targets",
    "objective",
    "bound",
    "trainer",
    "count_failures",
    "validation.every",
    "validation.sequences",
    "validation.draws",
    "devices",
    "overrides",
)

WRITES = ("out", "scratch", "targets.cache")
RESUMES = True


def main(cfg: DictConfig, out: Path) -> None:
    """Train, or resume an interrupted training; write the run's folder.

    The scratch folder stays, so that nothing is repeated where several runs share a process and a
    later one is killed: `cleanup` removes it.

    Raises:
        InputError: Data, sizes or values that do not fit together; a loss that is not finite.
    """
    if Path(cfg.scratch).resolve() == out.resolve():
        raise InputError(
            "scratch: must be another folder than out, whose files it would take along"
        )
    tokenizer, optim = build(cfg.tokenizer), build(cfg.trainer)
    devices: Devices = build(cfg.devices)
    with devices.ready():
        train, valid = (open_split(cfg, tokenizer, split) for split in ("train", "valid"))
        text = _text(cfg, train)
        windows = WindowBatches(train.tokens, cfg.data.length, cfg.data.batch, cfg.seed)
        model = _model(cfg, tokenizer)
        objective, teacher = load_objective(cfg, tokenizer, devices)
        require_tokens(objective, tokenizer)
        models = {**weights_named(model, objective), "teacher_run": teacher.identity}
        devices.place(model, unwrap(model))
        state = TrainState(unwrap(model), optim, cfg.seed)
        windows.rows(devices.world, state.optim.accumulate)
        validate = replace(
            _validation(cfg, model, valid, state.optim, devices), final_weights=state.final_weights
        )
        loss = Loss(model, objective, cfg.seed)
        source = open_batches(cfg, windows, model, tokenizer, objective)
        digests = contents(cfg, devices, (train, valid), models)
        checkpoints = scratch(cfg, identity(cfg, digests), devices)
        if settled(cfg, checkpoints, digests, state):
            return
        resume(cfg, checkpoints, state, devices)
        teacher.resume_costs(checkpoints.folder / "telemetry.jsonl")
        watch = Stopwatch(state.elapsed)
        if devices.main:
            Trained(out).forget()
        with ExitStack() as stack:
            hooks = _hooks(cfg, checkpoints, state, validate, stack, teacher)
            descend = partial(fit, state, loss, source, devices, hooks)
            train_until_nonfinite(descend, state, checkpoints) if cfg.count_failures else descend()
        weights = state.weights()  # every process must call it
        if devices.main:
            text["contents"] = digests
            if checkpoints.changes:  # the result differs from that of an uninterrupted run
                text["changes"] = checkpoints.changes
            write_artifacts(cfg, out, state, weights, text)
            flops = unwrap(model).flops_per_token(cfg.data.length)
            telemetry = describe(watch, state.tokens, devices.device, flops, devices.world)
            beside = ("config.yaml", "train.json", "telemetry.jsonl")
            write_json(out / "train.telemetry.json", {**telemetry, **teacher.costs()}, beside)


def launch(runs: Sequence[DictConfig]) -> int | None:
    """Start several processes for the runs if they are configured; return None if not.

    Raises:
        InputError: The runs differ in their number of processes.
    """
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


def _text(cfg: DictConfig, train: TokenFile) -> dict[str, object]:
    """Return the record's fields about the text, which runs that a training learns from share.

    Raises:
        InputError: One of them was trained on another cut of it.
    """
    splits, header = hashes(Path(cfg.data.root), SPLITS), train.header
    require_same_text({key: cfg[key] for key in LEARNED_FROM}, cfg.corpus, splits)
    beside = {} if cfg.reference is None else {REFERENCE: Trained(Path(cfg.reference)).weights}
    text = {"corpus": header.corpus, "data_sha256": header.sha256, "splits_sha256": splits}
    return {**text, **beside}


def _model(cfg: DictConfig, tokenizer: Tokenizer) -> nn.Module:
    """Return the model with its initial weights, on the CPU."""
    torch.manual_seed(cfg.seed)
    model = build_model(cfg, tokenizer)
    load_initial(cfg, model, tokenizer)
    return model


def _validation(
    cfg: DictConfig, model: nn.Module, data: TokenFile, optim: OptimConfig, devices: Devices
) -> Validation:
    """Return the validation of the learning curve; refuse a bound that does not fit the model."""
    length, count = cfg.data.length, cfg.validation.sequences
    windows = evaluation_windows(data.tokens, length, count, "validation.sequences")
    bound: Bound = build(cfg.bound)
    bound.check(model)
    return Validation(
        model,
        unwrap(model),
        bound,
        windows,
        draws=cfg.validation.draws,
        every=cfg.validation.every,
        log_every=optim.log_every,
        steps=optim.steps,
        devices=devices,
    )


def _hooks(
    cfg: DictConfig,
    checkpoints: CheckpointManager,
    state: TrainState,
    validate: Validation,
    stack: ExitStack,
    teacher: CachedTeacher,
) -> Hooks:
    """Return hooks: journals in the scratch folder, the progress line, and checkpoints."""
    if not checkpoints.main:  # it takes part in validation and checkpoints
        return Hooks(record=lambda row: validate(int(row["step"])), checkpoints=checkpoints)
    paths = (checkpoints.folder / name for name in JOURNALS)
    metrics, times = (stack.enter_context(Writer(path, state.step)) for path in paths)
    return Hooks(
        record=lambda row: metrics.append({**row, **validate(int(row["step"]))}),
        time=lambda row: times.append({**row, **teacher.costs()}),
        progress=Progress(f"{cfg.experiment} seed {cfg.seed}"),
        checkpoints=checkpoints,
    )
