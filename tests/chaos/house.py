"""The real pipeline in small: text → model → collection → post-training → report, in seconds."""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml

from tests.workflow.house import House
from tests.workflow.test_end_to_end import ARM, SCALE, copy_checkout

IS_LONG = "CHAOS" in os.environ
long_form = pytest.mark.skipif(not IS_LONG, reason="belongs to the long form: make chaos")

# The long form collects from a model that was trained for it, the short one windows of the text.
LONG = {
    "first": "stages: [train]",
    "drawn": "stages: [collect]\nneeds: {reference: tiny/first}",
    "second": "needs: {initial: tiny/first, collected: tiny/drawn}",
}
SHORT = {
    "drawn": "stages: [collect]\ncollecting: {corpus: true}",
    "second": "needs: {collected: tiny/drawn}",
}
EXPERIMENTS = LONG if IS_LONG else SHORT
CHOICES = {"first": [], "drawn": [], "second": ["batches: collected", "tilt: even"]}
SHOWN = ["headline", "learning", "samples", "budget", "provenance"]
TEMPORARY = ("*.tmp", "*.part", "*.partial", "*.lock", "unfinished", "state.safetensors")
# What `make report` runs, at the scale of the tests.
COMMAND = ("--workflow-profile", "workflow/profiles/default", "--config", "scale=tiny")
APART = {"logs", "benchmarks", "contents"}  # what depends on the machine, with telemetry


@dataclass(frozen=True)
class Pipeline(House):
    """A checkout with a tiny corpus, whose whole pipeline takes seconds."""

    def start(self, cores: int, said: Path) -> psutil.Popen:
        """Begin, or go on, in a process group of its own; what is said goes to a file."""
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), *COMMAND]
        with said.open("ab") as file:
            return psutil.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The one command that makes the report."""
        return self.snakemake(*COMMAND, *arguments)

    def good(self) -> str:
        """That command, which must succeed; what it said."""
        done = self.run()
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    @property
    def locked(self) -> bool:
        """Whether Snakemake's lock is there."""
        return any((self.folder / ".snakemake/locks").glob("*"))

    def outcome(self) -> dict[str, str]:
        """File → sha256 of all that must not depend on what happened on the way."""
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((self.folder / "results").rglob("*"))
            if path.is_file() and "telemetry" not in path.name and APART.isdisjoint(path.parts)
        }

    def temporary(self) -> list[str]:
        """What should not outlive its writer."""
        actual = (path for pattern in TEMPORARY for path in self.folder.rglob(pattern))
        return [str(path) for path in actual if ".snakemake" not in path.parts]


def build(folder: Path) -> Pipeline:
    """A pipeline that has run nothing."""
    params = copy_checkout(folder).folder / "params"
    for name, rest in EXPERIMENTS.items():
        chosen = ["objective: score", *CHOICES[name]]
        choices = "\n".join(f"  - override /{choice}" for choice in chosen)
        text = ARM.format(choices=choices, name=name, rest=rest)
        (params / f"experiment/tiny/{name}.yaml").write_text(text)
    scale = yaml.safe_load(SCALE)
    scale |= {"pretrain": ["tiny/second"], "seeds": [0], "judge": None, "steps": 100}
    (params / "scale/tiny.yaml").write_text(yaml.safe_dump(scale, sort_keys=False))
    page = yaml.safe_load((params / "report/default.yaml").read_text())
    shown = {"experiments": {"tiny/second": "Second"}, "pairs": [], "chapters": SHOWN}
    page["report"] |= shown
    text = "# @package _global_\n" + yaml.safe_dump(page, sort_keys=False)
    (params / "report/default.yaml").write_text(text)
    return Pipeline(folder)
