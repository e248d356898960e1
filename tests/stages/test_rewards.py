"""Rewards of samples from the command line, with another judge and the text's own model."""

import json
import math

import numpy as np
import pytest
import torch

from tcsm import config
from tcsm.evaluation.samples import entropy
from tcsm.rewards.classifier import Classifier
from tests.stages.house import LENGTH, finite

pytestmark = pytest.mark.slow

MODEL = "kjv/distribution"


def letters(reward, texts):
    """R: how many e a text has; the judge counts those of a."""
    letter = "e" if reward.key == "reward_run" else "a"
    return np.array([text.count(letter) for text in texts], float)


@pytest.fixture
def rewarded(monkeypatch):
    """The overrides of a reward and its judge that count letters."""
    monkeypatch.setattr(Classifier, "__call__", letters)
    monkeypatch.setattr(Classifier, "open", lambda self: None)
    return ["reward=classifier", "reward_judge=classifier"]


def scored(house, *overrides, name="scored"):
    """The folder of an evaluation, and its rewards with the owner of the record."""
    folder = house.good("evaluate", "metric=[rewards]", *overrides, name=name)
    record = json.loads((folder / "evaluate.json").read_text())
    return folder, record | record["metrics"]["rewards"]


def test_rewards_are_those_of_the_texts(house, trained, rewarded):
    run, judge = trained(MODEL), trained("kjv/ar")
    folder, actual = scored(house, f"evaluation.run={run}", f"judge={judge}", *rewarded)
    assert finite(actual)
    assert (actual["stage"], actual["experiment"], actual["seed"]) == ("evaluate", MODEL, 0)
    assert (actual["count"], actual["steps"], actual["sampler"]) == (4, 2, "Ancestral")
    assert (actual["network_calls"], actual["reward_calls"]) == (2, 0)
    assert [len(text) for text in actual["texts"]] == [LENGTH] * 4
    for key, letter in (("rewards", "e"), ("judge_rewards", "a")):
        assert actual[key] == [text.count(letter) for text in actual["texts"]]
    assert actual["reward"]["mean"] == pytest.approx(np.mean(actual["rewards"]))
    assert actual["judge_reward"]["sd"] == pytest.approx(np.std(actual["judge_rewards"], ddof=1))
    assert actual["reward"]["se"] == pytest.approx(actual["reward"]["sd"] / math.sqrt(4))
    tokens = [config.build(house.config(MODEL).tokenizer).encode(t) for t in actual["texts"]]
    assert actual["entropy"] == pytest.approx(entropy(torch.tensor(np.array(tokens)).long()))
    assert 0 < actual["judge_bpc"] < 10
    assert actual["judge_bpc_se"] > 0
    assert "axes" in (folder / "config.yaml").read_text()
    assert json.loads((folder / "evaluate.telemetry.json").read_text())["cpu_seconds"] > 0


def test_without_judges_there_are_no_judgments(house, trained, rewarded):
    _, actual = scored(
        house, f"evaluation.run={trained(MODEL)}", rewarded[0], "metric.rewards.count=1"
    )
    assert actual["reward"]["se"] is None
    keys = ("judge_reward", "judge_rewards", "judge_bpc", "judge_bpc_se")
    assert {actual[key] for key in keys} == {None}


def test_the_best_of_several_is_kept_and_paid_for(house, trained, rewarded):
    given = [f"evaluation.run={trained(MODEL)}", *rewarded]
    _, plain = scored(house, *given)
    _, single = scored(house, *given, "guide=best_of", "guide.count=1")
    _, best = scored(house, *given, "guide=best_of", "guide.count=5")
    assert single["texts"] == plain["texts"]
    pairs = zip(plain["rewards"], best["rewards"], strict=True)
    assert all(kept >= first for first, kept in pairs)
    assert sum(best["rewards"]) > sum(plain["rewards"])
    assert (single["reward_calls"], best["reward_calls"]) == (4, 20)
    assert best["network_calls"] == 5 * plain["network_calls"]
    _, greedy = scored(house, *given, "guide=resampled", "guide.count=5", "guide.beta=0.001")
    assert greedy["rewards"] == best["rewards"]


def test_a_run_scores_its_own_samples_and_keeps_its_configuration(house, trained, rewarded):
    folder = house.copy(trained(MODEL), "itself")
    before = (folder / "config.yaml").read_bytes()
    _, actual = scored(house, *rewarded, name="itself")
    assert actual["rewards"] == [text.count("e") for text in actual["texts"]]
    assert (folder / "config.yaml").read_bytes() == before
    again = (folder / "evaluate.json").read_bytes()
    scored(house, *rewarded, name="itself")
    assert (folder / "evaluate.json").read_bytes() == again


def test_any_sampler_of_the_run_will_do(house, trained, rewarded):
    run = trained("kjv/ar")
    _, actual = scored(house, f"evaluation.run={run}", rewarded[0], "sampler=next_token")
    assert actual["network_calls"] == LENGTH


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["evaluation.run=nowhere", "reward=classifier"],
            "nowhere",
        ),
        (["evaluation.run=null", "reward=classifier"], "evaluation.run: found null"),
        ([], "reward: "),
        (["metric.rewards.count=0"], "metric.rewards.count"),
        (["guide=best_of", "guide.count=0", "reward=classifier"], "guide.count"),
        (
            ["guide=resampled", "guide.beta=0.0", "reward=classifier"],
            "guide.beta",
        ),
    ],
)
def test_refusals(house, trained, rewarded, overrides, message):
    done = house.run(
        "evaluate",
        "metric=[rewards]",
        f"evaluation.run={trained(MODEL)}",
        *overrides,
        name="refused",
    )
    assert (done.code, done.out) == (2, "")
    assert message in done.err[-1]
    assert not (house.root / "refused").exists()


def test_a_reward_that_is_no_number_is_refused(house, trained, monkeypatch):
    monkeypatch.setattr(Classifier, "__call__", lambda _, texts: np.full(len(texts), np.nan))
    monkeypatch.setattr(Classifier, "open", lambda self: None)
    given = (f"evaluation.run={trained(MODEL)}", "reward=classifier")
    done = house.run("evaluate", "metric=[rewards]", *given, name="refused")
    assert done.code == 2
    assert "reward Classifier: gave nan for text 0" in done.err[-1]
