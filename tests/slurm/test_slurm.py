"""The real workflow through a real SLURM: cancelled, over its time, on a node that is lost."""

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.slurm.cluster import REFUSED, Cluster, Training, ask, cluster, start, until, up
from tests.workflow.house import House
from tests.workflow.test_end_to_end import SCALE, copy_checkout

pytest.importorskip("snakemake_executor_plugin_slurm")

SEEDS = (0, 1)
EDITS = {
    "name: tiny": "name: cluster",
    "gpu: 0": "gpu: 1",
    "[tiny/ar, tiny/score]": "[tiny/score]",
    "judge: tiny/ar": "judge: null",
    "steps: 12": "steps: 300",
    "log_every: 3": "log_every: 5",
    "checkpoint_every: 3": "checkpoint_every: 5",
    "every: 6": "every: 100",
}
CONFIG = ("--config", "scale=cluster")
TOGETHER = ("prepare=data", "pin=data", "evaluate=after", "sample=after", "report=after")


@contextmanager
def alone() -> Iterator[None]:
    """One cluster at a time on this machine: others wait."""
    with (Path(tempfile.gettempdir()) / "tcsm-slurm-tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="module")
def slurm() -> Iterator[Cluster]:
    """A cluster of one node with four GPUs that are none."""
    with (
        alone(),
        tempfile.TemporaryDirectory() as folder,  # short: paths of sockets have few letters
        cluster(Path(folder) / "cluster") as made,
    ):
        yield made


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A checkout with a scale of one experiment: two seeds of a tiny model, each on a GPU."""
    made = copy_checkout(tmp_path / "with space")
    scale = SCALE
    for old, new in EDITS.items():
        assert old in scale
        scale = scale.replace(old, new)
    (made.folder / "params/scale/cluster.yaml").write_text(scale)
    return made


def test_the_report_is_made_whatever_happens_to_its_jobs(slurm: Cluster, house: House) -> None:
    with start(house.folder, *CONFIG, "--groups", *TOGETHER) as snakemake:
        disturb(slurm, house.folder)
        assert snakemake.wait(400) == 0
    assert house.plan(*CONFIG) == {}
    assert (house.folder / "reports/cluster/index.html").exists()
    assert not list((house.folder / "results/.scratch").rglob("state.safetensors"))
    logs = (house.folder / "results/logs/cluster/train").rglob("*.log")
    assert all("training goes on after step" in log.read_text() for log in logs)
    disturbed = weights(house.folder)
    again = house.snakemake(*CONFIG, "--forcerun", "train", "--until", "train")
    assert again.returncode == 0, again.stderr
    assert disturbed == weights(house.folder)


def disturb(slurm: Cluster, folder: Path) -> None:
    """Stop one training twice and the other once, in their middle and each time in another way."""
    cancelled, late = runs = [held(slurm, folder, seed) for seed in SEEDS]
    gpus = {run.process.environ()["CUDA_VISIBLE_DEVICES"] for run in runs}
    assert gpus == {"0", "1"}
    now = time.time()
    ask("scontrol", "update", f"JobId={late.job}", "TimeLimit=1")
    ask("scancel", cancelled.job)
    lost = held(slurm, folder, SEEDS[0], since=now)
    until(lambda: slurm.state(late.job) == "FAILED")
    slurm.lose_node()
    until(lambda: slurm.state(lost.job) == "PENDING")
    slurm.bring_node_back()
    assert slurm.state(cancelled.job) == "CANCELLED"
    for run in runs:  # the signal came through, and the training saved
        (log,) = (folder / ".snakemake/slurm_logs").rglob(f"{run.job}.log")
        assert "exit status 75" in log.read_text()


def held(slurm: Cluster, folder: Path, seed: int, since: float = 0) -> Training:
    """A training that has saved its state after a time, and gets no further."""
    state = folder / f"results/.scratch/cluster/tiny/score/seed-{seed}/state.safetensors"
    run = until(lambda: slurm.training(f"rule_train_wildcards_tiny_score_{seed}", since))
    until(lambda: state.exists() and state.stat().st_mtime > run.process.create_time())
    run.hold()
    return run


def weights(folder: Path) -> list[str]:
    """What was trained, by its checksums."""
    runs = [folder / f"results/cluster/tiny/score/seed-{seed}/train.json" for seed in SEEDS]
    return [json.loads(run.read_text())["weights_sha256"] for run in runs]


def test_no_cluster_beside_another(slurm: Cluster, tmp_path: Path) -> None:
    refused = up(tmp_path)
    assert refused.returncode == REFUSED
    assert refused.stderr == "SLURM is set up here already: /etc/slurm/slurm.conf\n"
    assert slurm.node() == "idle"


@pytest.mark.skipif("TCSM_SMOKE" not in os.environ, reason="minutes; `make slurm` runs it")
def test_the_smoke_report(slurm: Cluster, tmp_path: Path) -> None:
    house = copy_checkout(tmp_path / "checkout")
    with start(house.folder, "--config", "scale=smoke") as snakemake:
        assert snakemake.wait(3600) == 0
    assert house.plan("--config", "scale=smoke") == {}
    assert (house.folder / "reports/smoke/index.html").exists()
