"""The toy house with the folders of dvc.yaml, in a git repository with DVC."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.workflow.house import TOP, House, build

SCALE = """name: default
gpu: 0
mem_mb: 100
runtime: 1
pretrain: [kjv/ar, kjv/score]
seeds: [0]
judge: kjv/ar
steps: 3
ablations: [{ablations}]
together: true
"""
NEEDED = {
    "acceleration": "needs.reference=teacher/hollow",
    "reward": "needs.collected=buffer/testaments",
    "tilt": "needs.reference=judge/testaments",
}
REPORT = '''"""A page, its figures and tables, and the numbers that DVC compares."""

import csv
import json
from pathlib import Path

READS = ("out", "runs", "report")


def main(cfg, out):
    """Write them down."""
    numbers = {}
    for run in map(Path, cfg.runs):
        if run.parts[2] == "kjv":
            numbers[run.parts[3]] = float((run / "weights.safetensors").read_text())
    for name in ("figures", "tables"):
        (out / name).mkdir(parents=True)
    (out / "figures/bpc.svg").write_text("<svg/>")
    variants = ["tokens", *cfg.report]
    rows = [variants, *([t, *[numbers["score"] / t] * len(cfg.report)] for t in (1, 2))]
    with (out / "tables/learning.csv").open("w") as file:
        csv.writer(file).writerows(rows)
    (out / "metrics.json").write_text(json.dumps({"headline": numbers}))
    (out / "results.json").write_text("{}")
    (out / "references.bib").write_text("")
    (out / "index.html").write_text("<br>".join(cfg.runs))
'''
WHO = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
CLEAN = "Data and pipelines are up to date."
KJV = "results/default/kjv/score/seed-0"
KJV_SCORE = f"{KJV}/weights.safetensors"
SCORE = ("params/objective/score.yaml", "weight: 2.0", "weight: 3.0")
QUIET = {"DVC_NO_ANALYTICS": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Checkout(House):
    """A clone with everything that git holds."""

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command here, in the environment of the tests."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "PATH": path, **QUIET, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def ok(self, *command: str, **environment: str) -> str:
        """Run a command that must succeed; what it says."""
        done = self.run(*command, **environment)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def dvc(self, *words: str, **environment: str) -> str:
        """Run DVC, which must succeed."""
        return self.ok("dvc", *words, **environment)

    def git(self, *words: str) -> str:
        """Run git, which must succeed."""
        return self.ok("git", *WHO, *words).strip()

    def make(self, target: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a target of the Makefile in the environment that is there."""
        quietly = "--no-print-directory"  # the tests themselves are run by make
        return self.run("make", quietly, "-o", ".venv/.stamp", target, **environment)

    def commit(self) -> None:
        """Commit everything that is not ignored."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "state")

    def clone(self, folder: Path) -> "Checkout":
        """What somebody else gets from git."""
        self.git("clone", "--quiet", ".", str(folder))
        return Checkout(folder)

    def copy(self, folder: Path) -> "Checkout":
        """All of it, cache and records too."""
        return Checkout(Path(shutil.copytree(self.folder, folder, symlinks=True)))

    def times(self) -> dict[str, int]:
        """Every weight and when it was written."""
        files = self.folder.glob("results/default/**/weights.safetensors")
        return {str(file.relative_to(self.folder)): file.stat().st_mtime_ns for file in files}


def stages() -> dict[str, dict]:
    """The stages of dvc.yaml."""
    return yaml.safe_load((TOP / "dvc.yaml").read_text())["stages"]


def plotted() -> list[str]:
    """The variants whose curves dvc.yaml draws."""
    plot = next(iter(yaml.safe_load((TOP / "dvc.yaml").read_text())["plots"][0].values()))
    return plot["y"]["${reports}/tables/learning.csv"]


def folders() -> list[str]:
    """The folders of runs that dvc.yaml keeps."""
    kept = [name for stage in stages().values() for out in stage.get("outs", []) for name in out]
    return [name.removeprefix("results/${scale}/") for name in kept if "${scale}/" in name]


def found(folder: Path) -> Checkout:
    """A repository in which nothing was run; its data is pinned."""
    house = Checkout(build(folder).folder)
    for name in ("dvc.yaml", "params.yaml", "Makefile", ".gitignore", ".dvcignore"):
        shutil.copy(TOP / name, folder)
    (folder / ".dvc").mkdir()
    for name in ("config", ".gitignore"):
        shutil.copy(TOP / ".dvc" / name, folder / ".dvc")
    for name in ("chapters", "template"):
        (folder / "reports" / name).mkdir(parents=True)
        (folder / "reports" / name / "page.md").write_text(name)
    (folder / "tcsm/stages/report.py").write_text(REPORT)
    with (folder / "params/config.yaml").open("a") as file:
        file.write(yaml.safe_dump({"report": plotted()}))
    _write_params(folder / "params")
    data = folder / "data/toy"
    data.mkdir(parents=True)
    for split in ("train", "valid", "test"):
        (data / f"{split}.tok").write_text(f"in the beginning {split}")
    house.git("init", "--quiet", "--initial-branch=main")
    house.dvc("add", "--quiet", "data")
    shutil.rmtree(folder / "data")
    shutil.rmtree(folder / ".dvc/cache")
    house.commit()
    return house


def _write_params(params: Path) -> None:
    needed = dict.fromkeys(("buffer/testaments", "judge/testaments"), "collect")
    needed["teacher/hollow"] = "train"
    questions = sorted({*folders()} - {"kjv", *(name.partition("/")[0] for name in needed)})
    (params / "scale/default.yaml").write_text(SCALE.format(ablations=", ".join(questions)))
    for name in questions:
        plan = {"experiment": "toy/score", "stages": ["collect"]}
        if name in NEEDED:
            plan |= {"stages": ["train"], "overrides": [NEEDED[name]]}
        axes = {"weight": {"light": ["objective.weight=1.0"]}}
        (params / f"ablation/{name}.yaml").write_text(yaml.safe_dump(plan | {"axes": axes}))
    variants = {"kjv/ar": "tokens", "kjv/score": "score"}
    for name in [*variants, *needed]:
        path = params / f"experiment/{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        lines = f"defaults:\n  - override /objective: {variants.get(name, 'score')}\n"
        own = f"stages: [{needed[name]}]\n" if name in needed else ""
        path.write_text(f"# @package _global_\n{lines}experiment: {name}\n{own}")
