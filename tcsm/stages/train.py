"""Any objective, any model: configuration and data become weights and the record of the way."""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from tcsm.config import build
from tcsm.data.batches import Batches, evaluation_windows
from tcsm.data.tokenfile import TokenFile
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.evaluation.bound import Bound
from tcsm.reporting.records import Writer, write_json, write_text
from tcsm.stages._answers import Answers
from tcsm.stages._feeding import begin_at, contents, feed
from tcsm.stages._glue import Loss, Validation
from tcsm.stages._shared import architecture, bare, build_model, open_split, require_tokens
from tcsm.stages._teaching import taught
from tcsm.training.checkpoint import digest, save_weights
from tcsm.training.devices import Devices
from tcsm.training.hooks import Hooks, NotFiniteError
from tcsm.training.launch import start, wanted
from tcsm.training.loop import fit
from tcsm.training.optim import Recipe
from tcsm.training.resume import JOURNALS, Resumable
from tcsm.training.shards import Shards
from tcsm.training.state import TrainState
from tcsm.training.telemetry import Progress, Stopwatch, describe

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
)


def main(cfg: DictConfig, out: Path) -> None:
    """Train, or go on where a killed run stopped; leave the run's folder complete.

    The scratch folder stays, so that nothing is done twice where several runs share a process and
    a later one is killed: `tidy` removes it.

    Raises:
        InputError: data, sizes or values that do not fit together; a loss that is not finite.
    """
    tokenizer = build(cfg.tokenizer)
    train, valid = (open_split(cfg, tokenizer, split) for split in ("train", "valid"))
    batches = Batches(train.tokens, cfg.data.length, cfg.data.batch, cfg.seed)
    devices: Devices = build(cfg.devices)
    with devices.ready():
        model = _model(cfg, tokenizer)
        objective, answers = taught(cfg, tokenizer, devices)
        require_tokens(objective, tokenizer)
        run = _fingerprint(cfg, train.header.sha256, answers.identity, *contents(model, objective))
        devices.place(model, bare(model))
        state = TrainState(bare(model), build(cfg.trainer), cfg.seed)
        batches.rows(devices.world, state.recipe.accumulate)
        validate = _validation(cfg, model, valid, state.recipe, devices)
        loss = Loss(model, objective, cfg.seed)
        fed = feed(cfg, batches, model, tokenizer)
        resumable = _resume(cfg, run, state, devices)
        answers.go_on(resumable.folder / "telemetry.jsonl")
        watch = Stopwatch(state.elapsed)
        with ExitStack() as stack:
            hooks = _hooks(cfg, resumable, state, validate, stack, answers)
            descend = partial(fit, state, loss, fed, devices, hooks)
            _counted(descend, state, resumable) if cfg.count_failures else descend()
        weights = state.weights()  # every process must ask for them
        if devices.main:
            _deliver(cfg, out, state, weights, train)
            flops = bare(model).flops_per_token(cfg.data.length)
            telemetry = describe(watch, state.tokens, devices.device, flops, devices.world)
            beside = ("config.yaml", "telemetry.jsonl")
            write_json(out / "train.telemetry.json", {**telemetry, **answers.costs()}, beside)


def launch(runs: Sequence[DictConfig]) -> int | None:
    """Have several processes do the runs, if they are wanted; None if this one must.

    Raises:
        InputError: the runs want other processes than each other.
    """
    devices: Devices = build(runs[0].devices)
    if any(run.devices != runs[0].devices for run in runs):
        raise InputError("devices: the runs of one command must have the same, found others")
    if not wanted(devices):
        return None
    text = "---\n".join(OmegaConf.to_yaml(run, resolve=True) for run in runs)
    return start("train", text, Path(runs[0].scratch), devices)


def tidy(cfg: DictConfig) -> None:
    """Remove the scratch folder of a run whose own folder is complete."""
    devices: Devices = build(cfg.devices)
    if devices.main:  # the others may be early
        shutil.rmtree(cfg.scratch, ignore_errors=True)
    devices.leave()


def _model(cfg: DictConfig, tokenizer: Tokenizer) -> nn.Module:
    """The model with its first weights, on the CPU."""
    torch.manual_seed(cfg.seed)
    model = build_model(cfg, tokenizer)
    begin_at(cfg, model, tokenizer)
    return model


def _resume(cfg: DictConfig, run: str, state: TrainState, devices: Devices) -> Resumable:
    """The scratch folder, and the state as it was left there.

    Raises:
        InputError: the processes do not see the same folder.
    """
    kept = (Path(cfg.scratch), run, devices.main, devices.any)
    resumable = Shards(*kept, devices.rank, devices.world) if devices.spread else Resumable(*kept)
    resumable.begin(state)
    where = f"scratch: {cfg.scratch} must be one folder for all processes; last step"
    devices.require_same(state.step, where)
    return resumable


def _counted(descend: Callable[[], object], state: TrainState, resumable: Resumable) -> None:
    """Train; numbers that stop being finite end the run where it was last saved, as a result."""
    if state.step == 0:
        resumable.save(state)
    try:
        descend()
    except NotFiniteError as error:
        if resumable.main:
            print(f"tcsm: {error}", file=sys.stderr)
        resumable.begin(state)


def _validation(
    cfg: DictConfig, model: nn.Module, data: TokenFile, recipe: Recipe, devices: Devices
) -> Validation:
    """The learning curve's points; a bound of another model is refused before a step."""
    length, count = cfg.data.length, cfg.validation.sequences
    windows = evaluation_windows(data.tokens, length, count, "validation.sequences")
    bound: Bound = build(cfg.bound)
    bound.check(model)
    return Validation(
        model,
        bare(model),
        bound,
        windows,
        draws=cfg.validation.draws,
        every=cfg.validation.every,
        log_every=recipe.log_every,
        steps=recipe.steps,
        devices=devices,
    )


def _hooks(
    cfg: DictConfig,
    resumable: Resumable,
    state: TrainState,
    validate: Validation,
    stack: ExitStack,
    answers: Answers,
) -> Hooks:
    """Journals in the scratch folder, a line of progress, and the state itself."""
    if not resumable.main:  # it helps with what all must do
        return Hooks(record=lambda row: validate(int(row["step"])), resumable=resumable)
    paths = (resumable.folder / name for name in JOURNALS)
    metrics, times = (stack.enter_context(Writer(path, state.step)) for path in paths)
    return Hooks(
        record=lambda row: metrics.append({**row, **validate(int(row["step"]))}),
        time=lambda row: times.append({**row, **answers.costs()}),
        progress=Progress(f"{cfg.experiment} seed {cfg.seed}"),
        resumable=resumable,
    )


def _deliver(
    cfg: DictConfig, out: Path, state: TrainState, weights: Mapping[str, Tensor], data: TokenFile
) -> None:
    """Fill the run's folder; every file appears whole."""
    out.mkdir(parents=True, exist_ok=True)
    save_weights(out / "weights.safetensors", weights, architecture(cfg))
    for name in JOURNALS:
        write_text(out / name, (Path(cfg.scratch) / name).read_text())
    write_text(out / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True))
    rows = (out / "metrics.jsonl").read_text().splitlines()
    summary = {
        "stage": "train",
        "experiment": cfg.experiment,
        "seed": cfg.seed,
        "parameters": sum(p.numel() for p in state.model.parameters()),
        "steps": state.step,
        "tokens": state.tokens,
        "final": json.loads(rows[-1]) if rows else {},
        "weights_sha256": digest(weights),
        "data_sha256": data.header.sha256,
    }
    write_json(out / "train.json", summary, ("metrics.jsonl",))


def _fingerprint(cfg: DictConfig, *contents: str) -> str:
    """Of everything that decides the run: a saved state of another configuration is left aside.

    Where the results go decides nothing: a run whose folder cannot be written ends in another one.
    What the folders hold that it names does: ``contents`` are digests of them.
    """
    decisive = OmegaConf.masked_copy(
        cfg, [str(key) for key in cfg if key not in ("out", "scratch")]
    )
    text = OmegaConf.to_yaml(decisive, resolve=True) + "".join(contents)
    return hashlib.sha256(text.encode()).hexdigest()
