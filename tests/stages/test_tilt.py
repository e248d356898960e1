"""Post-training in a world whose law is known, from the command line."""

import json

import pytest
import torch

from tcsm.data.batch_sources import DataContext
from tcsm.errors import InputError
from tcsm.exploration import CountedReward, Explore
from tcsm.runs.exact import Fresh
from tcsm.toy.base import all_sequences
from tcsm.toy.pairs import Pairs
from tcsm.toy.rewards import Slope
from tcsm.toy.tilting import Tilting
from tests.stages.house import command, finite

pytestmark = pytest.mark.slow

SIDE = 5
TINY = ("world.vocabulary=5", "world.width=0.4", "devices.choice=cpu")
QUICK = ("trainer.steps=60", "trainer.warmup=5", "trainer.log_every=30", "data.batch=256")
PAIRS = ("feed=pairs", "feed.temperature=1.0", "objective=preference_paired", "objective.beta=1.0")
METHODS = {
    "tilt": ((), 0.06),
    "weighed": (("feed.resample=0.0",), 0.08),
    "targets": (("objective=soft", "teacher=exact"), 0.03),
    "ratio": (("objective=density_ratio", "divergence=bce"), 0.06),
    "leashed": (("feed=explore", "tilting.beta=0.4"), 0.04),
    "preference": (PAIRS, 0.08),
}


@pytest.fixture(scope="module")
def initial(tmp_path_factory):
    out = tmp_path_factory.mktemp("world") / "grid"
    done = command("exact", f"out={out}", "experiment=exact/grid", *TINY, *QUICK)
    assert done.code == 0, done.err
    return out


def tilt(out, initial, *overrides):
    return command(
        *("tilt", f"out={out}", "experiment=exact/tilt", f"initial={initial}", *TINY, *QUICK),
        *("tilting.beta=1.0", "tilting.calls=16384", "trainer.learning_rate=0.01", *overrides),
    )


def record(out, initial, *overrides):
    done = tilt(out, initial, *overrides)
    assert done.code == 0, done.err
    found = json.loads((out / "tilt.json").read_text())
    assert finite(found)
    return found


@pytest.mark.parametrize("name", METHODS)
def test_every_method_comes_near_the_tilted_distribution(name, initial, tmp_path):
    overrides, reach = METHODS[name]
    found = record(tmp_path, initial, *overrides)
    assert found["tv"] < reach < found["curve"][0]["tv"]
    assert found["reward_calls"] <= 16384
    assert found["tv"] == found["curve"][-1]["tv"]
    assert found["kl_to_pretrained"] > 0
    assert found["reward"]["pretrained"] < found["reward"]["mean"]


def test_other_tilts_end_elsewhere(initial, tmp_path):
    best = record(tmp_path / "best", initial, "tilt=best", "tilt.share=0.2")
    more = record(tmp_path / "more", initial, "feed=corpus")
    assert best["tv"] > 0.1
    assert best["reward"]["mean"] > best["reward"]["target"]
    assert more["world"]["tv"] > 0.1
    assert more["reward_calls"] == 0


def test_without_a_leash_the_best_cell_remains(initial, tmp_path):
    found = record(tmp_path, initial, "feed=explore", "feed.kl_coef=0.0")
    assert found["reward"]["mean"] > found["reward"]["target"] + 0.2


def test_calls_are_counted(initial, tmp_path):
    found = record(tmp_path / "on", initial, "feed=explore", "trainer.steps=10")
    assert found["reward_calls"] == 10 * 256
    taught = ("objective=soft", "teacher=exact", "trainer.steps=10")
    assert record(tmp_path / "all", initial, *taught)["reward_calls"] == 16384
    done = tilt(
        tmp_path / "many", initial, "feed=explore", "tilting.calls=2559", "trainer.steps=10"
    )
    assert done.code == 2
    assert "tilting.calls: 2559 sequences may be judged, found 2560 wanted" in done.err[-1]


def test_the_best_of_several_needs_no_training(initial, tmp_path):
    still = ("trainer.steps=0", "trainer.warmup=0", "feed=corpus")
    one = record(tmp_path / "1", initial, *still)
    four = record(tmp_path / "4", initial, *still, "tilting.best_of=4")
    assert one["kl_to_pretrained"] == pytest.approx(0, abs=1e-9)
    assert one["reward"]["mean"] == one["reward"]["pretrained"]
    assert four["reward"]["mean"] > one["reward"]["mean"]
    assert one["pictures"]["found"] == one["pictures"]["pretrained"]
    rows = four["pictures"]["found"]["rows"]
    assert (len(rows), len(rows[0]), max(map(max, rows))) == (SIDE, SIDE, 999)


def test_a_run_is_repeatable(initial, tmp_path):
    first = record(tmp_path / "1", initial, "trainer.steps=6")
    assert first == record(tmp_path / "2", initial, "trainer.steps=6")
    assert first["tv"] != record(tmp_path / "3", initial, "trainer.steps=6", "seed=1")["tv"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("initial=null",), "initial: "),
        (("initial=nowhere",), "initial: "),
        (("world=moons", "world.vocabulary=5"), "was trained in another world"),
        (("net.dim=16",), "initial: "),
        (("tilting.beta=0",), "tilting.beta"),
        (("tilting.beta=-1",), "tilting.beta"),
    ],
)
def test_what_cannot_be_tilted_is_refused_before_a_step(overrides, message, initial, tmp_path):
    done = tilt(tmp_path, initial, *(o for o in overrides))
    assert done.code == 2
    assert message in done.err[-1]
    assert not (tmp_path / "metrics.jsonl").exists()


def test_a_reward_that_is_no_number_is_told():
    class Broken(Slope):
        def at(self, place):
            return super().at(place) / (place[:, 0] - place[1, 0])

    reward = CountedReward(Tilting(Broken(4, [1.0, 0.0]), 1.0, 99))
    with pytest.raises(InputError, match=r"tilting.reward: gave .* number 0"):
        reward(all_sequences(4, 2))


def test_exploring_needs_a_world():
    with pytest.raises(InputError, match="needs a world"):
        Explore().open(DataContext(Fresh(Pairs(2, 2), 4, 0), 4, 2, 0, torch.nn.Identity()))
