"""The reward and the judge of the King James Bible, from the command line."""

import json

import numpy as np
import pytest

from tcsm.io.layout import WEIGHTS, written
from tcsm.reporting.frames import Frames
from tcsm.rewards.base import scores
from tcsm.rewards.classifier import Classifier
from tcsm.runs.outcome import read_run
from tests.stages.house import command, finite

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folders of both, as the default run makes them."""
    root = tmp_path_factory.mktemp("rewards")
    for name in ("reward", "judge"):
        done = command("train", f"experiment={name}/testaments", f"out={root / name}")
        assert done.code == 0, done.err
    return root


@pytest.mark.parametrize(("name", "half", "least"), [("reward", 0, 0.93), ("judge", 1, 0.935)])
def test_it_tells_testaments_apart_in_verses_it_never_saw(runs, name, half, least):
    record = json.loads((runs / name / "train.json").read_text())
    assert finite(record)
    assert least < record["auc"] < 0.95
    assert record["accuracy"] > 0.88  # always "Old" would be right 77 times of 100
    assert (record["half"], record["labels"]) == (half, "testaments")
    assert record["train_texts"] == pytest.approx(4 * record["test_texts"], rel=0.05)
    names = {path.name for path in (runs / name).iterdir()}
    assert names == {"config.yaml", *written("train")}


def test_they_know_the_style(runs):
    texts = ["and jesus said unto his disciples", "and the king of israel smote the philistines"]
    for name in ("reward", "judge"):
        new, old = scores(Classifier(str(runs / name)), texts)
        assert new > 0 > old


def test_reward_and_judge_agree_in_part(runs):
    from tcsm.data.labels import testaments
    from tcsm.data.normalize import text8

    texts = testaments.Testaments(text8, 64).half(1)["test"].texts[::10]
    actual = [scores(Classifier(str(runs / name)), texts) for name in ("reward", "judge")]
    assert 0.6 < np.corrcoef(actual)[0, 1] < 0.99


def reviews(path, *more):
    rows = [{"text": f"{'good' if n % 2 else 'bad'} film {n}", "label": n % 2} for n in range(99)]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, *more]))
    return "experiment=reward/testaments", "labels=jsonl", f"labels.path={path}"


def test_a_run_is_a_function_of_its_configuration(tmp_path):
    given = reviews(tmp_path / "reviews.jsonl")
    for name in "ab":
        assert command("train", *given, f"out={tmp_path / name}").code == 0
    for file in (WEIGHTS, "train.json", "metrics.jsonl"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert json.loads((tmp_path / "a/train.json").read_text())["auc"] == 1


def test_the_journals_hold_the_last_iteration(tmp_path):
    given = reviews(tmp_path / "reviews.jsonl")
    assert command("train", *given, f"out={tmp_path / 'run'}").code == 0
    record = json.loads((tmp_path / "run/train.json").read_text())
    (row,) = map(json.loads, (tmp_path / "run/metrics.jsonl").read_text().splitlines())
    (times,) = map(json.loads, (tmp_path / "run/telemetry.jsonl").read_text().splitlines())
    assert record["steps"] == row["step"] == times["step"] > 0
    assert 0 < row["loss"] < np.log(2)
    assert record["parameters"] == 2**18 + 1
    outcome = read_run(tmp_path / "run")
    assert outcome.train["auc"] == 1
    assert outcome.metrics["loss"].tolist() == [row["loss"]]
    assert Frames([outcome]).runs["finite"].tolist() == [True]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ("experiment=kjv/distribution", "model"),
        ("classifier=null", "classifier"),
        ("labels=null", "labels"),
        ("half=null", "half"),
    ],
)
def test_a_training_is_of_a_model_or_of_a_classifier(tmp_path, change, key):
    given = [*reviews(tmp_path / "reviews.jsonl"), change]
    given = [line for line in given if change != "labels=null" or not line.startswith("labels.")]
    (line,) = command("train", *given, f"out={tmp_path / 'none'}").err
    assert line.startswith(f"tcsm: error: {key}"), line
    assert not (tmp_path / "none").exists()


def test_a_line_without_a_label_is_told_and_nothing_trained(tmp_path):
    given = reviews(tmp_path / "reviews.jsonl", {"text": "so so"})
    done = command("train", *given, f"out={tmp_path / 'none'}")
    assert done.code == 2
    (line,) = done.err
    assert all(word in line for word in (f"{tmp_path}/reviews.jsonl:100: ", "'label'", "text"))
    assert not [*(tmp_path / "none").rglob("*")]


@pytest.mark.parametrize("half", ["2", "true", "first"])
def test_there_are_two_halves(tmp_path, half):
    done = command("train", "experiment=reward/testaments", f"half={half}", f"out={tmp_path}")
    assert done.code == 2
    assert done.err[0].startswith("tcsm: error: half must be 0, 1 or null, found ")
