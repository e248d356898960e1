"""Every experiment writes texts, judged by the autoregressive run."""

import json

import pytest

from tests.stages.house import EXPERIMENTS, LENGTH, finite

ALPHABET = set(" abcdefghijklmnopqrstuvwxyz")


def record(folder):
    return json.loads((folder / "samples.json").read_text())


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_is_sampled(house, trained, experiment):
    found = record(trained(experiment))
    assert (found["stage"], found["experiment"], found["seed"]) == ("sample", experiment, 0)
    causal = house.config(experiment).model.net.causal
    assert [run["steps"] for run in found["runs"]] == ([LENGTH] if causal else [2, 4])
    assert finite(found)
    for run in found["runs"]:
        assert run["network_calls"] == run["steps"]
        assert [len(text) for text in run["texts"]] == [LENGTH] * 3
        assert set().union(*run["texts"]) <= ALPHABET
        assert set(run["statistics"]) == {"entropy", "distinct_4", "repetition", "judge_bpc"}
        assert run["statistics"]["judge_bpc"] is None


def test_a_judge_scores_the_samples(house, trained):
    name = "kjv/distribution"
    before = record(trained(name))
    house.good("sample", f"experiment={name}", f"judge={trained('kjv/ar')}", name=name)
    after = record(house.root / name)
    for one, other in zip(before["runs"], after["runs"], strict=True):
        assert 0 < other["statistics"].pop("judge_bpc") < 10
        one["statistics"].pop("judge_bpc")
        assert one == other


@pytest.mark.parametrize("sampler", ["leaping", "first_hitting"])
def test_another_sampler_is_one_override(house, trained, sampler):
    name = "kjv/score"
    file = trained(name) / "samples.json"
    before = file.read_bytes()
    house.good("sample", f"experiment={name}", f"sampler={sampler}", name=name)
    assert {run["network_calls"] for run in record(house.root / name)["runs"]} == {2, 4}
    house.good("sample", f"experiment={name}", name=name)
    assert file.read_bytes() == before
