"""What can be opened is opened before anything is computed; what was drawn is not drawn twice."""

import json

import numpy as np
import pytest

from tcsm.errors import InputError
from tcsm.evaluation.bound import Count
from tcsm.listing import described
from tcsm.metrics import rewards
from tcsm.rewards.classifier import Classifier
from tcsm.runs import drafts
from tcsm.samplers.ancestral import Ancestral
from tcsm.stages import sample
from tests.stages.house import command

pytestmark = pytest.mark.slow

MODEL = "kjv/distribution"
STAGES = list(described("stages"))
MINE = ("reward=function", "reward.path=tests.stages.test_drafts:ones")


def letters(reward, texts):
    return np.array([text.count("e") for text in texts], float)


def ones(texts):
    return [1.0] * len(texts)


def failing(*_):
    raise InputError("the judge is ill")


def never(*_args, **_keys):
    raise AssertionError("this costs hours")


@pytest.fixture
def rewarded(monkeypatch):
    monkeypatch.setattr(Classifier, "open", lambda self: None)
    monkeypatch.setattr(Classifier, "__call__", letters)


def told(house, stage, *overrides, name):
    """The one line of a command that fails."""
    done = house.run(stage, *overrides, name=name)
    assert (done.code, len(done.err)) == (2, 1), done
    return done.err[0]


@pytest.mark.parametrize(
    ("stage", "given", "judges"),
    [
        ("collect", ["reference={run}", "reward=classifier"], (Classifier, "__call__")),
        ("evaluate", ["metric=[rewards]", "reward=classifier"], (Classifier, "__call__")),
        (
            "evaluate",
            ["evaluation.run={run}", "metric=[rewards]", "reward=classifier", "judge={ar}"],
            (rewards, "judge_rate"),
        ),
        ("sample", ["judge={ar}", "experiment=" + MODEL], (sample, "judge_rate")),
    ],
)
@pytest.mark.usefixtures("rewarded")
def test_a_judge_that_fails_costs_no_drawing(house, trained, monkeypatch, stage, given, judges):
    """The same command takes the draws up, and ends as if nothing had failed."""
    run, ar = trained(MODEL), trained("kjv/ar")
    name = "drafted"
    if stage == "sample" or given[0] == "metric=[rewards]":
        house.copy(run, name)
    given = [key.format(run=run, ar=ar) for key in given]
    whole = house.files(str(house.good(stage, *given, name=name)))
    draft = house.root / name / f"drawn-{stage}.safetensors"
    assert not draft.exists()
    with monkeypatch.context() as ill:
        ill.setattr(*judges, failing)
        assert "the judge is ill" in told(house, stage, *given, name=name)
        assert draft.exists()
    with monkeypatch.context() as once:
        once.setattr(Ancestral, "outcomes", never)
        done = house.run(stage, *given, name=name)
    assert done.code == 0, done.err
    assert str(draft) in done.err[0]
    assert not draft.exists()
    again = house.files(str(house.root / name))
    assert set(again) == set(whole)
    same = [key for key in whole if not key.endswith("telemetry.json")]
    assert [key for key in same if again[key] != whole[key]] == []


@pytest.mark.parametrize("other", ["seed=3", "collecting.steps=3", "reference={score}"])
def test_other_draws_are_drawn(house, trained, rewarded, monkeypatch, other):
    given = [f"reference={trained(MODEL)}", "reward=classifier"]
    with monkeypatch.context() as ill:
        ill.setattr(Classifier, "__call__", failing)
        told(house, "collect", *given, name="others")
    done = house.run("collect", *given, other.format(score=trained("kjv/score")), name="others")
    assert (done.code, done.err) == (0, [])


def test_another_code_draws_again(house, trained, rewarded, monkeypatch, tmp_path):
    given = [f"reference={trained(MODEL)}", "reward=classifier"]
    with monkeypatch.context() as ill:
        ill.setattr(Classifier, "__call__", failing)
        told(house, "collect", *given, name="recoded")
    (tmp_path / "sampler.py").write_text("mended")
    code = drafts._code()
    monkeypatch.setattr(drafts, "_code", lambda: [*code, tmp_path / "sampler.py"])
    done = house.run("collect", *given, name="recoded")
    assert (done.code, done.err) == (0, [])


def test_a_damaged_draft_is_drawn_again(house, trained, rewarded):
    folder = house.root / "damaged"
    folder.mkdir(parents=True)
    (folder / "drawn-collect.safetensors").write_bytes(b"half")
    house.good("collect", f"reference={trained(MODEL)}", name="damaged")
    assert not (folder / "drawn-collect.safetensors").exists()


@pytest.mark.parametrize(
    ("stage", "given", "said"),
    [
        (
            "collect",
            ["reference={run}", "reward=classifier", "reward_run=gone"],
            "reward_run: gone",
        ),
        ("evaluate", ["metric=[likelihood,rewards]", "reward=classifier"], "reward_run"),
        ("evaluate", ["metric=[likelihood,rewards]", *MINE, "judge=gone"], "judge: gone"),
        (
            "evaluate",
            ["metric=[rewards]", *MINE, "reward_judge=classifier", "judge_run=gone"],
            "judge_run: gone",
        ),
        ("sample", ["experiment=" + MODEL, "judge={run}"], "judge: "),
        ("sample", ["experiment=" + MODEL, "sampling.steps=[2,0]"], "0"),
        ("evaluate", ["experiment=" + MODEL, "evaluation.sequences=15"], "evaluation.sequences"),
    ],
)
def test_what_is_missing_is_told_before_anything_is_computed(
    house, trained, monkeypatch, stage, given, said
):
    """The validation split holds 15 sequences, the test split 14."""
    run = trained(MODEL)
    monkeypatch.setenv("TCSM_TARGETS", __name__)
    for kind in (Ancestral, Count):
        monkeypatch.setattr(kind, "__call__", never)
    name = "early"
    if stage in ("sample", "evaluate"):
        house.copy(run, name)
    line = told(house, stage, *[key.format(run=run) for key in given], name=name)
    assert said.format(run=run) in line


@pytest.mark.parametrize(("stage", "below"), [(s, "") for s in STAGES] + [("collect", "/run")])
def test_an_out_that_is_a_file(house, tmp_path, monkeypatch, stage, below):
    monkeypatch.setattr(f"tcsm.stages.{stage}.main", never)
    (tmp_path / "file").write_text("mine")
    line = told(house, stage, f"out={tmp_path / 'file'}{below}", name="filed")
    assert f"out: {tmp_path / 'file'} is a file" in line
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("stage", "key"), [("prepare", "data.root"), ("train", "scratch"), ("train", "targets.cache")]
)
def test_another_folder_that_is_a_file(house, tmp_path, monkeypatch, stage, key):
    monkeypatch.setattr(f"tcsm.stages.{stage}.main", never)
    (tmp_path / "file").write_text("mine")
    assert f"{key}: {tmp_path / 'file'} is" in told(
        house, stage, f"{key}={tmp_path / 'file'}", name="filed"
    )


def test_a_folder_that_takes_no_file(house):
    done = command("evaluate", *house.overrides(), "out=/proc/run")
    assert (done.code, len(done.err)) == (2, 1)
    assert "out: /proc/run cannot be written" in done.err[0]


def test_a_run_that_took_draws_up_is_what_its_record_says(house, trained, rewarded, monkeypatch):
    given = [f"reference={trained(MODEL)}", "reward=classifier"]
    with monkeypatch.context() as ill:
        ill.setattr(Classifier, "__call__", failing)
        told(house, "collect", *given, name="taken")
    record = json.loads((house.good("collect", *given, name="taken") / "collect.json").read_text())
    assert record["network_calls"] == 3 * 4
