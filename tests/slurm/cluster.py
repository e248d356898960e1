"""A SLURM cluster of two nodes on this machine, and what can happen to its jobs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.held import Gate, until

HERE = Path(__file__).parent
PYTHONPATH = os.pathsep.join(filter(None, [str(HERE.parents[1]), os.environ.get("PYTHONPATH")]))
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": PYTHONPATH,  # for tests/held.py
    "TCSM_TARGETS": "tests",
}
REFUSED = 77
GPU = "CUDA_VISIBLE_DEVICES"


def ask(*command: str) -> str:
    """What a command prints."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


@contextmanager
def start(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Snakemake with the profile, in a folder; what it says is shown if the test fails."""
    profile = ["--profile", "workflow/profiles/slurm", "--latency-wait", "5"]
    often = ["--slurm-init-seconds-before-status-checks", "1"]
    with (folder / "snakemake.log").open("ab") as log:
        running = subprocess.Popen(
            [sys.executable, str(HERE / "hasty.py"), *profile, *often, *arguments],
            cwd=folder,
            env=ENVIRONMENT,
            stdout=log,
            stderr=log,
        )
    try:
        yield running
    finally:
        running.kill()
        running.wait()
        print((folder / "snakemake.log").read_text())


@dataclass(frozen=True)
class Training:
    """A training that runs as a job.

    Attributes:
        job: SLURM's number of the job.
        node: where it runs.
        gpu: which of the node's it may use.
    """

    job: str
    node: str
    gpu: str


@dataclass(frozen=True)
class Cluster:
    """The cluster that ``up.sh`` has started in a folder."""

    folder: Path

    def training(self, gate: Gate, other_than: str) -> Training | None:
        """The training that waits at a gate, of another job than one."""
        for number in gate.waiting():
            with suppress(psutil.NoSuchProcess):
                given = psutil.Process(number).environ()
                actual = Training(given["SLURM_JOB_ID"], given["SLURMD_NODENAME"], given[GPU])
                if actual.job != other_than:
                    return actual
        return None

    def state(self, job: str) -> str:
        """Of a job, also of one that has ended."""
        return self._say(job, "%T")

    def asked(self, job: str) -> str:
        """Cores and time."""
        return self._say(job, "%C %l")

    def warn(self, job: str) -> None:
        """Leave it between one and two minutes, which is less than its warning is early."""
        minutes = int(self._say(job, "%M").split(":")[0])
        ask("scontrol", "update", f"JobId={job}", f"TimeLimit={minutes + 2}")

    def _say(self, job: str, what: str) -> str:
        return ask("squeue", "--noheader", "--states=all", f"--format={what}", f"--jobs={job}")

    def restarts(self, job: str) -> int:
        """How often SLURM started it again."""
        words = ask("scontrol", "--oneliner", "show", "job", job).split()
        return next(int(word[9:]) for word in words if word.startswith("Restarts="))

    def states(self) -> set[str]:
        """Those of the nodes."""
        return set(ask("sinfo", "--noheader", "--Node", "--format=%T").split())

    @contextmanager
    def without(self, node: str) -> Iterator[None]:
        """Kill a node and all that runs there; it comes back."""
        ask(str(HERE / "lose_node.sh"), str(self.folder), node)
        until(lambda: any(state.startswith("down") for state in self.states()))
        yield
        ask("slurmd", "-N", node)
        until(lambda: self.states() == {"idle"})


def up(folder: Path) -> subprocess.CompletedProcess[str]:
    """Try to start a cluster."""
    return subprocess.run(
        [HERE / "up.sh", folder],
        env={**os.environ, "NODES": "2", "OWNER": str(os.getpid())},
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Start a cluster, and end it; skip the test, with the reason, where there can be none."""
    done = up(folder)
    if done.returncode == REFUSED:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    try:
        yield Cluster(folder)
    finally:
        subprocess.run([HERE / "down.sh", folder], check=True, timeout=60)
