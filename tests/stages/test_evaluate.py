"""Every experiment is evaluated; its record adds up and depends on no batch size."""

import json
import math

import numpy as np
import pytest

from tests.stages.house import EXPERIMENTS, LENGTH, finite


def record(folder):
    return json.loads((folder / "evaluate.json").read_text())


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_is_evaluated(house, trained, experiment):
    found = record(trained(experiment))
    bound = house.config(experiment).bound._target_.rpartition(".")[2].lower()
    assert (found["stage"], found["experiment"], found["seed"]) == ("evaluate", experiment, 0)
    assert found["bound"] == bound
    assert (found["epsilon"] is not None) == (bound == "time")
    assert set(found["splits"]) == {"valid", "test"}
    assert finite(found)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.parametrize("split", ["valid", "test"])
def test_the_numbers_of_a_split_add_up(trained, experiment, split):
    whole = record(trained(experiment))
    found = whole["splits"][split]
    nats, characters = np.array(found["nats"]), np.array(found["chars"])
    assert len(nats) == len(characters) == found["sequences"] == 8
    assert found["tokens"] == found["characters"] == characters.sum() == 8 * LENGTH
    assert found["bpc"] == pytest.approx(nats.sum() / characters.sum() / math.log(2))
    assert found["ppl_token"] == pytest.approx(math.exp(nats.sum() / found["tokens"]))
    assert found["bpc_se"] > 0
    assert found["draws"] == (1 if whole["bound"] == "exact" else 2)


def test_levels_of_noise_are_in_the_record(trained):
    levels = record(trained("kjv/distribution"))["by_noise"]
    assert [level["alpha"] for level in levels] == sorted(level["alpha"] for level in levels)
    assert all(level["n"] > 1 and level["se"] >= 0 for level in levels)
    assert record(trained("kjv/ar"))["by_noise"] == []


@pytest.mark.parametrize("experiment", ["kjv/ar", "kjv/score", "kjv/uniform"])
def test_again_gives_the_same_bytes(house, trained, experiment):
    file = trained(experiment) / "evaluate.json"
    before = file.read_bytes()
    house.good("evaluate", f"experiment={experiment}", name=experiment)
    assert file.read_bytes() == before


@pytest.mark.parametrize("experiment", ["kjv/ar", "kjv/distribution", "kjv/uniform"])
def test_no_number_depends_on_the_batch(house, trained, experiment):
    """Up to the rounding of fp32: matrix products of other shapes add in another order."""
    exact = (f"experiment={experiment}", "devices.precision=fp32")
    trained(experiment)
    house.good("evaluate", *exact, "evaluation.batch=8", name=experiment)
    one = record(house.root / experiment)
    house.good("evaluate", *exact, "evaluation.batch=3", name=experiment)
    other = record(house.root / experiment)
    house.good("evaluate", f"experiment={experiment}", name=experiment)
    for split in one["splits"]:
        one_nats, other_nats = (found["splits"][split].pop("nats") for found in (one, other))
        np.testing.assert_allclose(one_nats, other_nats, rtol=1e-5)
        for key, value in one["splits"][split].items():
            assert other["splits"][split][key] == pytest.approx(value, rel=1e-5)


def test_a_run_that_diverged_but_stays_finite_keeps_its_bits(own_house):
    wild = ("experiment=kjv/mdlm", "trainer.learning_rate=3e5", "trainer.clip=1e30")
    own_house.good("train", *wild)
    done = own_house.run("evaluate", *wild)
    assert done.code == 0, done.err
    (line,) = done.err
    assert "evaluate.json: splits.valid.ppl_token is inf and 1 more" in line
    for split in record(own_house.root / "run")["splits"].values():
        assert split["ppl_token"] is None
        assert split["bpc"] > 1000


def test_paired_models_meet_the_same_sequences(trained):
    one, other = (record(trained(name))["splits"] for name in ("kjv/mdlm", "kjv/uniform"))
    for split in one:
        assert one[split]["chars"] == other[split]["chars"]
