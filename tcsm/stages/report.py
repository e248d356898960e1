"""Make the report of all runs: one page, its figures and its tables."""

from pathlib import Path

from omegaconf import DictConfig

from tcsm.config import build
from tcsm.errors import InputError
from tcsm.runs.outcome import read_runs

READS = ("out", "runs", "report")

OF = ("runs",)


def main(cfg: DictConfig, out: Path) -> None:
    """Read all runs; write ``index.html``, ``metrics.json``, ``figures/`` and ``tables/``."""
    report = build(cfg.report)
    if not cfg.runs:
        raise InputError("runs: names no run folders; name some, as runs=[results/a,results/b]")
    print(report.build(read_runs(Path(run) for run in cfg.runs), out))
