"""Two processes end as one, with one line or saved, and go on as if nothing had been."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stages.house import House

TOP = Path(__file__).parents[2]
SLOW = ("trainer.steps=40", "trainer.log_every=1", "trainer.checkpoint_every=4")
TWO = ("devices.processes=2", "devices.precision=fp32", "experiment=kjv/score", *SLOW)
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
"$@" & one=$!
"$@" && wait $one
"""


def start(house: House, name: str, *overrides: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tcsm", "train", *house.overrides(name), *TWO, *overrides],
        cwd=TOP,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def ranks(agent: int) -> dict[int, int]:
    """Rank → process, of the children of an agent."""
    found = {}
    for child in Path(f"/proc/{agent}/task/{agent}/children").read_text().split():
        words = dict(
            word.split("=", 1)
            for word in Path(f"/proc/{child}/environ").read_text().split("\0")
            if "=" in word
        )
        found[int(words["RANK"])] = int(child)
    return found


def at_step(house: House, name: str, step: int, agent: subprocess.Popen[str]) -> None:
    """Wait until so many steps have been recorded."""
    journal = house.root / "scratch" / name / "metrics.jsonl"
    until = time.monotonic() + 120
    while not journal.exists() or journal.read_bytes().count(b"\n") < step:
        assert agent.poll() is None, agent.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.01)


def kill_rank(agent: int) -> None:
    os.kill(ranks(agent)[1], signal.SIGKILL)


def warn_agent(agent: int) -> None:
    os.kill(agent, signal.SIGTERM)


@pytest.fixture(scope="module")
def unbroken(house: House) -> Path:
    """The same in two processes that nobody disturbs."""
    agent = start(house, "unbroken")
    assert agent.communicate()[1]
    assert agent.returncode == 0
    return house.root / "unbroken"


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc which rank a process is")
@pytest.mark.parametrize(
    ("harm", "code", "said"),
    [
        (
            kill_rank,
            1,
            "tcsm: error: process 1 died of SIGKILL; start the same command again to resume",
        ),
        (warn_agent, 75, None),
    ],
)
def test_they_end_together_and_go_on(
    house: House, unbroken: Path, harm: Callable[[int], None], code: int, said: str | None
) -> None:
    name = harm.__name__
    agent = start(house, name)
    at_step(house, name, 6, agent)
    children = ranks(agent.pid).values()
    harm(agent.pid)
    lines = [line for line in agent.communicate(timeout=60)[1].splitlines() if "tok/s" not in line]
    assert agent.returncode == code
    assert lines == ([] if said is None else [said])
    assert not any(Path(f"/proc/{child}").exists() for child in children)
    assert not list((house.root / "scratch" / name).glob("launch-*"))
    again = start(house, name)
    assert "training goes on after step" in again.communicate()[1]
    assert again.returncode == 0
    for file in ("weights.safetensors", "metrics.jsonl"):
        assert (house.root / name / file).read_bytes() == (unbroken / file).read_bytes()


def test_two_nodes_meet(
    house: House, unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for srun starts what one of SLURM would start on two nodes."""
    (tmp_path / "srun").write_text(SRUN)
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    agent = start(house, "nodes", "devices.processes=1", "devices.nodes=2")
    assert "Traceback" not in agent.communicate()[1]
    assert agent.returncode == 0
    weights = [folder / "weights.safetensors" for folder in (house.root / "nodes", unbroken)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_what_is_wrong_for_all_is_said_once(house: House) -> None:
    agent = start(house, "refused", "data.batch=5")
    words = agent.communicate()[1].splitlines()
    assert agent.returncode == 2
    assert len(words) == 1
    assert words[0].startswith("tcsm: error: data.batch must be a multiple of 2 (2 processes")
