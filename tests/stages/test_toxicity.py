"""The toxicity of texts is lowered by the folder of a classifier, from the command line."""

import json

import pytest

from tests.rewards.test_hub import LABELS, save
from tests.stages.house import finite, likelihood_of

pytestmark = pytest.mark.slow


def test_a_classifiers_folder_is_the_reward(house, trained, tmp_path):
    (tmp_path / "judge").mkdir()
    labels = {"id2label": LABELS, "label2id": {name: n for n, name in LABELS.items()}}
    save(tmp_path / "judge", **labels)
    reward = ["reward=hub", f"reward.reward.name={tmp_path / 'judge'}"]
    reward += ["reward.reward.label=neutral", "reward.reward.length=12"]
    clean = ["experiment=buffer/toxicity", "collecting.count=24", *reward]
    collected = house.good("collect", *clean, name="clean")
    base = trained("kjv/distribution")
    start = [f"initial={base}", f"reference={base}", f"collected={collected}"]
    given = ["experiment=post/toxicity", "batches.least_ess=0.0", "tilt.beta=5.0", *start]
    run = house.good("train", *given, *reward, name="polite")
    house.good("evaluate", name="polite")
    record = json.loads((run / "evaluate.json").read_text("utf-8"))
    assert finite(likelihood_of(run))
    assert record["metrics"]["rewards"]["count"] == 4
    assert finite(record["metrics"]["rewards"]["reward"])
