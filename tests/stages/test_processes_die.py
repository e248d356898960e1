"""Two processes end as one, with one line or saved, and go on as if nothing had been."""

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.held import PATIENCE, Gate, until
from tests.stages.house import House

pytestmark = pytest.mark.slow
SLOW = ("trainer.steps=40", "trainer.log_every=1", "trainer.checkpoint_every=4")
TWO = ("devices.processes=2", "devices.precision=fp32", "experiment=kjv/score", *SLOW)
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
"$@" & one=$!
"$@" && wait $one
"""


def ranks(agent: int) -> dict[int, int]:
    """Rank → process, of the children of an agent."""
    actual = {}
    for child in Path(f"/proc/{agent}/task/{agent}/children").read_text().split():
        words = dict(
            word.split("=", 1)
            for word in Path(f"/proc/{child}/environ").read_text().split("\0")
            if "=" in word
        )
        actual[int(words["RANK"])] = int(child)
    return actual


def ended(house: House, name: str, *more: str) -> tuple[int, str]:
    """The exit code of two undisturbed processes, and their stderr."""
    with house.started("train", *TWO, *more, name=name) as agent:
        words = agent.communicate(timeout=PATIENCE)[1]
    return agent.returncode, words


@pytest.fixture
def of_nodes(house: House, tmp_path: Path) -> Path:
    """The same on two nodes: a stand-in for srun starts what one of SLURM would start."""
    (tmp_path / "srun").write_text(SRUN)
    (tmp_path / "srun").chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        patch.setenv("SLURM_JOB_ID", "1")
        code, words = ended(house, "nodes", "devices.processes=1", "devices.nodes=2")
    assert code == 0
    assert words
    assert "Traceback" not in words
    return house.root / "nodes"


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc which rank a process is")
def test_they_end_together_and_go_on(house: House, of_nodes: Path, gate: Gate) -> None:
    """Stopped and then killed in its parts, a run ends as two nodes that nothing disturbs."""
    scratch = house.root / "scratch/broken"
    for step, number, code, words in (
        (8, signal.SIGTERM, 75, ("stopped after step 9", str(scratch / "state.safetensors"))),
        (26, signal.SIGKILL, 1, ("process 1 died of SIGKILL", "to resume")),
    ):
        gate.close(step)
        with house.started("train", *TWO, *gate.overrides, name="broken") as agent:
            until(lambda: len(gate.waiting()) == 2, agent)
            children = ranks(agent.pid)
            alive = [Path(f"/proc/{child}") for child in children.values()]
            os.kill(children[1] if number == signal.SIGKILL else agent.pid, number)
            lines = agent.communicate(timeout=PATIENCE)[1].splitlines()
        assert agent.returncode == code
        usual = ("tok/s", "  journal ", "goes on after")
        output = [text for text in lines if not any(word in text for word in usual)]
        assert len(output) == 1
        assert all(word in output[0] for word in words)
        until(lambda alive=alive: not any(path.exists() for path in alive))
        assert not list(scratch.glob("launch-*"))
        gate.open()
    again, err = ended(house, "broken", *gate.overrides)
    assert again == 0
    assert "training goes on after step 24" in err
    for file in ("weights.safetensors", "metrics.jsonl"):
        assert (house.root / "broken" / file).read_bytes() == (of_nodes / file).read_bytes()


def test_what_is_wrong_for_all_is_said_once(house: House) -> None:
    code, words = ended(house, "refused", "data.batch=5")
    assert code == 2
    assert len(words.splitlines()) == 1
    assert words.startswith("tcsm: error: data.batch must be a multiple of 2 (2 processes")
