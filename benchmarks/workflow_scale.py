"""What Snakemake needs to plan an ablation of 1,000 runs, and to see that they are all there.

usage: python -m benchmarks.workflow_scale [--arms] [--seeds] [--default]

A copy of the checkout gets an ablation of groups and plain values. It is planned with nothing kept
(cold) and with the texts of that first start (warm). Then a stage that only makes its files takes
the place of all stages, every job runs, and a last start finds nothing to do.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

TOP = Path(__file__).parents[1]
RESULT = TOP / "benchmarks/results/workflow_scale.json"
DIVERGENCES = ("generalized_kl", "lsif", "bce", "hellinger")
SCHEDULES = ("linear", "cosine")
# A stage that makes its files: the name comes as an argument, the runs from standard input.
FAKE = """import re, sys
from pathlib import Path
from tcsm.outcomes import FILES
from workflow.files import PRODUCTS
stage, text = sys.argv[1], sys.stdin.read()
for out in re.findall(r"(?m)^out: (.*)$", text):
    others = PRODUCTS.get(stage, ())
    if stage == "prepare":
        out = re.search(r"(?m)^  root: (.*)$", text)[1]
        names = ["train.tok", "valid.tok", "test.tok"]
    elif stage == "report":
        names = ["index.html"]
    else:
        names = [FILES[stage], f"{stage}.telemetry.json", "config.yaml", *others]
        names += ["metrics.jsonl", "telemetry.jsonl"]
    Path(out).mkdir(parents=True, exist_ok=True)
    for name in names:
        (Path(out) / name).touch()
"""


@dataclass(frozen=True)
class Grid:
    """An ablation: two axes of groups, two of plain values.

    Attributes:
        rates: how many learning rates.
        smoothings: how many constants of smoothing.
        seeds: of every arm.
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


GRIDS = {"arms": Grid(rates=25, smoothings=5, seeds=1), "seeds": Grid(6, 7, seeds=3)}


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


def snakemake(folder: Path, scale: str, *arguments: str) -> tuple[float, float, str]:
    """Seconds on the wall, CPU-seconds and words of one command."""
    command = [sys.executable, "-m", "snakemake", "--config", f"scale={scale}", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    wall, after = time.perf_counter() - start, os.times()
    if done.returncode:
        sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
    cpu = after.children_user + after.children_system
    return wall, cpu - before.children_user - before.children_system, done.stdout + done.stderr


def measure(folder: Path, scale: str, fill: bool) -> dict[str, object]:
    """Plan cold and warm; with ``fill`` run all jobs with a stage of nothing, and plan again."""
    found: dict[str, object] = {}
    for name in ("cold", "warm"):
        wall, cpu, words = snakemake(
            folder, scale, "--dry-run", "--cores", "2", "--quiet", "rules"
        )
        found[name] = {"seconds": round(wall, 1), "cpu_seconds": round(cpu, 1)}
    found["jobs"] = int(words.rsplit("total", 1)[1].split()[0])
    if fill:
        (folder / "tcsm/__main__.py").write_text(FAKE, "utf-8")
        wall, _, _ = snakemake(folder, scale, "--cores", "2", "--quiet", "all")
        found["all_jobs_of_nothing"] = {"seconds": round(wall, 1)}
        wall, cpu, words = snakemake(folder, scale, "--cores", "2")
        assert "Nothing to be done" in words, words[-2000:]
        found["nothing_to_do"] = {"seconds": round(wall, 1), "cpu_seconds": round(cpu, 1)}
    return found


def main() -> None:
    """Measure what is asked for (all, if nothing is) and write it down."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in (*GRIDS, "default"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--plan-only", action="store_true", help="run no job")
    chosen = vars(parser.parse_args())
    plan_only = chosen.pop("plan_only")
    wanted = [name for name, on in chosen.items() if on or not any(chosen.values())]
    results = json.loads(RESULT.read_text("utf-8")) if RESULT.exists() else {}
    results["machine"] = {"cores": os.cpu_count(), "python": platform.python_version()}
    for name in wanted:
        with tempfile.TemporaryDirectory() as place:
            copy_checkout(Path(place))
            if name in GRIDS:
                add_grid(Path(place), GRIDS[name])
            scale = "many" if name in GRIDS else name
            results[name] = measure(Path(place), scale, name in GRIDS and not plan_only)
        print(name, json.dumps(results[name]), flush=True)
        RESULT.write_text(json.dumps(results, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
