"""Compare approximate targets of a teacher with exact ones, in total variation.

    TV = mean over positions of ½ Σ_y |p̂(y | x^{≠i}) − p(y | x^{≠i})|        (7.3–7.5)

The exact ones are those of the autoregressive run of the key ``reference``, at the temperature of
the teacher.
"""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from omegaconf import DictConfig
from torch import Tensor

from tcsm.config import build
from tcsm.data.batches import WindowBatches
from tcsm.data.tokenfile import TokenFile
from tcsm.errors import InputError
from tcsm.runs.batches import open_split
from tcsm.runs.cached_teacher import CachedTeacher
from tcsm.runs.run import Run
from tcsm.runs.teachers import cached, of_run, teacher_model
from tcsm.targets.adapters import Exact, TeacherAdapter
from tcsm.training.devices import Devices
from tcsm.training.telemetry import Stopwatch, describe

READS = (
    "experiment",
    "axes",
    "seed",
    "out",
    "data.root",
    "data.length",
    "corpus",
    "tokenizer",
    "reference",
    "teacher_run",
    "pretrained",
    "targets",
    "teacher",
    "evaluation.sequences",
    "devices",
)
WRITES = ("out", "targets.cache")
OF = ("reference",)
Distributions = Float[Tensor, "N L V"]


@torch.no_grad()
def main(cfg: DictConfig, out: Path) -> None:
    """Evaluate both on the same validation windows; write ``targets.json``.

    Raises:
        InputError: A run is missing, or does not fit the adapter.
    """
    tokenizer = build(cfg.tokenizer)
    devices: Devices = build(cfg.devices)
    way: TeacherAdapter = build(cfg.teacher)
    if cfg.reference is None:
        raise InputError("reference: found null; stage targets needs an autoregressive run there")
    watch = Stopwatch()
    with devices.ready():
        data = open_split(cfg, tokenizer, "valid")
        windows = _windows(cfg, data).to(devices.device)
        full = torch.float32
        teacher = cached(cfg, way, teacher_model(cfg, tokenizer, devices), devices, full)
        reference = of_run("reference", cfg.reference, cfg.data.length, tokenizer, devices)
        exactly = Exact(temperature=way.temperature)
        exact = cached(cfg, exactly, reference, devices, full)
        record = compare(_distributions(teacher, windows), _distributions(exact, windows))
        record |= {"data_sha256": data.header.sha256, "length": cfg.data.length}
        record |= {"weights_sha256": Run(Path(cfg.reference)).weights}
        telemetry = describe(watch, windows.numel(), devices.device)
        telemetry |= teacher.costs()
        Run(out, cfg).write("targets", record, telemetry)


def compare(log_p: Distributions, exact: Distributions) -> dict[str, Any]:
    """Return errors of targets: means over sequences, and the standard error of their mean.

    ``entropy`` is that of the exact targets, in nats; ``missing`` their mass where the others have
    none.
    """
    p = exact.exp()
    tv = ((log_p.exp() - p).abs().sum(-1) / 2).mean(1)
    missing = p.masked_fill(log_p > -torch.inf, 0).sum(-1)
    return {
        "tv": float(tv.mean()),
        "tv_se": float(tv.std() / len(tv) ** 0.5) if len(tv) > 1 else None,
        "missing": float(missing.mean()),
        "entropy": float(-torch.xlogy(p, p).sum(-1).mean()),
        "sequences": len(tv),
        "sites": tv.numel() * log_p.shape[1],
    }


def _windows(cfg: DictConfig, data: TokenFile) -> Int[Tensor, "N L"]:
    """Return validation windows in a random order, none twice."""
    count = cfg.evaluation.sequences
    drawn = WindowBatches(data.tokens, cfg.data.length, count, cfg.seed)
    if count > drawn.windows:
        raise InputError(
            f"evaluation.sequences must be {drawn.windows} or less, the windows of data.length in "
            f"the validation split, found {count}"
        )
    return drawn.at(0).tokens


def _distributions(teacher: CachedTeacher, windows: Int[Tensor, "N L"]) -> Distributions:
    """Return log-conditionals at every position."""
    everywhere = torch.ones_like(windows, dtype=torch.bool)
    return teacher.log_conditionals(windows, everywhere).double().view(*windows.shape, -1)
