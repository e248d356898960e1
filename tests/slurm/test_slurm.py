"""The real workflow through a real SLURM: cancelled, over its time, on a node that is lost."""

import fcntl
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.held import Gate, until
from tests.slurm.cluster import (
    ENVIRONMENT,
    REFUSED,
    Cluster,
    Training,
    ask,
    cluster,
    start,
    up,
)
from tests.workflow.house import House
from tests.workflow.test_end_to_end import SCALE, copy_checkout

pytest.importorskip("snakemake_executor_plugin_slurm")

SEEDS = (0, 1)
NEVER = -1
EDITS = {
    "name: tiny": "name: cluster",
    "[tiny/ar, tiny/score]": "[tiny/score]",
    "judge: tiny/ar": "judge: null",
    "steps: 12": "steps: 30",
    "log_every: 3": "log_every: 5",
    "checkpoint_every: 3": "checkpoint_every: 5",
    "every: 6": "every: 30",
}
GPU = {"gpu: 0": "gpu: 1"}
ONE_SEED = {"seeds: [0, 1]": "seeds: [0]"}
GATED = """trainer:
  _target_: tests.held.OptimConfig
  gate: gates/${seed}
"""
TWO_NODES = """devices:
  nodes: 2
  processes: 1
"""
ON_TWO_NODES = (  # docs/cluster.md
    *("--set-threads", "train=1"),
    *("--set-resources", "train:nodes=2", "train:tasks=2", "train:mpi=srun"),
)
SMALL = ("--workflow-profile", "workflow/profiles/small")
CONFIG = ("--config", "scale=cluster")
# The smoke report with four trainings and one ablation, which is a dozen jobs less.
FEW = {
    r"pretrain: .*": "pretrain: [kjv/ar, kjv/mdlm]",
    r"ablations: .*": "ablations: [structure]",
}
COMPLETE = "training goes on after step 40"  # of scale=smoke


@contextmanager
def alone() -> Iterator[None]:
    """One cluster at a time on this machine: others wait."""
    with (Path(tempfile.gettempdir()) / "tcsm-slurm-tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def left_behind() -> Iterator[None]:
    """A link to nothing, as a killed test leaves it, where no SLURM runs."""
    link = Path("/etc/slurm/slurm.conf")
    if {"slurmd", "slurmctld"}.isdisjoint(process.name() for process in psutil.process_iter()):
        with suppress(OSError):
            link.parent.mkdir(exist_ok=True)
            link.symlink_to("/nowhere/cluster/slurm.conf")
    try:
        yield
    finally:
        if link.is_symlink() and not link.exists():  # the cluster could not be started
            link.unlink()


@pytest.fixture(scope="module")
def slurm() -> Iterator[Cluster]:
    """A cluster of two nodes, each with two GPUs that are none."""
    with (
        alone(),
        left_behind(),
        tempfile.TemporaryDirectory() as folder,  # short: paths of sockets have few letters
        cluster(Path(folder) / "cluster") as made,
    ):
        yield made


def build(folder: Path, edits: dict[str, str], experiment: str) -> House:
    """A checkout with a scale of one experiment, a tiny model."""
    made = copy_checkout(folder)
    scale = SCALE
    for old, new in (EDITS | edits).items():
        assert old in scale
        scale = scale.replace(old, new)
    (made.folder / "params/scale/cluster.yaml").write_text(scale)
    with (made.folder / "params/experiment/tiny/score.yaml").open("a") as file:
        file.write(experiment)
    return made


def test_trainings_end_the_same_whatever_happens_to_their_jobs(
    slurm: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = build(tmp_path / "with space", GPU, GATED)
    monkeypatch.setenv("TCSM_TARGETS", ENVIRONMENT["TCSM_TARGETS"])
    monkeypatch.setenv("PYTHONPATH", ENVIRONMENT["PYTHONPATH"])
    gates = [Gate(house.folder / f"gates/{seed}") for seed in SEEDS]
    for gate in gates:
        gate.close(10)
    with start(house.folder, *CONFIG, "--until", "train") as snakemake:
        lost = disturb(slurm, house.folder, gates)
        with slurm.without(lost.node):
            assert snakemake.wait(1800) == 0
    for gate in gates:
        gate.open()
    assert slurm.restarts(lost.job) == 1
    assert house.plan(*CONFIG, "--until", "train") == {}
    assert not list((house.folder / "results/.scratch").rglob("state.safetensors"))
    logs = (house.folder / "results/logs/cluster/train").rglob("*.log")
    assert all("training goes on after step" in log.read_text() for log in logs)
    disturbed = weights(house)
    again = house.snakemake(*CONFIG, "--forcerun", "train", "--until", "train")
    assert again.returncode == 0, again.stderr
    assert disturbed == weights(house)


def disturb(slurm: Cluster, folder: Path, gates: list[Gate]) -> Training:
    """Stop both trainings in their middle, each in its way; the first is in the midst again."""
    cancelled, late = runs = [held(slurm, gate) for gate in gates]
    assert len({(run.node, run.gpu) for run in runs}) == len(runs)
    gates[0].close(20)
    slurm.warn(late.job)
    ask("scancel", cancelled.job)
    again = held(slurm, gates[0], other_than=cancelled.job)
    gates[0].close(NEVER)
    assert slurm.state(cancelled.job) == "CANCELLED"
    until(lambda: slurm.state(late.job) == "FAILED")
    for run in runs:  # the signal came through, and the training saved
        (log,) = (folder / ".snakemake/slurm_logs").rglob(f"{run.job}.log")
        assert "exit status 75" in log.read_text()
    return again


def held(slurm: Cluster, gate: Gate, other_than: str = "") -> Training:
    """The training that waits at a gate, of another job than one."""
    return until(lambda: slurm.training(gate, other_than))


def weights(house: House) -> list[str]:
    """What was trained, by its checksums."""
    runs = sorted((house.folder / "results/cluster").rglob("train.json"))
    assert runs
    return [json.loads(run.read_text())["weights_sha256"] for run in runs]


def test_two_nodes_train_what_two_processes_do(slurm: Cluster, tmp_path: Path) -> None:
    house = build(tmp_path / "checkout", ONE_SEED, TWO_NODES)
    until_trained = (*CONFIG, "--until", "train")
    with start(house.folder, *until_trained, *ON_TWO_NODES) as snakemake:
        assert snakemake.wait(1800) == 0
    of_nodes = weights(house)
    house.edit("params/experiment/tiny/score.yaml", "nodes: 2", "nodes: 1")
    house.edit("params/experiment/tiny/score.yaml", "processes: 1", "processes: 2")
    again = house.snakemake(*until_trained)
    assert again.returncode == 0, again.stderr
    assert of_nodes == weights(house)


def test_no_cluster_beside_another(slurm: Cluster, tmp_path: Path) -> None:
    refused = up(tmp_path)
    assert refused.returncode == REFUSED
    assert refused.stderr == "SLURM is set up here already: /etc/slurm/slurm.conf\n"
    assert slurm.states() == {"idle"}


def test_a_report_is_made_though_a_group_is_cancelled(slurm: Cluster, tmp_path: Path) -> None:
    house = copy_checkout(tmp_path / "checkout")
    scale = house.folder / "params/scale/smoke.yaml"
    for old, new in FEW.items():
        text, count = re.subn(f"(?m)^{old}$", new, scale.read_text())
        assert count == 1
        scale.write_text(text)
    with start(house.folder, *SMALL, "--config", "scale=smoke") as snakemake:
        cancelled = until(lambda: cancelled_group(slurm, house.folder))
        assert slurm.asked(cancelled) == "1 20:00"  # ten minutes for each of two, in turn
        assert snakemake.wait(3600) == 0
    output = (house.folder / "snakemake.log").read_text()
    assert output.count("Trying to restart job") == 1
    assert output.count("has been submitted") < 8  # small jobs go together
    logs = (house.folder / "results/logs/smoke/train").rglob("*.log")
    assert any(COMPLETE in log.read_text() for log in logs)  # it was not trained again
    assert not list((house.folder / "results/.scratch").rglob("state.safetensors"))
    assert house.plan("--config", "scale=smoke") == {}
    assert (house.folder / "reports/smoke/index.html").exists()


def cancelled_group(slurm: Cluster, folder: Path) -> str | None:
    """A group of trainings that was cancelled after one of them was complete."""
    for log in (folder / ".snakemake/slurm_logs/group_runs_train_all_seeds").glob("*.log"):
        with suppress(FileNotFoundError):  # a job that succeeds loses it
            if "1 of 2 steps" in log.read_text() and slurm.state(log.stem) == "RUNNING":
                ask("scancel", log.stem)
                until(lambda job=log.stem: slurm.state(job) not in ("RUNNING", "COMPLETING"))
                return log.stem if slurm.state(log.stem) == "CANCELLED" else None
    return None
