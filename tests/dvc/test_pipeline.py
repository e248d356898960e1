"""dvc.yaml drives the workflow of the Snakefile, and each of the two sees what the other did."""

import shutil

import pytest
import yaml

from tests.dvc.house import TOP, Checkout, folders, plotted, stages
from workflow.runs import Runs

LONGER = ("params/experiment/kjv/score.yaml", "experiment:", "trainer: {steps: 5}\nexperiment:")
SCORE = ("params/objective/score.yaml", "weight: 2.0", "weight: 3.0")


def test_every_folder_of_runs_belongs_to_one_stage() -> None:
    made = {name.partition("/")[0] for name in Runs("smoke").arms}
    assert sorted(made) == sorted(folders())


@pytest.mark.parametrize("scale", ["default", "long", "full"])
def test_every_scale_asks_what_the_stages_keep(scale: str) -> None:
    asked = yaml.safe_load((TOP / f"params/scale/{scale}.yaml").read_text())
    named = {*asked["ablations"], *(name.partition("/")[0] for name in asked["pretrain"])}
    assert {*folders()} - named == {"buffer", "judge", "teacher"}
    assert named <= {*folders()}


def test_a_stage_asks_for_the_folders_that_it_keeps() -> None:
    for name in ("pretrain", "ablations", "post_training", "distillation"):
        stage = stages()[name]
        asked = stage["cmd"].split("${scale} ")[1].split()
        assert [next(iter(out)) for out in stage["outs"]] == [
            f"results/${{scale}}/{folder}" for folder in asked
        ]
        assert all(set(*out.values()) == {"persist"} for out in stage["outs"])


def test_the_plotted_arms_are_those_of_the_report() -> None:
    report = yaml.safe_load((TOP / "params/report/default.yaml").read_text())
    assert plotted() == [*report["arms"].values()]


def test_one_command_makes_everything(finished: Checkout) -> None:
    assert (finished.folder / "reports/index.html").exists()
    assert finished.dvc("status").strip() == "Data and pipelines are up to date."
    assert finished.git("status", "--porcelain") == ""
    assert finished.git("diff", "--name-only", "HEAD~1").split() == [
        "dvc.lock",
        "reports/metrics.json",
    ]


def test_again_there_is_nothing_to_do(finished: Checkout) -> None:
    assert "Running stage" not in finished.dvc("repro")
    assert finished.plan() == {}


def test_results_without_a_record_are_refused(house: Checkout) -> None:
    """Snakemake would call them done, whatever the parameters."""
    shutil.rmtree(house.folder / ".snakemake")
    house.edit(*SCORE)
    before = (house.folder / "dvc.lock").read_bytes()
    done = house.run("dvc", "repro")
    assert done.returncode != 0
    assert "results/default/acceleration/light/seed-0: was not made here" in done.stderr
    assert (house.folder / "dvc.lock").read_bytes() == before
