"""Make the report of all runs: one page, its figures and its tables."""

from pathlib import Path

from omegaconf import DictConfig

from tcsm.config import build
from tcsm.errors import InputError
from tcsm.reporting.page import build as build_page
from tcsm.reporting.runs import read_runs

READS = ("out", "runs", "report")

OF = ("runs",)


def main(cfg: DictConfig, out: Path) -> None:
    """Read every run, write ``index.html``, ``metrics.json``, ``figures/`` and ``tables/``."""
    context = build(cfg.report)
    if not cfg.runs:
        raise InputError("runs: found none; name run folders, as runs=[results/a,results/b]")
    page = build_page(read_runs(Path(run) for run in cfg.runs), context, out)
    print(page)
