"""What Snakemake needs to plan an ablation of 1,000 runs, and to see that they are all there.

usage: python -m benchmarks.workflow_scale [--variants] [--seeds] [--default] [--plan-only]

A copy of the checkout gets an ablation of groups and plain values. It is planned with nothing kept
(cold) and with the texts of the start before (warm). Then one variant is made for real, from text
to its records; what it left is copied under the names of all others, the page is an empty file,
and `snakemake --touch` takes all of it for made. A start then finds nothing to do.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import yaml

from benchmarks.measure import commit, processor
from workflow.ablations import read

TOP = Path(__file__).parents[1]
RESULT = TOP / "benchmarks/results/workflow_scale.json"
DIVERGENCES = ("generalized_kl", "lsif", "bce", "hellinger")
SCHEDULES = ("linear", "cosine")
# Snakemake waits before every touch, for file systems that count time in seconds.
TOUCH = """from snakemake.cli import main
from snakemake.executors.touch import Executor
Executor.SLEEPING_TIME = 0.001
main()
"""


@dataclass(frozen=True)
class Grid:
    """An ablation: two axes of groups, two of plain values.

    Attributes:
        rates: how many learning rates.
        smoothings: how many constants of smoothing.
        seeds: of every variant.
    """

    rates: int
    smoothings: int
    seeds: int

    def plan(self) -> dict[str, object]:
        """The content of a file of ``params/ablation``."""
        axes = {
            "divergence": {name: [f"divergence={name}"] for name in DIVERGENCES},
            "schedule": {name: [f"schedule={name}"] for name in SCHEDULES},
            "rate": {
                f"r{n}": [f"trainer.learning_rate={n / 1e4}"] for n in range(1, self.rates + 1)
            },
            "smoothing": {
                f"s{n}": [f"objective.smoothing={n / 100}"] for n in range(1, self.smoothings + 1)
            },
        }
        return {"experiment": "kjv/score", "stages": ["train", "evaluate"], "axes": axes}


GRIDS = {"variants": Grid(rates=25, smoothings=5, seeds=1), "seeds": Grid(6, 7, seeds=3)}


def copy_checkout(folder: Path) -> None:
    """What a clone would hold of code and configuration."""
    ignored = shutil.ignore_patterns("__pycache__", "figures", "tables", "index.html")
    for name in ("tcsm", "workflow", "params", "reports"):
        shutil.copytree(TOP / name, folder / name, ignore=ignored)
    shutil.copy(TOP / "Snakefile", folder)


def add_grid(folder: Path, grid: Grid) -> None:
    """A scale ``many`` that has the grid and nothing else."""
    scale = yaml.safe_load((TOP / "params/scale/smoke.yaml").read_text("utf-8"))
    scale |= {"name": "many", "pretrain": ["kjv/score"], "ablations": ["many"], "judge": None}
    scale |= {"seeds": list(range(grid.seeds)), "together": False}
    (folder / "params/scale/many.yaml").write_text(yaml.safe_dump(scale), "utf-8")
    (folder / "params/ablation/many.yaml").write_text(yaml.safe_dump(grid.plan()), "utf-8")


def snakemake(
    folder: Path, scale: str, *arguments: str, command: tuple[str, str] = ("-m", "snakemake")
) -> tuple[float, float, str]:
    """Seconds on the wall, CPU-seconds and words of one command."""
    words = [sys.executable, *command, *arguments, "--config", f"scale={scale}"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    wall, after = time.perf_counter() - start, os.times()
    if done.returncode:
        sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
    cpu = after.children_user + after.children_system
    return wall, cpu - before.children_user - before.children_system, done.stdout + done.stderr


def repeated(start: Callable[[], tuple[float, float, str]], repeats: int) -> dict[str, object]:
    """The median, least and most of what some starts took."""
    wall, cpu, words = zip(*(start() for _ in range(repeats)), strict=True)
    times: dict[str, object] = {}
    for name, values in (("seconds", wall), ("cpu_seconds", cpu)):
        parts = {"median": statistics.median(values), "min": min(values), "max": max(values)}
        times[name] = {key: round(value, 1) for key, value in parts.items()}
    return times | {"words": words[-1]}


def plan(folder: Path, scale: str, repeats: int) -> dict[str, object]:
    """Dry runs, with nothing kept and with what the one before kept."""

    def start(cold: bool) -> tuple[float, float, str]:
        if cold:
            shutil.rmtree(folder / ".snakemake/tcsm", ignore_errors=True)
        return snakemake(folder, scale, "--dry-run", "--cores", "2", "--quiet", "rules")

    times = {name: repeated(partial(start, name == "cold"), repeats) for name in ("cold", "warm")}
    words = [str(kind.pop("words")) for kind in times.values()]
    return {"jobs": int(words[-1].rsplit("total", 1)[1].split()[0])} | times


def fill(folder: Path) -> None:
    """One variant made for real, the others copies of it, and all of it taken for made."""
    first, *others = (variant.name for variant in read("many", "many", folder / "params"))
    runs = folder / "results/many"
    real = [runs / first / "seed-0/evaluate.json"]
    real += [runs / "kjv/score/seed-0" / f"{name}.json" for name in ("evaluate", "samples")]
    targets = [str(path.relative_to(folder)) for path in real]
    snakemake(folder, "many", *targets, "--cores", "2", "--quiet", "all")
    for name in others:
        shutil.copytree(runs / first, runs / name)
    for name in ("index.html", "metrics.json", "figures/none", "tables/none"):
        path = folder / "reports/many" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    snakemake(folder, "many", "--touch", "--forceall", "--cores", "2", command=("-c", TOUCH))


def nothing_to_do(folder: Path, repeats: int) -> dict[str, object]:
    """Starts of a workflow that is done."""
    fill(folder)
    times = repeated(partial(snakemake, folder, "many", "--cores", "2"), repeats)
    words = str(times.pop("words"))
    assert "Nothing to be done" in words, words[-2000:]
    return times


def measure(name: str, repeats: int, plan_only: bool) -> dict[str, object]:
    """All figures of a grid, or of a scale of ``params/``."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        copy_checkout(folder)
        if name not in GRIDS:
            return plan(folder, name, repeats)
        add_grid(folder, GRIDS[name])
        result = {"grid": asdict(GRIDS[name])} | plan(folder, "many", repeats)
        if GRIDS[name].seeds == 1 and not plan_only:
            result["nothing_to_do"] = nothing_to_do(folder, repeats)
        return result


def main() -> None:
    """Measure what is asked for (all, if nothing is) and write it down."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in (*GRIDS, "default"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--plan-only", action="store_true", help="run no job")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    names = [name for name in (*GRIDS, "default") if getattr(options, name)]
    results = json.loads(options.result.read_text("utf-8")) if options.result.exists() else {}
    for name in names or (*GRIDS, "default"):
        result = measure(name, options.repeats, options.plan_only)
        print(name, json.dumps(result), flush=True)
        results |= {"benchmark": "workflow_scale", "cores": os.cpu_count()}
        results |= {"processor": processor(), "versions": versions()}
        result["load"] = round(os.getloadavg()[1], 1)  # of other work, if it is more than 2
        results |= {"repeats": options.repeats, "commit": commit(TOP), name: result}
        options.result.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


def versions() -> dict[str, str]:
    """Of what the figures depend on."""
    names = ("snakemake", "hydra-core", "torch")
    return {"python": platform.python_version()} | {name: version(name) for name in names}


if __name__ == "__main__":
    main()
