"""Trainings in toy worlds, from the command line."""

import json

import pytest

from tcsm.toy.pairs import Pairs
from tests.stages.house import command

TINY = ("world.length=4", "world.vocabulary=3", "data.batch=8", "trainer.log_every=2")
TINY += ("trainer.warmup=1", "trainer.steps=4", "trainer.checkpoint_every=2")
GRID = ("world.vocabulary=5", "world.width=0.4", "data.batch=16", "trainer.log_every=2")
GRID += ("trainer.warmup=1", "trainer.steps=4", "scale=smoke")


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


def test_calls_of_the_reward_are_counted_over_restarts(tmp_path):
    train(tmp_path / "grid", "experiment=exact/grid", *GRID)
    tilt = ("experiment=exact/tilt", *GRID, f"initial={tmp_path / 'grid'}", "feed=explore")
    first = train(tmp_path / "run", *tilt, "trainer.steps=2")
    then = train(tmp_path / "run", *tilt)
    assert (first["reward_calls"], then["reward_calls"]) == (2 * 16, 4 * 16)
    done = command(
        *("train", f"out={tmp_path / 'run'}", *tilt, "trainer.steps=6", "tilting.calls=80")
    )
    assert done.code == 2


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_run_that_stops_being_finite_ends_at_its_last_record(tmp_path):
    failing = ("divergence=lsif", "trainer.clip=null", "trainer.learning_rate=1e4")
    failing += ("count_failures=true", "trainer.steps=40")
    record = train(tmp_path, "experiment=exact/joint", *TINY, *failing)
    assert record["steps"] < 40
    assert record["steps"] % 2 == 0


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


def test_other_stages_read_text(tmp_path):
    train(tmp_path, "experiment=exact/joint", *TINY)
    done = command("sample", f"out={tmp_path}")
    assert done.code == 2
    assert "tokenizer" in done.err[-1]
