"""Two processes end as one, with one line or saved, and go on as if nothing had been."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.held import PATIENCE, Gate, until
from tests.stages.house import House

SLOW = ("trainer.steps=40", "trainer.log_every=1", "trainer.checkpoint_every=4")
TWO = ("devices.processes=2", "devices.precision=fp32", "experiment=kjv/score", *SLOW)
SAVED = (
    "tcsm: stopped after step 9; state saved in {state}; start the same command again to resume"
)
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
"$@" & one=$!
"$@" && wait $one
"""


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


@contextmanager
def waiting(house: House, gate: Gate) -> Iterator["subprocess.Popen[str]"]:
    """The agent of two processes that wait in a step; they do not outlive the test."""
    gate.close(8)
    with house.started("train", *TWO, *gate.overrides, name="broken") as agent:
        until(lambda: len(gate.waiting()) == 2, agent)
        yield agent


def ended(house: House, name: str, *more: str) -> tuple[int, str]:
    """How two end that nobody disturbs, and what they say."""
    with house.started("train", *TWO, *more, name=name) as agent:
        words = agent.communicate(timeout=PATIENCE)[1]
    return agent.returncode, words


def kill_rank(agent: int) -> None:
    os.kill(ranks(agent)[1], signal.SIGKILL)


def warn_agent(agent: int) -> None:
    os.kill(agent, signal.SIGTERM)


def press_ctrl_c(agent: int) -> None:
    os.kill(agent, signal.SIGINT)


@pytest.fixture(scope="module")
def unbroken(house: House) -> Path:
    """The same in two processes that nobody disturbs."""
    code, words = ended(house, "two/unbroken")
    assert (code, bool(words)) == (0, True)
    return house.root / "two/unbroken"


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc which rank a process is")
@pytest.mark.parametrize(
    ("harm", "code", "said"),
    [
        (
            kill_rank,
            1,
            "tcsm: error: process 1 died of SIGKILL; start the same command again to resume",
        ),
        (warn_agent, 75, SAVED),
        (press_ctrl_c, 75, SAVED),
    ],
)
def test_they_end_together_and_go_on(
    own_house: House,
    unbroken: Path,
    gate: Gate,
    harm: Callable[[int], None],
    code: int,
    said: str,
) -> None:
    with waiting(own_house, gate) as agent:
        children = ranks(agent.pid).values()
        harm(agent.pid)
        lines = agent.communicate(timeout=PATIENCE)[1].splitlines()
    assert agent.returncode == code
    state = own_house.root / "scratch/broken/state.safetensors"
    assert [line for line in lines if "tok/s" not in line] == [said.format(state=state)]
    until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))
    assert not list((own_house.root / "scratch/broken").glob("launch-*"))
    gate.open()
    again, words = ended(own_house, "broken", *gate.overrides)
    assert again == 0
    assert "training goes on after step" in words
    for file in ("weights.safetensors", "metrics.jsonl"):
        assert (own_house.root / "broken" / file).read_bytes() == (unbroken / file).read_bytes()


def test_two_nodes_meet(
    house: House, unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for srun starts what one of SLURM would start on two nodes."""
    (tmp_path / "srun").write_text(SRUN)
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    code, words = ended(house, "two/nodes", "devices.processes=1", "devices.nodes=2")
    assert code == 0
    assert "Traceback" not in words
    weights = [folder / "weights.safetensors" for folder in (house.root / "two/nodes", unbroken)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_what_is_wrong_for_all_is_said_once(house: House) -> None:
    code, words = ended(house, "two/refused", "data.batch=5")
    assert code == 2
    assert len(words.splitlines()) == 1
    assert words.startswith("tcsm: error: data.batch must be a multiple of 2 (2 processes")
