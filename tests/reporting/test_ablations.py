import dataclasses
import math

import pytest

from tcsm.reporting import ablations
from tcsm.reporting.runs import read_runs
from tests.reporting.house import make_student

LABELS = {
    "loss": {"hellinger": "Hellinger", "kl": "KL"},
    "source": {"mask": "masked"},
    "target": {"none": "labels"},
}


def test_a_grid_has_the_runs_of_its_name_alone(ablated, runs):
    grid = ablations.read([*runs, *ablated], "divergences", LABELS)
    assert grid.axes == ("source", "loss")
    assert len(grid.runs) == 2 * 4 * 3
    assert set(grid.runs["experiment"].str.split("/").str[0]) == {"divergences"}
    assert ablations.read(runs, "divergences", LABELS).runs.empty


def test_variants_stand_as_labels_list_them(ablated):
    for order in (ablated, ablated[::-1]):
        runs = ablations.read(order, "divergences", LABELS).runs
        masked = runs[runs["source"] == "mask"]["arm"].unique().tolist()
        assert masked == [
            "masked · Hellinger",
            "masked · KL",
            "masked · generalized kl",
            "masked · raw",
        ]
        assert runs["seed"].tolist() == [0, 1, 2] * 8


def test_values_that_are_numbers_are_ordered_by_size(ablated):
    runs = ablations.read(ablated, "targets", {}).runs
    assert runs["size"].unique().tolist() == ["1", "2", "4", "8", "16"]


def test_a_teacher_is_part_of_the_cost(ablated):
    runs = ablations.read(ablated, "acceleration", LABELS).runs.groupby("target").first()
    keys = ["cpu_seconds", "targets_seconds", "needed_seconds", "total_seconds"]
    assert runs.loc["none", keys].tolist() == [20.0, 0.0, 0.0, 20.0]
    assert runs.loc["hollow", keys].tolist() == [20.0, 0.0, 20.0, 40.0]


def test_what_a_needed_run_needs_is_part_of_the_cost_once(ablated, tmp_path):
    """A student of a collection and of the teacher that drew it: 20 + 20 + 7 seconds."""
    student = next(run for run in ablated if run.experiment == "acceleration/hollow")
    teacher = student.config["teacher_run"]
    drawn = dataclasses.replace(
        student,
        folder=tmp_path,
        experiment="buffer/hollow",
        config={"reference": teacher},
        stages={"collect": {"cpu_seconds": 7.0}},
    )
    fed = dataclasses.replace(student, config={**student.config, "collected": str(tmp_path)})
    others = [run for run in ablated if run is not student]
    rows = ablations.read([*others, drawn, fed], "acceleration", LABELS).runs
    row = rows.set_index(["experiment", "seed"]).loc[("acceleration/hollow", fed.seed)]
    assert (row["needed_seconds"], row["total_seconds"]) == (27.0, 47.0)


def test_targets_are_part_of_the_cost_whoever_made_them(ablated):
    run = next(run for run in ablated if run.experiment == "acceleration/hollow")
    spent = {"targets_cpu_seconds": 4.0, "targets_spared_cpu_seconds": 6.0}
    stages = {**run.stages, "train": {**run.stages["train"], **spent}}
    others = [other for other in ablated if other is not run]
    changed = [*others, dataclasses.replace(run, stages=stages)]
    rows = ablations.read(changed, "acceleration", LABELS).runs.set_index(["experiment", "seed"])
    keys = ["cpu_seconds", "targets_seconds", "needed_seconds", "total_seconds"]
    found = rows.loc[("acceleration/hollow", run.seed), keys].tolist()
    assert found == [20.0 - 4.0, 4.0 + 6.0, 20.0, 46.0]


@pytest.mark.parametrize(("steps", "finite"), [(1200, True), (1201, False)])
def test_a_run_that_ended_before_its_time_was_not_finite(ablated, steps, finite):
    run = next(run for run in ablated if run.experiment == "acceleration/none")
    planned = dataclasses.replace(run, config={**run.config, "trainer": {"steps": steps}})
    assert ablations.read([planned], "acceleration", LABELS).runs["finite"].tolist() == [finite]


def test_a_teacher_that_is_not_at_hand_leaves_the_cost_unknown(tmp_path):
    folder = make_student(tmp_path, "a/x", 0, 2.0, {"target": "x"}, teacher="elsewhere/seed-0")
    row = ablations.read(read_runs([folder]), "a", {}).runs.iloc[0]
    assert row["cpu_seconds"] == 20.0
    assert math.isnan(row["total_seconds"])


def test_numbers_of_the_exact_world_are_columns_and_null_is_lost(ablated):
    runs = ablations.read(ablated, "exact", {}).runs
    lost = runs[(runs["divergence"] == "pearson") & (runs["k"] == "3")]
    assert lost["kl"].isna().all()
    assert lost["diverged"].all()
    assert not lost["finite"].any()
    kept = runs[(runs["divergence"] == "bce") & (runs["k"] == "2")].iloc[0]
    assert (kept["kl"], kept["evaluations"], kept["steps"]) == (0.01, 38400, 300)
    assert kept["cpu_seconds"] == 2.0
    assert kept["finite"]
    assert math.isnan(kept["test_bpc"])


@pytest.mark.parametrize(("value", "number"), [("16", 16.0), ("0.5", 0.5), ("all", math.inf)])
def test_a_value_may_be_a_number(value, number):
    assert ablations.number(value) == number
