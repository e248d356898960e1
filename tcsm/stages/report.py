"""Make the report of all runs: one page, its figures and its tables."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from omegaconf import DictConfig

from tcsm.config import build
from tcsm.errors import InputError
from tcsm.io.layout import CONFIG
from tcsm.runs.outcome import Outcome, read_runs

READS = ("out", "runs", "report")

OF = ("runs",)
LIVE = 20  # seconds of --live


def spelled(words: Sequence[str]) -> list[str]:
    """Return the words of a command as KEY=VALUE: folders as ``runs``, --live as seconds."""
    folders = [word for word in words if "=" not in word and Path(word).is_dir()]
    others = [word for word in words if word not in folders and word != "--live"]
    live = [f"report.live={LIVE}"] if "--live" in words else []
    return live + others + ([f"runs=[{','.join(folders)}]"] if folders else [])


def main(cfg: DictConfig, out: Path) -> None:
    """Read all runs; write ``index.html``, ``metrics.json``, ``figures/`` and ``tables/``.

    With ``report.live`` seconds it is made again whenever a record of a run has changed, until
    Ctrl-C.
    """
    report = build(cfg.report)
    if not cfg.runs:
        raise InputError("runs: names no run folders; name some, as runs=[results/a,results/b]")
    page = report.build(_runs(cfg), out)
    print(f"{page}{', made again as runs go on, until Ctrl-C' if report.live else ''}", flush=True)
    seen = _state(cfg.runs)
    try:
        while report.live:
            time.sleep(report.live)
            if (now := _state(cfg.runs)) != seen:
                seen = now
                _again(lambda: report.build(_runs(cfg), out))
    except KeyboardInterrupt:
        return


def _runs(cfg: DictConfig) -> list[Outcome]:
    """Return the runs; while others go on, those that have begun."""
    folders = _folders(cfg.runs)
    return read_runs(one for one in folders if not cfg.report.live or (one / CONFIG).exists())


def _again(make: Callable[[], object]) -> None:
    """Make the report; a record that is being written now is read the next time."""
    try:
        make()
    except InputError as error:
        print(f"tcsm: report: {error}; the page stays as it was", file=sys.stderr)


def _folders(names: Iterable[str]) -> Iterator[Path]:
    """Yield the folders of runs, and all that lie below a folder that is none itself."""
    for folder in map(Path, names):
        below = () if (folder / CONFIG).exists() else sorted(folder.rglob(CONFIG))
        yield from [file.parent for file in below if "/." not in str(file)] or [folder]


def _state(names: Iterable[str]) -> dict[Path, float]:
    """Return the times at which the records of the runs were written."""
    files = (file for folder in _folders(names) for file in folder.glob("*.json*"))
    return {file: file.stat().st_mtime for file in files if file.exists()}
