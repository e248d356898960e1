import dataclasses
import math

import pandas as pd
import pytest

from tcsm.reporting.ablations import COSTS, Ablation, read, size
from tcsm.reporting.frames import Frames
from tcsm.runs.outcome import read_runs
from tcsm.statistics import over_seeds
from tests.reporting.house import make_student

LABELS = {
    "loss": {"hellinger": "Hellinger", "kl": "KL"},
    "source": {"mask": "masked"},
    "target": {"none": "labels"},
}


def test_a_grid_has_the_runs_of_its_name_alone(ablated, runs):
    grid = read(Frames([*runs, *ablated]), "divergences", LABELS)
    assert grid.axes == ["source", "loss"]
    assert len(grid.table) == 2 * 4 * 3
    assert set(grid.table["experiment"].str.split("/").str[0]) == {"divergences"}
    assert read(Frames(runs), "divergences", LABELS).table.empty


def test_variants_stand_as_labels_list_them(ablated):
    for order in (ablated, ablated[::-1]):
        runs = read(Frames(order), "divergences", LABELS).table
        masked = runs[runs["source"] == "mask"]["variant"].unique().tolist()
        assert masked == [
            "masked · Hellinger",
            "masked · KL",
            "masked · generalized kl",
            "masked · raw",
        ]
        assert runs["seed"].tolist() == [0, 1, 2] * 8


def test_values_that_are_numbers_are_ordered_by_size(ablated):
    runs = read(Frames(ablated), "targets", {}).table
    assert runs["size"].unique().tolist() == ["1", "2", "4", "8", "16"]


def test_a_teacher_is_part_of_the_cost(ablated):
    runs = read(Frames(ablated), "acceleration", LABELS).table.groupby("target").first()
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
    rows = read(Frames([*others, drawn, fed]), "acceleration", LABELS).table
    row = rows.set_index(["experiment", "seed"]).loc[("acceleration/hollow", fed.seed)]
    assert (row["needed_seconds"], row["total_seconds"]) == (27.0, 47.0)


def test_a_needed_run_is_found_where_its_folder_was_moved(ablated, tmp_path):
    moved = [
        dataclasses.replace(
            run,
            folder=tmp_path / run.experiment / str(run.seed),
            config={**run.config, "out": str(run.folder)},
        )
        for run in ablated
    ]
    runs = read(Frames(moved), "acceleration", LABELS).table.groupby("target").first()
    assert runs.loc["hollow", "needed_seconds"] == 20.0


def test_targets_are_part_of_the_cost_whoever_made_them(ablated):
    run = next(run for run in ablated if run.experiment == "acceleration/hollow")
    spent = {"targets_cpu_seconds": 4.0, "targets_spared_cpu_seconds": 6.0}
    stages = {**run.stages, "train": {**run.stages["train"], **spent}}
    others = [other for other in ablated if other is not run]
    changed = [*others, dataclasses.replace(run, stages=stages)]
    rows = read(Frames(changed), "acceleration", LABELS).table.set_index(["experiment", "seed"])
    keys = ["cpu_seconds", "targets_seconds", "needed_seconds", "total_seconds"]
    actual = rows.loc[("acceleration/hollow", run.seed), keys].tolist()
    assert actual == [20.0 - 4.0, 4.0 + 6.0, 20.0, 46.0]


@pytest.mark.parametrize(("steps", "finite"), [(1200, True), (1201, False)])
def test_a_run_that_ended_before_its_time_was_not_finite(ablated, steps, finite):
    run = next(run for run in ablated if run.experiment == "acceleration/none")
    planned = dataclasses.replace(run, config={**run.config, "trainer": {"steps": steps}})
    assert read(Frames([planned]), "acceleration", LABELS).table["finite"].tolist() == [finite]


def test_a_teacher_that_is_not_at_hand_leaves_the_cost_unknown(tmp_path):
    folder = make_student(tmp_path, "a/x", 0, 2.0, {"target": "x"}, teacher="elsewhere/seed-0")
    row = read(Frames(read_runs([folder])), "a", {}).table.iloc[0]
    assert row["cpu_seconds"] == 20.0
    assert math.isnan(row["total_seconds"])


def test_numbers_of_the_exact_world_are_columns_and_null_is_lost(ablated):
    runs = read(Frames(ablated), "exact", {}).table
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
    assert size(value) == number


def grid(source="mask", **levels) -> Ablation:
    """Variants with their BPC by seed; all other columns are plain."""
    rows = [
        {"variant": f"{source} {name}", "seed": seed, "bpc": bpc}
        | {"axes": {"source": source, "rule": name}, **dict.fromkeys(COSTS, 10.0)}
        | {"finite": not math.isnan(bpc), "diverged": False, "calls": float(seed**2)}
        for name, values in levels.items()
        for seed, bpc in enumerate(values)
    ]
    return Ablation("own", Frames([]), {}, pd.DataFrame(rows), "bpc")


def by_variant(rows) -> pd.DataFrame:
    return pd.DataFrame(list(rows)).set_index("variant")


THREE = grid(kl=[2.0, 2.1, 2.2], is_=[1.9, 2.01, 2.08], bce=[2.5, 2.0, 1.6])


def test_gaps_are_paired_over_seeds():
    rows = by_variant(THREE.variants({"rule": "kl"}))
    expected = over_seeds([-0.10, -0.09, -0.12])
    assert rows.loc["mask is_", "gap_value"] == pytest.approx(-0.31 / 3)
    assert rows.loc["mask is_", "gap_low"] == pytest.approx(expected.low)
    assert rows.loc["mask is_", "gap_high"] == pytest.approx(expected.high)
    assert rows.loc["mask kl", "gap_value"] == 0.0
    assert rows["baseline"].tolist() == ["mask kl"] * 3
    assert rows.loc["mask kl", "value"] == pytest.approx(2.1)


def test_only_seeds_of_both_are_paired_and_lost_runs_are_left_out():
    runs = grid(kl=[2.0, 2.1, 2.2, 9.9], is_=[1.9, math.nan, 2.3])
    row = by_variant(runs.variants({"rule": "kl"})).loc["mask is_"]
    assert (row["gap_count"], row["count"], row["runs"], row["nonfinite"]) == (2, 2, 3, 1)
    assert row["gap_value"] == pytest.approx(0.0)


def test_an_axis_without_a_baseline_value_has_one_baseline_each():
    other = grid("uniform", kl=[2.0, 2.1, 2.2], is_=[1.9, 2.01, 2.08])
    table = pd.concat([THREE.table, other.table], ignore_index=True)
    both = dataclasses.replace(THREE, table=table)
    rows = by_variant(both.variants({"rule": "kl"}))
    assert rows["baseline"].tolist() == ["mask kl"] * 3 + ["uniform kl"] * 2
    assert rows["group"].tolist() == ["mask"] * 3 + ["uniform"] * 2
    shared = by_variant(both.variants({"rule": "kl", "source": "mask"}))
    assert shared["baseline"].tolist() == ["mask kl"] * 5


def test_a_baseline_that_was_not_run_leaves_the_gap_unknown():
    row = THREE.variants({"rule": "none"})[0]
    assert row["baseline"] == ""
    assert math.isnan(row["gap_value"])


def test_other_columns_are_averaged():
    rows = THREE.variants({"rule": "kl"}, ["calls"])
    assert [row["calls"] for row in rows] == pytest.approx([5 / 3] * 3)
