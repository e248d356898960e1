"""Trained runs from Python, and runs whose files have former names of classes."""

import shutil
from pathlib import Path

import pytest

import tcsm
from tcsm.errors import InputError

NEW, OLD = "tcsm.training.optim.OptimConfig", "tcsm.training.optim.Recipe"


@pytest.fixture
def folder(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained("kjv/distribution"), tmp_path / "run"))


def test_a_run_of_an_earlier_version_is_loaded_sampled_and_evaluated(folder):
    text = (folder / "config.yaml").read_text("utf-8")
    assert NEW in text
    (folder / "config.yaml").write_text(text.replace(NEW, OLD), "utf-8")
    run = tcsm.load(folder)
    assert run.tokenizer.decode(run.tokenizer.encode("abc")) == "abc"
    assert run.config.out == str(folder)
    record = tcsm.sample(folder, "sampling.count=2", "sampling.steps=[2]")
    assert len(record["runs"][0]["texts"]) == 2
    assert tcsm.evaluate(folder)["metrics"]["likelihood"]["splits"]["test"]["bpc"] > 0


def test_no_run_and_a_bad_override_are_input_errors(folder, tmp_path):
    with pytest.raises(InputError, match=r"weights\.safetensors"):
        tcsm.load(tmp_path)
    with pytest.raises(InputError, match=r"sampling\.count.*-1"):
        tcsm.sample(folder, "sampling.count=-1")
