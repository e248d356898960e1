"""Collections from the command line: what a frozen model draws, judged, weighed and written."""

import json
import math

import numpy as np
import pytest
import torch

from tcsm import config
from tcsm.data.buffer import read_buffer
from tcsm.data.tilts import Boltzmann, kl_of_weights, relative_ess
from tcsm.io.layout import REWARDS, TOKENS
from tcsm.rewards.classifier import Classifier
from tcsm.stages.collect import BETAS
from tests.stages.house import LENGTH, finite

pytestmark = pytest.mark.slow

MODEL = "kjv/distribution"
HITTING = "sampler=first_hitting"


def letters(reward, texts):
    """R: how many e a text has."""
    return np.array([text.count("e") for text in texts], float)


@pytest.fixture
def judge(monkeypatch):
    """The override of a reward that counts letters."""
    monkeypatch.setattr(Classifier, "__call__", letters)
    monkeypatch.setattr(Classifier, "open", lambda self: None)
    return "reward=classifier"


def record(folder):
    return json.loads((folder / "collect.json").read_text())


def buffer(house, folder):
    return read_buffer(folder, config.build(house.config(MODEL).tokenizer))


def test_a_collection_is_what_its_record_says(house, trained, judge):
    run = trained(MODEL)
    folder = house.good("collect", f"reference={run}", judge, HITTING, name="drawn")
    actual, drawn = record(folder), buffer(house, folder)
    assert finite(actual)
    assert (actual["stage"], actual["experiment"], actual["seed"]) == ("collect", MODEL, 0)
    assert (actual["count"], actual["length"]) == drawn.tokens.shape == (10, LENGTH)
    assert actual["network_calls"] == 3 * 4  # three batches, four steps
    assert actual["reward_calls"] == 10
    texts = [
        config.build(house.config(MODEL).tokenizer).decode(row.numpy()) for row in drawn.tokens
    ]
    assert actual["texts"] == texts[:8]
    assert drawn.reward.tolist() == letters(None, texts).tolist()
    assert actual["reward"]["mean"] == pytest.approx(float(drawn.reward.mean()))
    assert actual["reward"]["se"] == pytest.approx(float(drawn.reward.std()) / math.sqrt(10))
    assert drawn.log_weight.eq(0).all()
    assert actual["log_weight"] == {"mean": 0, "sd": 0, "ess": 1}
    for row, beta in zip(actual["ess"], BETAS, strict=True):
        log_w = Boltzmann(beta).log_weights(drawn)
        expected = {"beta": beta, "ess": relative_ess(log_w), "kl": kl_of_weights(log_w)}
        assert row == pytest.approx(expected)
    assert (folder / "config.yaml").exists()
    assert json.loads((folder / "collect.telemetry.json").read_text())["cpu_seconds"] > 0


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(house, trained):
    given = [f"reference={trained(MODEL)}"]
    first, again, other = (
        (house.good("collect", *given, f"seed={seed}", name="again") / TOKENS).read_bytes()
        for seed in (0, 0, 1)
    )
    assert first == again != other
    rows = buffer(house, house.root / "again").tokens
    assert len(torch.unique(rows, dim=0)) == len(rows)  # batches do not repeat each other


def test_an_autoregressive_model_writes_from_left_to_right(house, trained):
    given = [f"reference={trained('kjv/ar')}", "sampler=next_token"]
    actual = record(house.good("collect", *given, name="left"))
    assert actual["network_calls"] == 3 * LENGTH
    assert actual["ess"] == []
    assert actual["reward_calls"] == 0


def test_the_training_text_is_collected_window_by_window(house, judge):
    folder = house.good("collect", "collecting.corpus=true", judge, name="offline")
    assert record(folder)["network_calls"] == 0
    text = (house.text).read_text()
    assert all(window in text for window in record(folder)["texts"])


def test_a_model_of_uniform_noise_is_walked_along_its_own_path(house, trained):
    run = trained("kjv/uniform")
    house.good("collect", f"reference={run}", name="uniform")
    done = house.run("collect", f"reference={run}", HITTING, name="uniform-refused")
    assert (done.code, "needs the Mask source, found Uniform" in done.err[0]) == (2, True)


def test_weights_lead_back_to_the_base(house, trained):
    """The base's own draws weigh 1; those of another model exactly as much as their ratio says."""
    run, other = trained(MODEL), trained("kjv/score")
    own = house.good("collect", f"reference={run}", f"base={run}", HITTING, name="own")
    assert buffer(house, own).log_weight.abs().max() < 1e-5
    there = house.good("collect", f"reference={other}", f"base={run}", HITTING, name="there")
    actual = record(there)
    assert actual["network_calls"] == 3 * 3 * 4
    log_w = buffer(house, there).log_weight
    assert log_w.abs().max() > 1e-3
    assert actual["log_weight"]["ess"] == pytest.approx(relative_ess(log_w))


def test_a_run_is_fed_with_a_collection(house, trained, judge):
    run = trained(MODEL)
    folder = house.good("collect", f"reference={run}", judge, HITTING, name="food")
    fed = [f"collected={folder}", f"initial={run}", "batches=collected", "tilt.beta=8.0"]
    trained_on = house.good("train", f"experiment={MODEL}", *fed, name="fed")
    losses = [json.loads(line) for line in (trained_on / "metrics.jsonl").read_text().splitlines()]
    assert all(math.isfinite(row["loss"]) for row in losses)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], ["reference: ", "found null", "collecting.corpus=true"]),
        (["reference=nowhere"], ["reference: ", "nowhere/config.yaml"]),
        (
            ["reference={run}", "collecting.corpus=true"],
            ["reference: found", "and collecting.corpus"],
        ),
        (
            ["reference={run}", "collecting.count=0"],
            ["collecting.count"],
        ),
        (
            ["reference={run}", "collecting.steps=0"],
            ["collecting.steps"],
        ),
        (
            ["reference={run}", "tokenizer=bytes"],
            ["reference: ", "was trained on tokens of letters"],
        ),
        (
            ["reference={run}", "sampler=next_token"],
            ["sampler=next_token", "model=autoregressive"],
        ),
        (
            ["reference={run}", "base=nowhere", HITTING],
            ["base: ", "nowhere/config.yaml"],
        ),
        (["reference={run}", "base={run}"], ["base: ", "sampler=first_hitting"]),
        (["reference={run}", "reward=classifier"], ["reward_run", "found null"]),
    ],
)
def test_a_bad_collection_is_refused_and_leaves_nothing(house, trained, given, said):
    done = house.run("collect", *[key.format(run=trained(MODEL)) for key in given], name="bad")
    assert done.code == 2, done
    assert all(part in done.err[-1] for part in said), done.err
    assert not house.files("bad")
    assert not house.unfinished()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_reward_that_is_no_number_names_its_text(house, trained, monkeypatch, bad):
    monkeypatch.setattr(
        Classifier, "__call__", lambda self, texts: np.where(np.arange(len(texts)) == 6, bad, 0.0)
    )
    monkeypatch.setattr(Classifier, "open", lambda self: None)
    done = house.run("collect", f"reference={trained(MODEL)}", "reward=classifier", name="bad")
    assert done.code == 2
    assert f"reward Classifier: gave {bad} for text 6: '" in done.err[-1]
    assert set(house.files("bad")) == {"bad/drawn-collect.safetensors"}


def test_a_killed_collection_starts_again_and_is_never_taken_for_whole(
    house, trained, judge, monkeypatch
):
    given = [f"reference={trained(MODEL)}", HITTING]
    folder = house.good("collect", *given, judge, name="killed")
    whole = house.files("killed")
    (folder / TOKENS).unlink()
    (folder / REWARDS).unlink()
    monkeypatch.setattr(
        "tcsm.data.buffer.save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    assert house.run("collect", *given, judge, "seed=1", name="killed").code == 130
    monkeypatch.undo()
    done = house.run("train", f"collected={folder}", "batches=collected", name="hungry")
    assert done.code == 2
    assert f"{REWARDS}: cannot be read" in done.err[-1]
    assert not house.unfinished()
    monkeypatch.setattr(Classifier, "__call__", letters)
    monkeypatch.setattr(Classifier, "open", lambda self: None)
    house.good("collect", *given, judge, name="killed")
    names = [f"killed/{name}" for name in (TOKENS, REWARDS, "collect.json")]
    assert all(house.files("killed")[name] == whole[name] for name in names)
