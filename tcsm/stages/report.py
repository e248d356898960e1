"""The records of runs become one page, its figures and its tables."""

from pathlib import Path

from omegaconf import DictConfig

from tcsm.config import build
from tcsm.reporting.page import build as build_page
from tcsm.reporting.runs import read_runs

READS = ("out", "runs", "report")


def main(cfg: DictConfig, out: Path) -> None:
    """Read every run, write ``index.html``, ``figures/`` and ``tables/``."""
    page = build_page(read_runs(Path(run) for run in cfg.runs), build(cfg.report), out)
    print(page)
