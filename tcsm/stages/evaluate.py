"""Evaluate a trained run by a list of metrics, such as its likelihood or rewards of samples."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from torch import nn

from tcsm.config import Unbuilt, build, typed
from tcsm.data.corpora.base import SPLITS
from tcsm.errors import InputError
from tcsm.io.layout import record_of
from tcsm.io.records import Record, metrics_of
from tcsm.metrics.base import Evaluated, EvaluatedToy, Measured, Metric, ToyMetric
from tcsm.runs.corpus import Text
from tcsm.runs.drafts import remove
from tcsm.runs.models import load_model, load_trained
from tcsm.runs.run import Run
from tcsm.runs.teachers import of_run, teacher_model
from tcsm.runs.toy import ToyTraining
from tcsm.student import half_width
from tcsm.training.devices import Devices
from tcsm.training.telemetry import Stopwatch, describe

READS = (
    "experiment",
    "axes",
    "seed",
    "out",
    "world",
    "data.root",
    "data.length",
    "corpus",
    "tokenizer",
    "model",
    "reference",
    "teacher_run",
    "pretrained",
    "metric",
    "evaluation.run",
    "devices",
)
WRITES = ("out", "metric.targets.cache")
OF = ("evaluation.run", "out")
ANEW = ("seed",)  # other draws of the same weights


def main(cfg: DictConfig, out: Path) -> None:
    """Open what all metrics read, measure, write ``evaluate.json``.

    Samples are saved before they are scored: the same command reuses them if scoring fails.

    Raises:
        InputError: A run or a text is missing, or does not fit.
    """
    devices: Devices = build(cfg.devices)
    metrics: dict[str, Metric | ToyMetric] = build(cfg.metric)
    for name, metric in metrics.items():
        if isinstance(metric, ToyMetric) != (cfg.world is not None):
            wanted = "text" if cfg.world is None else "a toy world"
            raise InputError(f"metric: {name} is no metric of a run in {wanted}, such as {out}")
    watch = Stopwatch()
    with devices.ready():
        evaluated: Any = (_open if cfg.world is None else _open_toy)(cfg, out, devices)
        measures = {name: metric(evaluated) for name, metric in metrics.items()}
        measured = {name: measure() for name, measure in measures.items()}
        _write(cfg, evaluated, watch, measured)
        remove(out, "evaluate")


def spelled(arguments: list[str]) -> list[str]:
    """Return overrides for ``data=zero_shot/NAME``, which is the metric of that name."""
    sets = [word for word in arguments if word.startswith("data=")]
    if not sets:
        return arguments
    chosen = [word for word in arguments if word.startswith("metric=")][-1:]
    names = ",".join(word.partition("=")[2].strip("[]") for word in (*chosen, *sets))
    others = [word for word in arguments if not word.startswith(("data=", "metric="))]
    return [*others, f"metric=[{names}]"]


def printed(run: Run) -> Iterator[str]:
    """Yield the numbers of each metric, where they are, and the next command."""
    metrics = run.record("evaluate")["metrics"]
    for name, measured in metrics.items():
        for split, rate in measured.get("splits", {}).items():
            yield _rate(split if name == "likelihood" else name, rate)
        means = {key: value["mean"] for key, value in measured.items() if _has_mean(value)}
        numbers = {key: value for key, value in measured.items() if isinstance(value, float)}
        if "splits" not in measured and (shown := means | numbers):
            yield f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in shown.items())
    yield f"→ {run.folder / record_of('evaluate')}"
    first = run.trained and run.trained.get("initial")
    if first and "likelihood" in metrics:
        yield f"next: tcsm compare {first} {run.folder}  # what the training cost in BPC"
    elif "likelihood" in metrics:
        yield f"next: tcsm compare {run.folder} RUN"


def _rate(name: str, rate: Record) -> str:
    """Return the bits per character of a split; of another corpus also the perplexity."""
    half = ""
    if rate["bpc_se"]:  # the interval of `tcsm compare` and of the report
        half = f" ± {half_width(rate['bpc_se'], rate['sequences']):.3f} (95 % over sequences)"
    words = f"{name} {rate['bpc']:.3f}{half} bits per character"
    if name in SPLITS:
        return words
    return f"{words}, perplexity {rate['ppl_token']:.4g} per token"


def _has_mean(value: object) -> bool:
    return isinstance(value, dict) and "mean" in value


def _open(cfg: DictConfig, out: Path, devices: Devices) -> Evaluated:
    """Return the run of ``evaluation.run`` with its model.

    Raises:
        InputError: None is named, or it has no such model.
    """
    if cfg.evaluation.run is None:
        raise InputError("evaluation.run: found null; name the folder of a trained run")
    tokenizer, folder, length = build(cfg.tokenizer), Path(cfg.evaluation.run), cfg.data.length
    if folder != out and not folder.is_dir():
        raise InputError(f"evaluation.run: {folder} does not exist; train that run first")
    pretrained: Unbuilt[nn.Module] | None = cfg.pretrained and Unbuilt(cfg.pretrained)
    named = (cfg.teacher_run, pretrained)
    return Evaluated(
        run=Run(folder),
        out=out,
        seed=cfg.seed,
        length=length,
        model=load_model(Run(folder, cfg), devices),
        tokenizer=tokenizer,
        devices=devices,
        data=Path(cfg.data.root),
        open_split=Text(Path(cfg.data.root), tokenizer, Unbuilt(cfg.corpus)).open,
        open_teacher=partial(teacher_model, named, length, tokenizer, devices),
        open_model=lambda key, folder: of_run(key, folder, length, tokenizer, devices),
    )


def _open_toy(cfg: DictConfig, out: Path, devices: Devices) -> EvaluatedToy:
    """Return the run of ``evaluation.run`` in its toy world, with its trained model."""
    run = Run(Path(cfg.evaluation.run))
    training = typed(ToyTraining, run.require_trained("evaluation.run"))
    if not run.record():
        raise InputError(
            f"evaluation.run: {run.folder} holds no finished training; run tcsm train first"
        )
    parts = training.parts(devices)
    load_trained(parts.model, run)
    parts.model.to(devices.device)
    return EvaluatedToy(run, out, devices, training, parts)


def _write(
    cfg: DictConfig,
    evaluated: Evaluated | EvaluatedToy,
    watch: Stopwatch,
    measured: dict[str, Measured],
) -> None:
    """Write the record: these metrics, and earlier ones of the same weights."""
    run = Run(evaluated.out, cfg)
    owner = {**run.owner("evaluate"), "weights_sha256": evaluated.run.weights}
    metrics = {**_earlier(run, owner), **{name: one.fields for name, one in measured.items()}}
    tokens = sum(one.tokens for one in measured.values())
    telemetry = describe(watch, tokens, evaluated.devices.device)
    for one in measured.values():
        telemetry |= one.costs
    run.write("evaluate", {**owner, "metrics": metrics}, telemetry)


def _earlier(run: Run, owner: dict[str, Any]) -> dict[str, Any]:
    """Return the metrics of the record of a run, if it is of the same weights."""
    former = run.record("evaluate")
    same = owner["weights_sha256"] and all(former.get(key) == owner[key] for key in owner)
    return metrics_of(former) if same else {}
