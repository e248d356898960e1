"""A run is a function of its configuration; errors leave nothing."""

import json
import shutil

import pytest
from omegaconf import OmegaConf

from tcsm import config
from tcsm.training.checkpoint import load
from tests.stages.house import command

DETERMINISTIC = ("weights.safetensors", "metrics.jsonl", "train.json")


def rows(folder, name="metrics.jsonl"):
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_weights_are_what_the_record_says(trained):
    folder = trained("kjv/distribution")
    tensors, meta = load(folder / "weights.safetensors")
    record = json.loads((folder / "train.json").read_text())
    assert sum(tensor.numel() for tensor in tensors.values()) == record["parameters"]
    assert "model.net.dim=16" in str(meta["architecture"])


def test_telemetry_is_apart(trained):
    folder = trained("kjv/distribution")
    telemetry = json.loads((folder / "train.telemetry.json").read_text())
    assert telemetry["seconds"] > 0
    assert telemetry["tokens_per_second"] > 0
    assert telemetry["threads"] == 1
    assert [row["step"] for row in rows(folder, "telemetry.jsonl")] == [2, 4, 6]


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["kjv/ar", "kjv/score", "kjv/uniform"])
def test_a_run_is_a_function_of_its_configuration(house, trained, experiment):
    first = trained(experiment)
    again = house.good("train", f"experiment={experiment}", name=f"again/{experiment}")
    for name in DETERMINISTIC:
        assert (first / name).read_bytes() == (again / name).read_bytes(), name


@pytest.mark.slow
def test_another_seed_is_another_run(house, trained):
    first = trained("kjv/score")
    other = house.good("train", "experiment=kjv/score", "seed=1", name="other")
    for name in DETERMINISTIC:
        assert (first / name).read_bytes() != (other / name).read_bytes(), name


@pytest.mark.slow
def test_what_is_only_shown_or_saved_changes_no_weight(house, trained):
    """Nor does how often it is validated."""
    first = load(trained("kjv/score") / "weights.safetensors")[0]
    often = ("trainer.log_every=1", "trainer.checkpoint_every=1", "validation.every=1")
    other = house.good("train", "experiment=kjv/score", *often, name="often")
    actual = load(other / "weights.safetensors")[0]
    assert all((first[name] == actual[name]).all() for name in first)


@pytest.mark.slow
def test_the_learning_curve_is_of_the_weights_that_are_delivered(house):
    """With an average kept they are the averaged ones, as a start from them shows."""
    ema = "trainer.ema={_target_: tcsm.training.optim.Ema, decay: 0.9}"
    given = ("experiment=kjv/score", "trainer.learning_rate=0.03")
    plain = house.good("train", *given, name="curve/last")
    mean = house.good("train", *given, ema, name="curve/averaged")
    still = ("trainer.steps=1", "trainer.warmup=0", "trainer.learning_rate=1e-30")
    start = house.good(
        "train", "experiment=kjv/score", *still, f"initial={mean}", name="curve/start"
    )
    output = [json.loads((folder / "train.json").read_text()) for folder in (plain, mean, start)]
    bits = [record["final"]["valid_bits_per_token"] for record in output]
    assert [record["weights"] for record in output] == ["last", "averaged", "last"]
    assert [row["loss"] for row in rows(plain)] == [row["loss"] for row in rows(mean)]
    assert bits[1] == pytest.approx(bits[2], rel=1e-5)
    assert bits[1] != pytest.approx(bits[0], rel=1e-3)


def test_no_steps_leave_the_first_weights(house):
    folder = house.good("train", "trainer.steps=0", "trainer.warmup=0", name="untrained")
    assert rows(folder) == []
    assert json.loads((folder / "train.json").read_text())["final"] == {}


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_state(house):
    wild = ("trainer.learning_rate=1e38", "trainer.clip=null", "trainer.checkpoint_every=1")
    done = house.run("train", "experiment=kjv/score", *wild)
    assert done.code == 2
    assert len(done.err) == 1
    kept = house.root / "scratch/run/state.safetensors"
    assert "training stopped at step" in done.err[0]
    assert f"the last good checkpoint is {kept}" in done.err[0]
    assert "trainer.learning_rate" in done.err[0]
    assert not (house.root / "run").exists()
    tensors, _ = load(kept)
    assert 1 <= tensors["count"][0] < 6
    assert not house.unfinished()


@pytest.mark.slow
def test_an_ablation_counts_such_a_run(house):
    """Its weights are so large that their products overflow, but finite themselves."""
    wild = ("trainer.learning_rate=3e37", "trainer.clip=null", "trainer.checkpoint_every=1")
    out = house.good("train", "experiment=kjv/score", "count_failures=true", *wild)
    record = json.loads((out / "train.json").read_text())
    tensors, _ = load(out / "weights.safetensors")
    assert 0 <= record["steps"] < 6
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    assert [row["step"] for row in rows(out)] == [s for s in (2, 4) if s <= record["steps"]]
    assert not (house.root / "scratch/run").exists()


@pytest.mark.slow
def test_a_failure_of_a_later_run_leaves_the_state_of_an_earlier_one(house):
    """Snakemake removes what a failed job wrote; the same command then need not train again."""
    documents = []
    for name, rate in (("first", "0.001"), ("second", "3e37")):
        lines = [
            *house.overrides(name),
            "experiment=kjv/score",
            f"trainer.learning_rate={rate}",
        ]
        documents.append(OmegaConf.to_yaml(config.resolve(config.compose(lines))))
    file = house.root / "runs.yaml"
    house.root.mkdir(parents=True, exist_ok=True)
    file.write_text("---\n".join(documents))
    assert command("train", "--config", str(file)).code == 2
    tensors, _ = load(house.root / "scratch/first/state.safetensors")
    assert tensors["count"][0] == 6
    again = house.files("first")
    shutil.rmtree(house.root / "first")
    file.write_text(documents[0])
    done = command("train", "--config", str(file))
    (line,) = done.err
    assert all(
        word in line for word in (f"{house.root}/scratch/first/state.safetensors", "step 6")
    )
    same = {name: house.files("first")[name] for name in map("first/{}".format, DETERMINISTIC)}
    assert same == {name: again[name] for name in same}
    assert not (house.root / "scratch/first").exists()
