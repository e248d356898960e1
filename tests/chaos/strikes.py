"""Strikes: who is killed, when, and what is done about it."""

import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.chaos.house import Pipeline
from tests.held import PATIENCE

Who = Callable[[psutil.Popen], None]


def group(running: psutil.Popen) -> None:
    """SIGKILL to Snakemake and all its jobs, as at a loss of power."""
    os.killpg(running.pid, signal.SIGKILL)


def snakemake(running: psutil.Popen) -> None:
    """SIGKILL to Snakemake alone: its jobs go on without it."""
    running.kill()


def stage(running: psutil.Popen) -> None:
    """SIGKILL to the stages alone, as by want of memory; to all where there is none."""
    for process in stages(running) or [running]:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def interrupt(running: psutil.Popen) -> None:
    """Ctrl-C."""
    os.killpg(running.pid, signal.SIGINT)


def terminate(running: psutil.Popen) -> None:
    """SIGTERM to all."""
    os.killpg(running.pid, signal.SIGTERM)


KINDS: tuple[Who, ...] = (group, snakemake, stage, group, interrupt, stage, snakemake, terminate)


@dataclass(frozen=True)
class Strike:
    """Who is hit, and how many seconds after a start."""

    moment: float
    who: Who


def plan(seed: int, count: int, seconds: float) -> list[Strike]:
    """Strikes at random moments, spread over the seconds that a run takes, in random order."""
    chance = random.Random(seed)
    moments = [seconds * (n + chance.random()) / count for n in range(count)]
    chance.shuffle(moments)
    return [Strike(moment, KINDS[n % len(KINDS)]) for n, moment in enumerate(moments)]


def stages(running: psutil.Popen) -> dict[psutil.Process, str]:
    """The processes of stages that work now, and the stages' names."""
    actual = {process: _stage(process) for process in running.children(recursive=True)}
    return {process: stage for process, stage in actual.items() if stage}


def _stage(process: psutil.Process) -> str:
    """The stage that a process does; nothing if it does none. Warm starts have its name."""
    with suppress(psutil.Error):
        if process.name().startswith("tcsm "):
            return process.name().removeprefix("tcsm ")
        line = process.cmdline()
        return line[3] if line[1:3] == ["-m", "tcsm"] else ""
    return ""


def suffer(pipeline: Pipeline, strikes: list[Strike], cores: int, said: Path) -> Iterator[str]:
    """Start and be struck, until the pipeline ends in peace; says what was hit.

    Strikes are taken from the front of the list; one that came too late stays there.
    """
    while True:
        running = pipeline.start(cores, said)
        try:
            code = running.wait(strikes[0].moment if strikes else PATIENCE)
        except psutil.TimeoutExpired:
            assert strikes, f"does not end: {said.read_text()}"
            yield _hit(running, strikes.pop(0))
        else:
            assert code == 0, said.read_text()
            return
        if pipeline.locked:  # what Snakemake's own message advises
            done = pipeline.run("--unlock")
            assert done.returncode == 0, done.stderr


def _hit(running: psutil.Popen, strike: Strike) -> str:
    where = ", ".join(stages(running).values()) or "nothing"
    strike.who(running)
    running.wait(PATIENCE)
    return f"{strike.moment:6.2f} s  {strike.who.__name__:9}  while {where} ran"
