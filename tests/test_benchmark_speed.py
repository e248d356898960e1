"""The benchmarks of speed run in a tiny form, and compare what they say they compare."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import check, compare, curves, measure, publish
from benchmarks.own import OBJECTIVES, build
from benchmarks.sizes import SIZES
from tcsm.noise import batch_noise
from tcsm.process.corruption import TimeSampling
from tcsm.reporting.page import Report

# What the machine with a GPU lacks is not found, and the second call finds nothing left to do.
SESSION = """
import sys

sys.modules.update(dict.fromkeys(("dvc", "hydra", "omegaconf", "pandas", "snakemake")))
from benchmarks import gpu
command = ["--tiny", "--device", "cpu", "--out", sys.argv[1]]
failed = gpu.main(command)
print("again", flush=True)
sys.exit(failed or gpu.main(command))
"""


@pytest.mark.slow
def test_a_session_on_a_gpu_runs_through_in_a_tiny_form(tmp_path: Path) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SESSION, str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("again\n"), "a row was made twice"
    files = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("gpu-*.json")}
    parts = ("machine", "agreement", "gpt2", "char", "sampling", "bound")
    assert files.keys() == {f"gpu-{part}" for part in parts}
    for row in files["gpu-agreement"]["rows"]:
        assert row.get("equal", True)
        assert "fp32" not in row["name"] or row["gradient_relative"] < 1e-5
    (first, *_) = files["gpu-gpt2"]["rows"]
    assert first["graph_breaks"] == 0
    assert first["flops_per_token"]["executed"] < first["flops_per_token"]["dense"]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_dense_path_has_the_same_loss_and_gradients(name: str) -> None:
    size, actual = SIZES["tiny"], []
    x_1 = torch.randint(size.vocabulary, (size.batch, size.length))
    for head in ("dense", "default", 8):
        model = build(size, head).double()
        torch.nn.init.normal_(model.net.head.weight)
        objective = OBJECTIVES[name](TimeSampling(model.path))
        loss = objective(model, x_1, batch_noise(0, 0, size.batch))["loss"]
        loss.backward()
        actual.append([loss.detach(), *(p.grad for p in model.parameters())])
    for other in actual[1:]:
        torch.testing.assert_close(other, actual[0], rtol=1e-8, atol=1e-10)


def test_a_power_law_is_found_with_its_interval() -> None:
    x = [1, 2, 4, 8]
    law = measure.power(x, [[3 * v**0.5, 3.03 * v**0.5, 2.97 * v**0.5] for v in x])
    assert abs(law.exponent - 0.5) < 0.02
    assert law.low <= law.exponent <= law.high


def test_the_processor_is_its_name_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "model\t\t: 1\nmodel name\t: AMD EPYC\n" * 2
    monkeypatch.setattr(measure.platform, "system", lambda: "Linux")
    monkeypatch.setattr(Path, "read_text", lambda _: lines)
    assert measure.processor() == "AMD EPYC"


def test_memory_is_that_of_the_process_and_not_of_its_parent() -> None:
    code = """if True:
    import sys, types
    sys.modules["torch"] = types.SimpleNamespace(device=object)
    from benchmarks.timing import resident_mib
    print(resident_mib())"""
    parent = torch.ones(2**26)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert parent.all()
    assert 1 < float(done.stdout) < 100


def test_a_ratio_is_that_of_paired_rounds() -> None:
    load = [1.0, 9.0, 2.0, 5.0]
    ratio = measure.paired_ratio([2 * v for v in load], load)
    assert (ratio.low, ratio.value, ratio.high) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(
    ("interval", "is_slower"),
    [((2.6, 2.8, 3.1), False), ((2.3, 2.5, 2.69), True), ((2.9, 3.0, 3.1), False)],
)
def test_a_step_is_slower_if_the_whole_interval_is(interval: tuple, is_slower: bool) -> None:
    low, value, high = interval
    assert check.slower(measure.Ratio(value, low, high), baseline=3.0) == is_slower


def test_the_check_fails_against_a_faster_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(check, "CASES", (check.Case("tiny", SIZES["tiny"]),))
    command = ["--seconds", "0.1", "--baseline", str(tmp_path / "check.json")]
    check.main([*command, "--update"])
    known = json.loads((tmp_path / "check.json").read_text())
    for factor, failures in ((0.2, 0), (5.0, 1)):
        (row,) = known["rows"]
        measure.save(tmp_path / "check.json", {"rows": [row | {"value": factor * row["value"]}]})
        assert check.main(command) == failures
    assert "SLOWER: tiny" in capsys.readouterr().out


@pytest.mark.slow
def test_each_cost_has_a_curve_and_a_sentence(tmp_path: Path) -> None:
    names = ["step-v", "step-k", "targets-k", "sample-b", "bound-se"]
    curves.main(["--tiny", "--rounds", "2", "--out", str(tmp_path), "--only", *names])
    rows = json.loads((tmp_path / "curves.json").read_text())["rows"]
    assert [row["name"] for row in rows] == names
    for row in rows:
        assert row["low"] <= row["exponent"] <= row["high"]
        assert f"{row['exponent']:.2f}" in row["sentence"]


@pytest.mark.slow
def test_a_comparison_has_a_table_with_the_parts_of_a_step(tmp_path: Path) -> None:
    place = ["--size", "tiny", "--out", str(tmp_path), "--threads", "1", "--rounds", "2"]
    compare.main(["train", *place, "--turn", "0.05", "--only"])
    result = json.loads((tmp_path / "train-tiny-threads1.json").read_text())
    (row,) = result["rows"]
    assert list(row["parts_ms"]) == list(measure.PARTS)
    assert abs(sum(row["parts_ms"].values()) / row["ms"] - 1) < 0.5
    assert len(result["skipped"]) == 3
    table = (tmp_path / "train-tiny-threads1.md").read_text()
    assert "TCSM, dense path" in table


def test_the_report_shows_what_was_measured(tmp_path: Path) -> None:
    chapters, results = tmp_path / "chapters", tmp_path / "results"
    shutil.copytree("reports/chapters", chapters)
    size, parts = vars(SIZES["tiny"]), dict.fromkeys(measure.PARTS, 1.0)
    numbers = ("ms", "ratio", "ratio_low", "ratio_high", "tokens_per_second", "peak_mib")
    row = {"name": "TCSM", "parts_ms": parts, **dict.fromkeys(numbers, 2.5), "peak_ratio": 1.0}
    place = {**measure.machine(), "size": size, "threads": 1, "clock": "wall", "tiny": False}
    place |= {
        "commits": {"tcsm": "abc"},
        "commit": "abc",
        "rows": [row | {"parameters": 3, "rounds": [1.0, 2.0]}],
    }
    for name in ("train-tiny-threads1", "bound-tiny-threads1", "gpu-gpt2"):
        measure.save(results / f"{name}.json", place)
    curve = curves.Curve("step-v", "Time of a training step", "V", "s", [2, 4], [[1.0], [2.0]])
    measure.save(results / "curves.json", {"rows": [curve.row()]})
    publish.main(["--results", str(results), "--out", str(chapters / "speed_data.j2")])
    page = Report("Toy", "A page.", ["speed"], folder=chapters).build([], tmp_path / "out")
    text = page.read_text()
    assert "Time of a training step grows with V to the power 1" in text
    assert "2.50 [2.50, 2.50] times the speed of TCSM" in text
    for figure in ("curves", "train-tiny-threads1"):
        assert (tmp_path / f"out/figures/speed_{figure}.svg").exists()
    assert (tmp_path / "out/tables/speed_gpu-gpt2.csv").exists()
