"""A run in a world whose law is known, from the command line."""

import json
import math

import pytest

from tcsm.toy.pairs import Pairs
from tests.stages.house import command, finite

pytestmark = pytest.mark.slow

TINY = ("world.length=4", "world.vocabulary=3", "data.batch=8", "trainer.log_every=2")
TINY += ("trainer.warmup=1", "trainer.steps=4")


def exact(out, *overrides):
    done = command("exact", f"out={out}", *TINY, *overrides)
    assert done.code == 0, done.err
    return json.loads((out / "exact.json").read_text())


def test_a_joint_run_is_held_against_the_truth(tmp_path):
    record = exact(tmp_path, "experiment=exact/joint", "objective.draws=5", "trainer.steps=60")
    assert finite(record)
    assert [point["step"] for point in record["curve"]] == list(range(0, 61, 2))
    assert record["kl"] == record["curve"][-1]["kl"] < record["curve"][0]["kl"]
    assert record["evaluations"] == 60 * 8 * (1 + 5)
    assert record["condition"] > 1
    assert (record["finite"], record["diverged"]) == (True, False)
    telemetry = json.loads((tmp_path / "exact.telemetry.json").read_text())
    assert telemetry["cpu_seconds_per_step"] > 0
    rows = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(rows[-1])["step"] == 60


def test_an_untrained_joint_model_is_the_uniform_distribution(tmp_path):
    record = exact(tmp_path, "experiment=exact/joint", "trainer.learning_rate=1e-12")
    p = Pairs(3, 4, leak=0.01).log_p
    assert record["kl"] == pytest.approx(4 * math.log(3) + (p.exp() * p).sum().item(), rel=1e-5)


def test_a_factorized_run_costs_one_evaluation_a_sequence(tmp_path):
    record = exact(tmp_path, "experiment=exact/factorized")
    assert record["evaluations"] == 4 * 8
    assert record["condition"] is None
    assert record["kl"] > 0


def test_a_run_is_repeatable(tmp_path):
    first = exact(tmp_path / "1", "experiment=exact/joint")
    assert first == exact(tmp_path / "2", "experiment=exact/joint")
    assert first["kl"] != exact(tmp_path / "3", "experiment=exact/joint", "seed=1")["kl"]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_run_that_stops_being_finite_is_a_result(tmp_path):
    record = exact(
        tmp_path,
        *("experiment=exact/joint", "divergence=lsif", "trainer.clip=null"),
        *("trainer.learning_rate=1e4", "trainer.steps=40"),
    )
    assert (record["kl"], record["finite"], record["diverged"]) == (None, False, True)
    assert record["steps"] < 40


def test_an_average_of_the_weights_is_what_is_judged(tmp_path):
    ema = "trainer.ema={_target_: tcsm.training.optim.Ema, decay: 0.0}"
    plain = exact(tmp_path / "1", "experiment=exact/joint")
    assert exact(tmp_path / "2", "experiment=exact/joint", ema)["kl"] == plain["kl"]
    slow = ema.replace("0.0", "0.9")
    assert exact(tmp_path / "3", "experiment=exact/joint", slow)["kl"] > plain["kl"]
