"""The reward and the judge of the King James Bible, from the command line."""

import json

import numpy as np
import pytest

from tcsm.rewards.base import scores
from tcsm.rewards.classifier import FILE, Classifier
from tests.stages.house import command, finite

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folders of both, as the default run makes them."""
    root = tmp_path_factory.mktemp("rewards")
    for name in ("reward", "judge"):
        done = command("reward", f"experiment={name}/testaments", f"out={root / name}")
        assert done.code == 0, done.err
    return root


@pytest.mark.parametrize(("name", "half", "least"), [("reward", 0, 0.93), ("judge", 1, 0.935)])
def test_it_tells_testaments_apart_in_verses_it_never_saw(runs, name, half, least):
    record = json.loads((runs / name / "reward.json").read_text())
    assert finite(record)
    assert least < record["auc"] < 0.95
    assert record["accuracy"] > 0.88  # always "Old" would be right 77 times of 100
    assert (record["half"], record["labels"]) == (half, "testaments")
    assert record["train_texts"] == pytest.approx(4 * record["test_texts"], rel=0.05)
    names = {path.name for path in (runs / name).iterdir()}
    assert names == {FILE, "config.yaml", "reward.json", "reward.telemetry.json"}


def test_they_know_the_style(runs):
    texts = ["and jesus said unto his disciples", "and the king of israel smote the philistines"]
    for name in ("reward", "judge"):
        new, old = scores(Classifier(str(runs / name)), texts)
        assert new > 0 > old


def test_reward_and_judge_agree_in_part(runs):
    from tcsm.data.labels import testaments
    from tcsm.data.normalize import text8

    texts = testaments.Testaments(text8, 64).half(1)["test"].texts[::10]
    found = [scores(Classifier(str(runs / name)), texts) for name in ("reward", "judge")]
    assert 0.6 < np.corrcoef(found)[0, 1] < 0.99


def reviews(path, *more):
    rows = [{"text": f"{'good' if n % 2 else 'bad'} film {n}", "label": n % 2} for n in range(99)]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, *more]))
    return "labels=jsonl", f"labels.path={path}"


def test_a_run_is_a_function_of_its_configuration(tmp_path):
    given = reviews(tmp_path / "reviews.jsonl")
    for name in "ab":
        assert command("reward", *given, f"out={tmp_path / name}").code == 0
    for file in (FILE, "reward.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert json.loads((tmp_path / "a/reward.json").read_text())["auc"] == 1


def test_a_line_without_a_label_is_told_and_nothing_trained(tmp_path):
    given = reviews(tmp_path / "reviews.jsonl", {"text": "so so"})
    done = command("reward", *given, f"out={tmp_path / 'none'}")
    assert done.code == 2
    (line,) = done.err
    assert all(word in line for word in (f"{tmp_path}/reviews.jsonl:100: ", "'label'", "text"))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("half", ["2", "true", "first"])
def test_there_are_two_halves(tmp_path, half):
    done = command("reward", f"half={half}", f"out={tmp_path}")
    assert done.code == 2
    assert done.err[0].startswith("tcsm: error: half must be 0 or 1, found ")
