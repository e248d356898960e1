"""The record of an evaluation depends on no batch size and on no other run."""

import json

import numpy as np
import pytest

from tcsm.io.records import write_json
from tests.stages.house import likelihood_of as record

pytestmark = pytest.mark.slow


def test_levels_of_noise_are_in_the_record(finished):
    levels = record(finished("kjv/distribution"))["by_noise"]
    assert [level["alpha"] for level in levels] == sorted(level["alpha"] for level in levels)
    assert all(level["n"] > 1 and level["se"] >= 0 for level in levels)
    assert record(finished("kjv/ar"))["by_noise"] == []


@pytest.mark.parametrize("experiment", ["kjv/ar", "kjv/score", "kjv/uniform"])
def test_again_gives_the_same_bytes(house, finished, experiment):
    folder = house.copy(finished(experiment))
    before = (folder / "evaluate.json").read_bytes()
    house.good("evaluate", f"experiment={experiment}")
    assert (folder / "evaluate.json").read_bytes() == before


@pytest.mark.parametrize("experiment", ["kjv/ar", "kjv/distribution", "kjv/uniform"])
def test_no_number_depends_on_the_batch(house, trained, experiment):
    """Up to the rounding of fp32: matrix products of other shapes add in another order."""
    exact = (f"experiment={experiment}", "devices.precision=fp32")
    house.copy(trained(experiment))
    one, other = (
        record(house.good("evaluate", *exact, f"evaluation.batch={size}")) for size in (8, 3)
    )
    for split in one["splits"]:
        one_nats, other_nats = (actual["splits"][split].pop("nats") for actual in (one, other))
        np.testing.assert_allclose(one_nats, other_nats, rtol=1e-5)
        for key, value in one["splits"][split].items():
            assert other["splits"][split][key] == pytest.approx(value, rel=1e-5)


def test_a_run_that_diverged_but_stays_finite_keeps_its_bits(house):
    wild = ("experiment=kjv/mdlm", "trainer.learning_rate=3e5", "trainer.clip=1e30")
    house.good("train", *wild)
    done = house.run("evaluate", *wild)
    assert done.code == 0, done.err
    (line,) = done.err
    assert "evaluate.json: metrics.likelihood.splits.valid.ppl_token is inf and 1 more" in line
    for split in record(house.root / "run")["splits"].values():
        assert split["ppl_token"] is None
        assert split["bpc"] > 1000


def test_paired_models_meet_the_same_sequences(finished):
    one, other = (record(finished(name))["splits"] for name in ("kjv/mdlm", "kjv/uniform"))
    for split in one:
        assert one[split]["chars"] == other[split]["chars"]


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("metric=[]", ("metric=[]", "likelihood")),
        ("metric=[likelyhood]", ("metric=[likelyhood]", "did you mean likelihood?")),
        ("metric=likelihood,other", ("metric=", "likelihood")),
        ("metric.likelihood.drows=3", ("metric.likelihood.drows", "draws")),
    ],
)
def test_a_metric_that_does_not_exist_is_refused(house, trained, choice, words):
    done = house.run("evaluate", f"out={trained('kjv/mdlm')}", choice)
    assert (done.code, len(done.err)) == (2, 1)
    assert all(word in done.err[0] for word in words), done.err


def test_other_metrics_of_the_same_weights_stay(house, trained):
    folder = house.copy(trained("kjv/mdlm"))
    house.good("evaluate", "experiment=kjv/mdlm")
    path = folder / "evaluate.json"
    record = json.loads(path.read_text())
    record["metrics"]["other"] = {"value": 3.0}
    for weights, kept in ((record["weights_sha256"], True), ("0" * 64, False)):
        write_json(path, record | {"weights_sha256": weights})
        house.good("evaluate", "experiment=kjv/mdlm")
        assert set(json.loads(path.read_text())["metrics"]) == {"likelihood", *["other"] * kept}
