"""What a rule starts, when the machine is asked for."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.held import PATIENCE
from workflow.launch import TOP, command, set_environment

STAGE = """
import signal, sys, time
signal.signal(signal.{number}, lambda *_: (print("saved", flush=True), sys.exit(75)))
print("ready", flush=True)
while True:
    time.sleep(0.1)
"""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What Snakemake's process has set, for the time of a test."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/elsewhere", "/there"]))
    monkeypatch.setenv("TCSM_PYTHON", "")
    handler = signal.getsignal(signal.SIGUSR1)
    monkeypatch.delenv("TCSM_KEEP_SCRATCH", raising=False)
    set_environment(["snakemake", "--local-groupid", "local"])
    yield
    signal.signal(signal.SIGUSR1, handler)


def start(folder: Path, stage: str) -> subprocess.Popen[str]:
    """A rule's shell as Snakemake runs it, with a stage of our own, when that is ready."""
    python = folder / "python"
    python.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{stage}'\n")
    python.chmod(0o755)
    line = command("train").replace("{params.config:q}", "x").replace("{log:q}", "log")
    rule = subprocess.Popen(
        ["bash", "-c", f"set -euo pipefail; {line}"],
        cwd=folder,
        env={**os.environ, "TCSM_PYTHON": str(python)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert rule.stderr
    assert rule.stderr.readline() == "ready\n"
    return rule


@pytest.mark.parametrize("number", ["SIGTERM", "SIGUSR1"])
def test_a_stage_that_saves_when_all_are_asked_to_end_is_waited_for(
    tmp_path: Path, number: str
) -> None:
    rule = start(tmp_path, STAGE.format(number=number))
    os.killpg(rule.pid, signal.Signals[number])
    assert rule.wait(PATIENCE) == 75
    assert (tmp_path / "log").read_text() == "ready\nsaved\n"


def test_a_stage_that_does_not_ends_with_the_others(tmp_path: Path) -> None:
    rule = start(tmp_path, 'import signal; print("ready", flush=True); signal.pause()')
    os.killpg(rule.pid, signal.SIGUSR1)
    with pytest.raises(subprocess.TimeoutExpired):
        rule.wait(0.2)
    os.killpg(rule.pid, signal.SIGTERM)
    assert rule.wait(PATIENCE) == 128 + signal.SIGTERM


def test_the_states_of_a_group_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "TCSM_KEEP_SCRATCH" not in os.environ
    monkeypatch.setenv("TCSM_KEEP_SCRATCH", "")
    set_environment(["snakemake", "--local-groupid", "some"])
    assert os.environ["TCSM_KEEP_SCRATCH"] == "1"


def test_jobs_import_what_snakemake_imports_whatever_else_is_on_the_path() -> None:
    assert os.environ["PYTHONPATH"].split(os.pathsep) == [TOP, "/elsewhere", "/there"]
    assert os.environ["TCSM_PYTHON"] == sys.executable
