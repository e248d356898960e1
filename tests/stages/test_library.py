"""Trained runs from Python, and runs whose files have former names of classes."""

import math
import shutil
from pathlib import Path

import pytest
import torch

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


def test_a_run_draws_scores_and_gives_conditionals(folder):
    run = tcsm.load(folder)
    texts = run.sample(2, prompt="abc_", steps=2, seed=1)
    assert [text[:3] for text in texts] == ["abc", "abc"]
    assert texts == run.sample(2, prompt="abc_", steps=2, seed=1)
    x_t = torch.full((2, 5), 27)
    x_t[:, 0] = 4
    log_q = run.log_conditionals(x_t, torch.zeros(2))
    assert log_q.shape == (2, 5, 27)
    assert torch.allclose(log_q.logsumexp(-1), torch.zeros(2, 5), atol=1e-6)
    assert log_q[0, 0, 4] == 0


def test_the_score_of_a_text_is_the_bound_summed_over_its_parts(folder):
    run = tcsm.load(folder)
    length = run.config.data.length
    long = "in the beginning " * 2
    parts = [long[start : start + length] for start in range(0, len(long), length)]
    (score,) = run.score([long], draws=4)
    assert score.nats == pytest.approx(sum(run.score([part], draws=4)[0].nats for part in parts))
    assert score.characters == len(long)
    assert score.bits_per_character == pytest.approx(score.nats / math.log(2) / len(long))
    with pytest.raises(InputError, match=r"texts\[1\]"):
        run.score(["a", ""])


def test_an_autoregressive_run_has_an_exact_score_and_no_conditionals(trained):
    run = tcsm.load(trained("kjv/ar"))
    (score,) = run.score(["abc"])
    tokens = torch.from_numpy(run.tokenizer.encode("abc").astype("int64"))
    assert score.nats == pytest.approx(-float(run.model.log_prob(tokens[None])))
    assert score.error == 0
    with pytest.raises(InputError, match="Autoregressive"):
        run.log_conditionals(torch.zeros(1, 2, dtype=torch.int64), torch.zeros(1))
