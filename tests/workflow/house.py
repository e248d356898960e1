"""A toy house: the real workflow, configuration and command line, with stages of a few lines."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from workflow.fingerprint import Sources

TOP = Path(__file__).parents[2]


@dataclass(frozen=True)
class House:
    """A folder with a workflow in it."""

    folder: Path

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake here."""
        return self.python("-m", "snakemake", "--cores", "2", *arguments)

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python here."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            # as on the machine of a user who also has another copy of the package on the path
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(TOP)},
            capture_output=True,
            text=True,
            check=False,
        )

    def plan(self, *arguments: str) -> dict[str, int]:
        """Rule → number of its jobs that would run now, without ``all``."""
        done = self.snakemake("--dry-run", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        if "Nothing to be done" in done.stdout + done.stderr:
            return {}
        table = (done.stdout + done.stderr).split("count", 1)[1].split("total", 1)[0]
        rows = re.findall(r"(?m)^(\w+) +(\d+)$", table)
        return {rule: int(count) for rule, count in rows if rule != "all"}

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text in a file."""
        file = self.folder / path
        assert old in file.read_text("utf-8")
        file.write_text(file.read_text("utf-8").replace(old, new), "utf-8")


def build(folder: Path) -> House:
    """A toy house that has run nothing."""
    shutil.copytree(Path(__file__).parent / "toy", folder)
    for module in Sources({"tcsm": TOP}).closure(
        ["tcsm.__main__", "tcsm.io.layout", "tcsm.io.atomic", "tcsm.time_left"]
    ):
        place = Path(module.replace(".", "/"))
        package = (TOP / place / "__init__.py").exists()
        file = place / "__init__.py" if package else place.with_suffix(".py")
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / file, folder / file)
    shutil.copy(TOP / "Snakefile", folder)
    shutil.copytree(TOP / "workflow", folder / "workflow")
    return House(folder)
