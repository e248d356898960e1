"""A SLURM cluster of one node on this machine, and what can happen to its jobs."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
REFUSED = 77
T = TypeVar("T")


def until(found: Callable[[], T | None], seconds: float = 240) -> T:
    """What a question gives as soon as it gives something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := found():
            return answer
        time.sleep(0.02)
    raise TimeoutError(f"{found} found nothing in {seconds} s")


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
        process: the process that trains.
    """

    job: str
    process: psutil.Process

    def hold(self) -> None:
        """Keep it from getting further until SLURM signals something: it wakes whom it signals."""
        self.process.send_signal(signal.SIGSTOP)


@dataclass(frozen=True)
class Cluster:
    """The cluster that ``up.sh`` has started in a folder."""

    folder: Path

    def training(self, comment: str, since: float) -> Training | None:
        """The training, started after a time, of the job that Snakemake commented so."""
        rows = ask("squeue", "--noheader", "--states=RUNNING", "--format=%i %k").splitlines()
        jobs = [job for job, words in (row.split() for row in rows) if words == comment]
        found = (Training(job, process) for job in jobs for process in _trainers(job))
        return next((run for run in found if run.process.create_time() > since), None)

    def state(self, job: str) -> str:
        """Of a job, also of one that has ended."""
        return ask("squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={job}")

    def node(self) -> str:
        """The state of the node."""
        return ask("sinfo", "--noheader", "--format=%T")

    def lose_node(self) -> None:
        """Kill everything on it, and wait until the controller has noticed."""
        ask(str(HERE / "lose_node.sh"), str(self.folder))
        until(lambda: self.node().startswith("down"))

    def bring_node_back(self) -> None:
        """Start it again."""
        ask("slurmd", "-N", socket.gethostname().split(".")[0])


def _trainers(job: str) -> Iterator[psutil.Process]:
    """The trainings of a job."""
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [])[1:4] == ["-m", "tcsm", "train"]:
            try:
                if process.environ().get("SLURM_JOB_ID") == job:
                    yield process
            except psutil.NoSuchProcess:
                continue


def up(folder: Path) -> subprocess.CompletedProcess[str]:
    """Try to start a cluster."""
    return subprocess.run([HERE / "up.sh", folder], capture_output=True, text=True, check=False)


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
