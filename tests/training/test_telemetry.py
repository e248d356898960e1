import json
import subprocess
import time

import pytest
import torch

from tcsm.training.telemetry import (
    Elapsed,
    Stopwatch,
    checkout,
    describe,
    peak_memory_mib,
    utilization,
)

CPU = torch.device("cpu")


def test_a_stopwatch_goes_on_from_earlier_time():
    wall, cpu = time.perf_counter(), time.process_time()
    watch = Stopwatch(Elapsed(100.0, 50.0))
    first, second = watch.read(), watch.read()
    passed = Elapsed(time.perf_counter() - wall, time.process_time() - cpu)
    assert 100 <= first.seconds <= second.seconds <= 100 + passed.seconds
    assert 50 <= first.cpu_seconds <= second.cpu_seconds <= 50 + passed.cpu_seconds


def test_peak_memory_grows_with_what_is_held():
    before = peak_memory_mib(CPU)
    held = torch.ones(2**26, dtype=torch.uint8)
    assert peak_memory_mib(CPU) >= max(before, held.nbytes / 2**20)


def test_utilization_is_a_share_of_a_known_peak():
    assert utilization(98.9e12, "NVIDIA H100 80GB HBM3") == pytest.approx(0.1)
    assert utilization(31.2e12, "NVIDIA A100-SXM4-40GB") == pytest.approx(0.1)
    assert utilization(1e12, "some CPU") is None


def test_a_stage_is_described_by_the_keys_of_its_file():
    actual = describe(Stopwatch(Elapsed(10.0, 8.0)), 1000, CPU, flops_per_token=1e6)
    assert actual["tokens_per_second"] == pytest.approx(1000 / actual["seconds"])
    assert actual["mfu"] is None
    assert actual["versions"]["torch"] == str(torch.__version__)
    keys = "seconds cpu_seconds tokens_per_second peak_memory_mib mfu device threads versions"
    assert list(actual) == [*keys.split(), "commit", "dirty", "started"]
    json.dumps(actual)


def test_a_checkout_is_known_by_commit_and_changes(tmp_path):
    assert checkout(tmp_path / "nowhere") == {"commit": None, "dirty": None}

    def git(*words):
        who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(tmp_path), *who, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    assert checkout(tmp_path) == {"commit": None, "dirty": None}
    git("commit", "-q", "--allow-empty", "-m", "first")
    assert checkout(tmp_path) == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "new").write_text("")
    assert checkout(tmp_path)["dirty"] is True


def test_results_that_git_holds_are_no_change(tmp_path):
    def git(*words):
        who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *words], check=True)

    names = ("dvc.lock", "data.dvc", "reports/metrics.json", "reports/smoke/metrics.json")
    (tmp_path / "reports/smoke").mkdir(parents=True)
    (tmp_path / "params").mkdir()
    for name in (*names, "params/dvc.lock"):
        (tmp_path / name).write_text("before")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    for name in names:
        (tmp_path / name).write_text("after")
    assert checkout(tmp_path)["dirty"] is False
    assert checkout(tmp_path / "params")["dirty"] is False
    (tmp_path / "params/dvc.lock").write_text("after")
    assert checkout(tmp_path)["dirty"] is True
    assert checkout(tmp_path / "reports")["dirty"] is True
