"""The console: help, unknown stages, configurations from a file and from standard input."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tcsm import config
from tcsm.stages import evaluate, train
from tests.stages.house import command


@pytest.fixture
def documents(house):
    """Two runs as one YAML stream, as the workflow writes them."""

    def text(name: str, seed: int) -> str:
        cfg = config.compose([*house.overrides(name), f"seed={seed}"])
        keys = {**dict.fromkeys(train.READS), **dict.fromkeys(evaluate.READS)}
        return OmegaConf.to_yaml(config.cut(cfg, keys))

    return "---\n".join([text("one", 0), text("two", 1)])


@pytest.mark.slow
def test_two_documents_of_a_file(house, documents, tmp_path):
    (tmp_path / "runs.yaml").write_text(documents)
    for stage in ("train", "evaluate"):
        done = command(stage, "--config", str(tmp_path / "runs.yaml"))
        assert done.code == 0, done.err
    seeds = [OmegaConf.load(house.root / name / "config.yaml").seed for name in ("one", "two")]
    assert seeds == [0, 1]
    weights = [(house.root / name / "weights.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] != weights[1]


@pytest.mark.slow
def test_standard_input_gives_the_same_runs(house, documents, tmp_path, monkeypatch):
    (tmp_path / "runs.yaml").write_text(documents)
    assert command("train", "--config", str(tmp_path / "runs.yaml")).code == 0
    records = ("one/train.json", "two/train.json")
    from_file = [(house.root / name).read_bytes() for name in records]
    monkeypatch.setattr(sys, "stdin", io.StringIO(documents))
    assert command("train", "--config", "-").code == 0
    assert [(house.root / name).read_bytes() for name in records] == from_file


@pytest.mark.slow
def test_the_configuration_of_a_run_repeats_it(house, trained, tmp_path):
    """``config.yaml`` is all that a training needs."""
    folder = trained("kjv/score")
    before = (folder / "weights.safetensors").read_bytes()
    cfg = OmegaConf.load(folder / "config.yaml")
    cfg.out, cfg.scratch = str(tmp_path / "out"), str(tmp_path / "scratch")
    OmegaConf.save(cfg, tmp_path / "config.yaml")
    assert command("train", "--config", str(tmp_path / "config.yaml")).code == 0
    assert (tmp_path / "out/weights.safetensors").read_bytes() == before


def test_a_bad_document_is_told_before_the_first_runs(house, documents, tmp_path):
    broken = documents.replace("seed: 1", "seed: one").replace("/one", "/never")
    (tmp_path / "runs.yaml").write_text(broken)
    done = command("train", "--config", str(tmp_path / "runs.yaml"))
    assert done.code == 2
    (line,) = done.err
    assert all(word in line for word in ("seed", "'one'"))
    assert not (house.root / "never").exists()


@pytest.mark.slow
def test_the_module_is_the_command(house):
    """Outside pytest's type checks: a whole number does for a float; errors go to stderr."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    argv = [sys.executable, "-m", "tcsm", "train", *house.overrides("module")]
    overrides = [
        "trainer.clip=1",
        "trainer.learning_rate=1",
        "trainer.steps=0",
        "trainer.warmup=0",
    ]
    done = subprocess.run(
        [*argv, *overrides],
        check=False,
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert re.fullmatch(r"kjv/distribution seed 0  0 steps  journal \S+\n", done.stderr)
    assert str(house.root / "module/weights.safetensors") in done.stdout
    assert (house.root / "module/train.json").is_file()


@pytest.mark.parametrize("argv", [["--help"], ["-h"], ["help"]])
def test_help_is_given_wherever_it_is_asked_for(argv):
    done = command(*argv)
    assert (done.code, done.err) == (0, [])
    assert done.out.startswith("usage: tcsm STAGE")
    for stage in ("prepare", "train", "evaluate", "sample", "collect", "report"):
        assert f"\n  {stage} " in done.out


def test_an_unknown_stage_is_told_with_those_there_are():
    done = command("nosuchstage")
    assert done.code == 2
    (line,) = done.err
    assert all(word in line for word in ("nosuchstage", "prepare", "train", "report"))
