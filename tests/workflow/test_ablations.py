"""From a file of axes to variants, and from variants to runs that share processes."""

from pathlib import Path

import pytest

from tcsm.errors import InputError
from tests.workflow.house import TOP, House, build
from workflow.ablations import read
from workflow.runs import Runs

PLAN = """
experiment: toy/score
stages: [train, evaluate]
overrides: [trainer.steps=2, +extra.key=1]
axes:
  source: {mask: [], uniform: [path=uniform, model=leave_one_out]}
  loss: {kl: [objective=kl], bce: [objective=score, trainer.steps=3], gkl: [objective=score]}
without: [{source: uniform, loss: bce}]
scales:
  tiny: {overrides: [trainer.steps=1, extra.key=2], keep: {loss: [gkl, bce]}}
"""


@pytest.fixture
def params(tmp_path: Path) -> Path:
    (tmp_path / "ablation").mkdir()
    (tmp_path / "ablation/losses.yaml").write_text(PLAN)
    return tmp_path


def test_the_arms_are_the_product(params: Path) -> None:
    variants = read("losses", "long", params)
    assert [variant.name for variant in variants] == [
        "losses/mask-kl",
        "losses/mask-bce",
        "losses/mask-gkl",
        "losses/uniform-kl",
        "losses/uniform-gkl",
    ]
    last = variants[-1]
    assert last.axes == (("source", "uniform"), ("loss", "gkl"))
    assert last.stages == ("train", "evaluate")
    assert set(last.overrides) == {
        "experiment=toy/score",
        "count_failures=true",
        "trainer.steps=2",
        "+extra.key=1",
        "path=uniform",
        "model=leave_one_out",
        "objective=score",
    }


def test_a_later_override_wins_and_a_scale_takes_its_part(params: Path) -> None:
    variants = {variant.name: variant.overrides for variant in read("losses", "long", params)}
    assert "trainer.steps=3" in variants["losses/mask-bce"]
    assert "trainer.steps=2" not in variants["losses/mask-bce"]
    tiny = {variant.name: variant.overrides for variant in read("losses", "tiny", params)}
    assert list(tiny) == ["losses/mask-gkl", "losses/mask-bce", "losses/uniform-gkl"]
    assert {"trainer.steps=1", "extra.key=2"} <= set(tiny["losses/mask-bce"])
    assert "+extra.key=1" not in tiny["losses/mask-bce"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("axes:", "axis:", "'axes' is a required property|'axis' was unexpected"),
        ("[train, evaluate]", "[trian]", r"losses.yaml: stages.0: 'trian' is not one of"),
        ("path=uniform", "path", r"axes.source.uniform.0: 'path' does not match"),
        ("[gkl, bce]", "[gkl, bec]", "scales.tiny.keep.loss: bec is no value; did you mean bce"),
        ("keep: {loss", "keep: {los", "scales.tiny.keep: los is no axis; did you mean loss"),
        ("loss: bce}", "loss: b}", r"without\[0\].loss: b is no value"),
        ("  loss: {", "  loss: [", "losses.yaml: cannot be read"),
    ],
)
def test_a_bad_file_is_refused_by_its_key(params: Path, old: str, new: str, message: str) -> None:
    file = params / "ablation/losses.yaml"
    assert old in PLAN
    file.write_text(PLAN.replace(old, new))
    with pytest.raises(InputError, match=message):
        read("losses", "tiny", params)


def test_an_arm_may_name_its_own_stages(params: Path) -> None:
    file = params / "ablation/losses.yaml"
    file.write_text(PLAN.replace("kl: [objective=kl]", 'kl: ["stages=[evaluate]", objective=kl]'))
    stages = {variant.name: variant.stages for variant in read("losses", "long", params)}
    assert stages["losses/mask-kl"] == ("evaluate",)
    assert stages["losses/mask-bce"] == ("train", "evaluate")


def test_an_unknown_ablation_is_refused(params: Path) -> None:
    with pytest.raises(InputError, match=r"lossess\.yaml does not exist; did you mean losses"):
        read("lossess", "tiny", params)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The toy house with two ablations run."""
    house = build(tmp_path_factory.mktemp("grid") / "house")
    done = house.snakemake("--config", "scale=grid")
    assert done.returncode == 0, done.stdout + done.stderr
    return house


@pytest.mark.slow
def test_small_runs_share_a_process(grid: House) -> None:
    logs = grid.folder / "results/logs/grid"
    assert (logs / "train/weights/light-few.log").read_text().count("training") == 2
    output = (logs / "evaluate/toy.log").read_text().splitlines()
    runs = ("toy/tokens seed 0", "toy/tokens seed 1", "toy/first seed 0")
    assert output == [f"evaluating {run}" for run in runs]
    output = (logs / "collect/worlds/light.log").read_text().splitlines()
    assert output == [f"collecting seed {seed}" for _ in ("few", "many") for seed in (0, 1)]


@pytest.mark.slow
def test_long_evaluations_are_cut_into_parts(grid: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(grid.folder)
    runs = Runs("grid")
    whole = dict(runs.batches("evaluate"))
    assert whole["steered"] == ["steered/light", "steered/heavy"]
    monkeypatch.setattr("workflow.runs.TOGETHER", 3)  # of two seeds
    parts = dict(runs.batches("evaluate"))
    assert parts["steered"] == ["steered/light"]
    assert parts["steered/part-2"] == ["steered/heavy"]
    names = [[name for actual in of.values() for name in actual] for of in (whole, parts)]
    assert names[0] == names[1]
    assert dict(runs.batches("collect"))["worlds/light"]  # trains nothing and stays whole


@pytest.mark.slow
def test_arms_get_their_values_and_what_they_need(grid: House) -> None:
    runs = grid.folder / "results/grid"
    assert (runs / "weights/light-few/seed-1/weights.safetensors").read_text() == "2.0"
    assert (runs / "weights/heavy-few/seed-0/weights.safetensors").read_text() == "10.0"
    assert not (runs / "weights/heavy-many").exists()
    config = (runs / "weights/light-few/seed-1/config.yaml").read_text()
    assert "experiment: weights/light-few" in config
    assert "reference: results/grid/toy/first/seed-0" in config
    assert "weight: light" in config
    assert (runs / "toy/first/seed-0/evaluate.json").exists()
    assert not (runs / "toy/first/seed-1").exists()


@pytest.mark.slow
def test_a_run_is_given_those_of_its_own_seed_that_are_there(grid: House) -> None:
    runs = grid.folder / "results/grid"
    for seed in (0, 1):
        config = (runs / f"steered/light/seed-{seed}/config.yaml").read_text()
        assert f"collected: results/grid/toy/buffer/seed-{seed}" in config
        buffer = (runs / f"toy/buffer/seed-{seed}/config.yaml").read_text()
        assert "reference: results/grid/toy/first/seed-0" in buffer
    output = (grid.folder / "results/logs/grid/evaluate/steered.log").read_text().splitlines()
    variants = ("steered/light", "steered/heavy")
    assert output == [
        f"evaluating {variant} seed {seed}" for variant in variants for seed in (0, 1)
    ]
    assert not (runs / "toy/buffer/seed-0/train.json").exists()


@pytest.mark.slow
def test_again_nothing_and_an_edit_its_arms(grid: House) -> None:
    assert grid.plan("--config", "scale=grid") == {}
    grid.edit("params/ablation/weights.yaml", "weight=5.0", "weight=6.0")
    plan = {"train_seeds": 1, "evaluate_weights_heavy": 1, "report": 1}
    assert grid.plan("--config", "scale=grid") == plan
    assert grid.plan("weights", "--config", "scale=grid") == {
        "train_seeds": 1,
        "evaluate_weights_heavy": 1,
        "weights": 1,
    }
    grid.edit("params/ablation/weights.yaml", "weight=6.0", "weight=5.0")
    grid.edit("params/experiment/toy/first.yaml", "7.0", "8.0")
    plan = {
        "train": 1,
        "evaluate_toy": 1,
        "collect_toy_buffer": 1,
        "train_seeds": 5,
        "evaluate_steered": 1,
        "evaluate_weights_light": 1,
        "evaluate_weights_heavy": 1,
        "report": 1,
    }
    assert grid.plan("--config", "scale=grid") == plan
    grid.edit("params/experiment/toy/first.yaml", "8.0", "7.0")


@pytest.mark.slow
def test_a_bad_arm_stops_before_any_job(grid: House) -> None:
    grid.edit("params/ablation/weights.yaml", "weight=5.0", "weight=-5.0")
    done = grid.snakemake("--config", "scale=grid")
    grid.edit("params/ablation/weights.yaml", "weight=-5.0", "weight=5.0")
    assert done.returncode != 0
    assert "objective.weight must be 0 or more, found -5.0" in done.stderr


def test_every_ablation_of_every_scale_is_well_formed() -> None:
    params = TOP / "params"
    names = [file.stem for file in (params / "ablation").glob("*.yaml")]
    for name in names:
        for scale in ("smoke", "default", "ratios", "long", "full"):
            variants = read(name, scale, params)
            assert len({variant.name for variant in variants}) == len(variants) > 0


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ("[train,evalute]", "stages: evalute is no stage; did you mean evaluate?"),
        ("[]", r"stages must be a list of one or more, found \[\]"),
        ("train", "stages must be a list of one or more, found 'train'"),
    ],
)
def test_an_arm_names_stages_that_there_are(params: Path, stages: str, said: str) -> None:
    file = params / "ablation/losses.yaml"
    file.write_text(PLAN.replace("[objective=kl]", f'["stages={stages}"]'))
    with pytest.raises(InputError, match=f"{file}: losses/mask-kl: {said}"):
        read("losses", "long", params)


def test_an_experiment_names_stages_that_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = build(tmp_path / "house")
    house.edit("params/experiment/toy/buffer.yaml", "[collect]", "[colect]")
    monkeypatch.chdir(house.folder)
    with pytest.raises(InputError, match=r"toy/buffer.yaml: stages: colect .*collect"):
        Runs("grid")
