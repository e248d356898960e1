"""Trainings in toy worlds, from the command line."""

import json

import pytest
import torch

from tcsm.data.batch_sources import DataContext
from tcsm.errors import InputError
from tcsm.exploration import CountedReward, Explore
from tcsm.runs.toy import Fresh
from tcsm.toy.base import all_sequences
from tcsm.toy.pairs import Pairs
from tcsm.toy.rewards import Slope
from tcsm.toy.tilting import Tilting
from tests.stages.house import command, finite

TINY = ("world.length=4", "world.vocabulary=3", "data.batch=8", "trainer.log_every=2")
TINY += ("trainer.warmup=1", "trainer.steps=4", "trainer.checkpoint_every=2")
GRID = ("world.vocabulary=5", "world.width=0.4", "data.batch=16", "trainer.log_every=2")
GRID += ("trainer.warmup=1", "trainer.steps=4", "scale=smoke")
LONG = ("trainer.steps=60", "trainer.warmup=5", "trainer.log_every=30", "data.batch=256")
PAIRS = (
    "batches=pairs",
    "batches.temperature=1.0",
    "objective=preference_paired",
    "objective.beta=1.0",
)
METHODS = {
    "tilt": ((), 0.06),
    "weighed": (("batches.resample=0.0",), 0.08),
    "targets": (("objective=soft", "teacher=exact"), 0.03),
    "ratio": (("objective=density_ratio", "divergence=bce"), 0.06),
    "kl_penalty": (("batches=explore", "tilting.beta=0.4"), 0.04),
    "preference": (PAIRS, 0.08),
}


def train(out, *overrides):
    done = command("train", f"out={out}", *overrides)
    assert done.code == 0, done.err
    return json.loads((out / "train.json").read_text())


def rows(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_the_learning_curve_is_the_exact_distance(tmp_path):
    record = train(tmp_path, "experiment=exact/joint", *TINY)
    log_p = Pairs(3, 4, leak=0.01).log_p
    uniform = (log_p.exp() * (log_p - log_p.new_tensor(1 / 81).log())).sum()
    assert record["initial"]["exact_kl"] == pytest.approx(float(uniform), rel=1e-5)
    curve = {row["step"]: row["exact_kl"] for row in rows(tmp_path)}
    assert list(curve) == [2, 4]
    assert record["final"]["exact_kl"] == curve[4] < curve[2] < record["initial"]["exact_kl"]


@pytest.mark.slow
def test_a_training_continues_where_it_stopped(tmp_path):
    fixed = (
        "experiment=exact/joint",
        *TINY,
        "trainer.decay={_target_: tcsm.training.optim.Constant}",
    )
    record = train(tmp_path / "once", *fixed)
    train(tmp_path / "twice", *fixed, "trainer.steps=2")
    again = train(tmp_path / "twice", *fixed)
    assert again["weights_sha256"] == record["weights_sha256"]
    assert rows(tmp_path / "twice") == rows(tmp_path / "once")


@pytest.mark.slow
def test_calls_of_the_reward_are_counted_over_restarts(tmp_path):
    train(tmp_path / "grid", "experiment=exact/grid", *GRID)
    tilt = ("experiment=exact/tilt", *GRID, f"initial={tmp_path / 'grid'}", "batches=explore")
    first = train(tmp_path / "run", *tilt, "trainer.steps=2")
    then = train(tmp_path / "run", *tilt)
    assert (first["reward_calls"], then["reward_calls"]) == (2 * 16, 4 * 16)
    done = command(
        *("train", f"out={tmp_path / 'run'}", *tilt, "trainer.steps=6", "tilting.calls=80")
    )
    assert done.code == 2


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        (("experiment=exact/joint", "corpus=kjv"), "corpus"),
        (("experiment=exact/joint", "data.length=8"), "data.length"),
        (("experiment=exact/joint", "vocabulary=5"), "model.net.vocabulary"),
        (("experiment=exact/joint", "world=null"), "corpus"),
        (("world=moons",), "corpus"),
        (("experiment=exact/tilt",), "initial"),
        (("experiment=exact/tilt", "initial=nowhere"), "initial"),
        (("experiment=exact/tilt", "tilting.beta=0"), "tilting.beta"),
        (("tokenizer=null",), "tokenizer"),
    ],
)
def test_a_toy_world_excludes_text(overrides, key, tmp_path):
    done = command("train", f"out={tmp_path / 'run'}", *overrides)
    assert done.code == 2
    assert done.err[-1].startswith(f"tcsm: error: {key}"), done.err
    assert not (tmp_path / "run/train.json").exists()


@pytest.mark.slow
def test_other_stages_read_text(tmp_path):
    train(tmp_path, "experiment=exact/joint", *TINY)
    done = command("sample", f"out={tmp_path}")
    assert done.code == 2
    assert "tokenizer" in done.err[-1]


def evaluate(out, metric):
    done = command("evaluate", f"out={out}")
    assert done.code == 0, done.err
    actual = json.loads((out / "evaluate.json").read_text())["metrics"]
    assert list(actual) == [metric]
    assert finite(actual)
    return actual[metric]


def test_a_joint_run_is_evaluated_exactly(tmp_path):
    record = train(tmp_path, "experiment=exact/joint", *TINY, "objective.draws=5")
    actual = evaluate(tmp_path, "exact")
    assert actual["kl"] == record["final"]["exact_kl"]
    assert actual["evaluations"] == 4 * 8 * (1 + 5)
    assert actual["condition"] > 1
    assert actual["gradient_variance"] > 0
    assert (actual["finite"], actual["diverged"]) == (True, False)
    telemetry = json.loads((tmp_path / "evaluate.telemetry.json").read_text())
    assert telemetry["cpu_seconds_per_step"] > 0


def test_a_factorized_run_costs_one_evaluation_a_sequence(tmp_path):
    ema = "trainer.ema={_target_: tcsm.training.optim.Ema, decay: 0.9}"
    record = train(tmp_path, "experiment=exact/factorized", *TINY, ema)
    actual = evaluate(tmp_path, "exact")
    assert (actual["evaluations"], actual["condition"]) == (4 * 8, None)
    assert actual["kl"] == record["final"]["exact_kl"]  # of the averaged weights


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_run_that_stops_being_finite_ends_at_its_last_record_as_a_result(tmp_path):
    failing = ("divergence=lsif", "trainer.clip=null", "trainer.learning_rate=1e4")
    failing += ("count_failures=true", "trainer.steps=40")
    record = train(tmp_path, "experiment=exact/joint", *TINY, *failing)
    assert record["steps"] < 40
    assert record["steps"] % 2 == 0
    actual = evaluate(tmp_path, "exact")
    assert (actual["kl"], actual["finite"], actual["diverged"]) == (None, False, True)


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    out = tmp_path_factory.mktemp("world") / "grid"
    train(out, "experiment=exact/grid", *GRID, *LONG)
    return out


def tilt(out, grid, *overrides):
    fixed = ("tilting.beta=1.0", "tilting.calls=16384", "trainer.learning_rate=0.01")
    return train(
        *(out, "experiment=exact/tilt", f"initial={grid}", *GRID, *LONG, *fixed, *overrides)
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_every_method_comes_near_the_tilted_distribution(name, grid, tmp_path):
    overrides, reach = METHODS[name]
    record = tilt(tmp_path, grid, *overrides)
    actual = evaluate(tmp_path, "tilted")
    assert actual["tv"] == record["final"]["exact_tv"] < reach < record["initial"]["exact_tv"]
    assert actual["reward_calls"] == record["reward_calls"] <= 16384
    assert actual["kl_to_pretrained"] > 0
    assert actual["reward"]["pretrained"] < actual["reward"]["mean"]


@pytest.mark.slow
def test_other_ways_end_elsewhere(grid, tmp_path):
    tilt(tmp_path / "best", grid, "tilt=best", "tilt.share=0.2")
    best = evaluate(tmp_path / "best", "tilted")
    assert best["tv"] > 0.1
    assert best["reward"]["mean"] > best["reward"]["target"]
    more = tilt(tmp_path / "more", grid, "batches=corpus")
    assert more["reward_calls"] == 0
    assert evaluate(tmp_path / "more", "tilted")["world"]["tv"] > 0.1
    tilt(tmp_path / "free", grid, "batches=explore", "batches.kl_coef=0.0")
    free = evaluate(tmp_path / "free", "tilted")
    assert free["reward"]["mean"] > free["reward"]["target"] + 0.2


@pytest.mark.slow
def test_the_best_of_several_needs_no_training(grid, tmp_path):
    tilt(
        *(tmp_path, grid, "trainer.steps=0", "trainer.warmup=0", "batches=corpus"),
        "tilting.best_of=4",
    )
    four = evaluate(tmp_path, "tilted")
    assert four["kl_to_pretrained"] > 0
    assert four["reward"]["mean"] > four["reward"]["pretrained"]
    rows = four["pictures"]["found"]["rows"]
    assert (len(rows), len(rows[0]), max(map(max, rows))) == (5, 5, 999)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "key"),
    [(("world=moons", "world.vocabulary=5"), "initial"), (("net.dim=16",), "initial")],
)
def test_an_initial_run_of_another_kind_is_refused(overrides, key, grid, tmp_path):
    same = [line for line in GRID if not line.startswith("world")]
    done = command(
        *("train", f"out={tmp_path}", "experiment=exact/tilt", f"initial={grid}", *same),
        *("world.vocabulary=5", *overrides),
    )
    assert done.code == 2
    assert done.err[-1].startswith(f"tcsm: error: {key}: ")


@pytest.mark.slow
def test_metrics_of_text_and_of_toy_worlds_are_told_apart(grid):
    for metric, key in (("likelihood", "bound"), ("tilted", "metric.tilted")):
        done = command("evaluate", f"out={grid}", f"metric=[{metric}]")
        assert (done.code, key in done.err[-1]) == (2, True), done.err
    done = command("evaluate", "out=nowhere", "experiment=exact/joint")
    assert done.code == 2


@pytest.mark.parametrize("stage", ["exact", "tilt"])
def test_a_former_stage_names_the_new_one(stage):
    done = command(stage, "experiment=exact/joint")
    assert done.code == 2
    assert "tcsm train" in done.err[-1]


def test_a_reward_that_is_no_number_is_refused():
    class Broken(Slope):
        def at(self, place):
            return super().at(place) / (place[:, 0] - place[1, 0])

    reward = CountedReward(Tilting(Broken(4, [1.0, 0.0]), 1.0, 99))
    with pytest.raises(InputError, match=r"tilting.reward: gave .* number 0"):
        reward(all_sequences(4, 2))


def test_exploring_needs_a_world():
    with pytest.raises(InputError, match="needs a toy world"):
        Explore().open(DataContext(Fresh(Pairs(2, 2), 4, 0), 4, 2, 0, torch.nn.Identity()))
