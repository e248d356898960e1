"""Texts of a run, judged by the autoregressive one or drawn by another sampler."""

import json

import pytest

pytestmark = pytest.mark.slow


def record(folder):
    return json.loads((folder / "samples.json").read_text())


def test_a_judge_scores_the_samples(house, trained, finished):
    folder = house.copy(finished("kjv/distribution"))
    before = record(folder)
    house.good("sample", "experiment=kjv/distribution", f"judge={trained('kjv/ar')}")
    after = record(folder)
    for one, other in zip(before["runs"], after["runs"], strict=True):
        assert 0 < other["statistics"].pop("judge_bpc") < 10
        one["statistics"].pop("judge_bpc")
        assert one == other


def test_as_many_test_texts_stand_beside_the_samples(house, finished):
    folder = house.copy(finished("kjv/distribution"))
    real, drawn = record(folder)["held_out"], record(folder)["runs"][0]
    assert len(real["texts"]) == len(drawn["texts"]) == 3
    assert real["statistics"].keys() == drawn["statistics"].keys()
    house.good("sample", "experiment=kjv/distribution", "sampling.template=a")
    assert "held_out" not in record(folder)


def test_another_sampler_is_one_override(house, finished):
    folder = house.copy(finished("kjv/score"))
    for drawn in record(folder)["runs"]:
        for text, trace in zip(drawn["texts"], drawn["traces"], strict=False):
            assert "".join(trace["pieces"]) == text
            assert set(trace["steps"]) <= set(range(1, drawn["steps"] + 1))
    before = (folder / "samples.json").read_bytes()
    for sampler in ("leaping", "first_hitting"):
        house.good("sample", "experiment=kjv/score", f"sampler={sampler}")
        assert {run["network_calls"] for run in record(folder)["runs"]} == {2, 4}
    house.good("sample", "experiment=kjv/score")
    assert (folder / "samples.json").read_bytes() == before
