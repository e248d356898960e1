"""Ablations as chapters see them: rows by hand."""

import dataclasses
import math

import pytest

from tcsm.reporting.frames import Frames
from tcsm.reporting.heatmaps import densities
from tcsm.reporting.results import Results, front, minus
from tcsm.reporting.tables import frame_of

LABELS = {
    "source": {"mask": "masked"},
    "target": {"none": "data"},
    "divergence": {"bce": "BCE"},
    "k": {"1": "k = 1", "2": "k = 2"},
    "way": {"tilt": "weighted draws", "best": "filtered"},
    "beta": {"0.4": "β = 0.4"},
}


def results(runs) -> Results:
    return Results(Frames(runs), {}, LABELS)


def by_variant(rows):
    return {row["variant"]: row for row in rows}


def test_the_variant_that_is_listed_first_is_the_baseline(ablated):
    data = results(ablated).ablation("divergences")
    assert data.measure == "test_bpc"
    assert data.baseline == {"source": "mask", "loss": "kl"}
    rows = by_variant(data.variants())
    assert len(rows) == 8
    assert {row["baseline"] for row in rows.values()} == {"masked · kl"}
    assert rows["uniform · kl"]["gap_value"] == pytest.approx(0.3, abs=0.02)


def test_the_measure_is_what_the_records_have(ablated):
    known = {name: results(ablated).ablation(name).measure for name in ("exact", "targets")}
    assert known == {"exact": "kl", "targets": "tv"}
    assert not results(ablated).ablation("absent").measured
    assert results(ablated).ablations() == ["divergences", "acceleration", "targets", "exact"]


def test_variants_are_compared_to_the_best(ablated):
    data = results(ablated).ablation("divergences")
    rows = data.variants({"loss": "kl"}).where(source="mask")
    best = rows.best()
    gaps = by_variant(data.against(best, rows))
    assert best["variant"] == "masked · hellinger"
    assert set(gaps) == set(by_variant(rows)) - {best["variant"]}
    for name, row in gaps.items():
        assert row["gap_value"] == pytest.approx(by_variant(rows)[name]["value"] - best["value"])


def test_time_to_target(ablated):
    data = results(ablated).ablation("acceleration")
    rows = by_variant(data.time_to_target({"target": "none"}))
    assert rows["data"]["steps_reached"] == rows["data"]["steps_of"] == 3
    hollow = rows["hollow"]
    assert 0 < hollow["steps_value"] < 1 < hollow["time_value"]
    assert hollow["steps_value"] == pytest.approx(hollow["own_value"])  # a second is 60 steps
    assert hollow["steps_reached"] == hollow["steps_of"] == 3
    assert rows["bert"]["steps_reached"] == 0
    first = data.curves("seconds").where(variant="hollow")[0]
    assert first["seconds"] == pytest.approx(100 / 60 + 20)


def test_a_baseline_that_was_not_run_leaves_no_target(ablated):
    rest = [run for run in ablated if run.experiment != "acceleration/none"]
    rows = results(rest).ablation("acceleration").time_to_target({"target": "none"})
    assert {row["steps_of"] for row in rows} == {0}
    assert {row["baseline"] for row in rows} == {""}


def test_teachers_stand_beside_their_students(tuned):
    data = results(tuned).ablation("distillation")
    rows = by_variant(data.time_to_target({"target": "none"}, teachers=True))
    assert rows["taylor"]["teacher_bpc"] == pytest.approx(1.9, abs=0.1)
    assert rows["taylor early"]["teacher_bpc"] == pytest.approx(2.6, abs=0.1)
    assert math.isnan(rows["data"]["teacher_bpc"])
    gap = data.gap({"target": "taylor_early"}, {"target": "taylor"})
    assert (gap.count, gap.value) == (3, pytest.approx(0.3, abs=0.02))


def test_errors_of_targets_by_size(ablated):
    data = results(ablated).ablation("targets")
    rows = data.variants({}, means=["tv_se", "missing"])
    assert len(rows) == 15
    first = by_variant(rows)["zero · 1"]
    assert (first["value"], first["error"]) == pytest.approx((0.402, 0.002 / math.sqrt(3)))
    assert first["missing"] == pytest.approx(0.201)
    drawn = data.by_size("size")
    assert sorted({row["size"] for row in drawn}) == [1, 2, 4, 8, 16]
    assert {row["variant"] for row in drawn} == {"zero", "fallback", "taylor"}
    assert data.by_size("tail") == []


def test_the_exact_world_against_the_least_k(ablated):
    timed = [
        dataclasses.replace(
            run, stages={**run.stages, "evaluate": {"cpu_seconds_per_step": 0.0042}}
        )
        if run.distances
        else run
        for run in ablated
    ]
    data = results(timed).ablation("exact")
    assert data.least("k") == "1"
    rows = by_variant(data.variants({"k": "1"}, means=["evaluations", "step_seconds"]))
    second = rows["BCE · k = 2"]
    assert (second["value"], second["gap_value"]) == pytest.approx((0.01, -0.09))
    assert (second["evaluations"], second["step_seconds"]) == (38400, 0.0042)
    assert math.isnan(rows["pearson · 3"]["value"])
    assert rows["pearson · 3"]["diverged"] == 3
    (run, *_) = data.runs(which=["divergence", "k"])
    assert (run["which"], run["spent"]) == ("BCE, k = 1", pytest.approx(300 * 0.0042))


def test_ratios_against_the_initial_weights(tuned):
    data = results(tuned).ablation("density_ratio")
    rows = by_variant(data.from_start({"ratio": "before"}))
    assert len(rows) == 6
    for name, low, high in (("implicit · BCE", -0.12, -0.08), ("explicit · BCE", 0.28, 0.32)):
        for over in ("seed", "sequence"):
            assert low < rows[name][f"{over}_value"] < high
    assert rows["explicit · BCE"]["sequence_count"] == 40
    assert rows["explicit · BCE"]["seed_count"] == 3
    assert data.from_start({"ratio": "absent"}) == []


def test_tilted_distributions_against_ours(tuned):
    data = results(tuned).ablation("tilt", "tv")
    rows = by_variant(data.variants({"way": "tilt"}, means=["ess", "world_tv"]))
    best = rows["β = 0.4 · filtered"]
    assert (best["value"], best["gap_value"]) == pytest.approx((0.2, 0.17))
    assert (best["ess"], best["world_tv"]) == pytest.approx((0.44, 0.22))
    titles = {"world": "data", "target": "target"}
    runs = data.runs(title=["way"]).where(beta="0.4")
    figure = densities(frame_of(runs), "title", titles)
    assert [axes.get_title() for axes in figure.axes][:5] == [
        *("data", "target", "weighted draws", "filtered", "kl penalty"),
    ]


def test_rewards_in_deviations_of_the_initial_texts(tuned):
    data = results(tuned).ablation("reward").post_trained({"method": "none"}, "lack")
    rows = by_variant(data.gains({"method": "none"}))
    assert rows["text 2"]["judge_gain"] == pytest.approx((1.5 + 1) / 2)
    assert rows["text 2"]["reward_gain"] == pytest.approx((0 + 2) / 4)
    assert rows["text 2"]["bpc_share"] == pytest.approx(0.02, abs=0.01)
    assert rows["text 1"]["entropy_share"] == pytest.approx(-0.25)
    assert rows["none"]["judge_gain"] == 0
    assert (rows["best of"]["bpc_share"], rows["best of"]["calls"]) == (0, 12)
    assert rows["gradient"]["calls"] == 4 * 1200


@pytest.mark.parametrize("judged", ["none", "reward"])
def test_runs_without_a_judge_are_left_out(tuned, judged):
    """Of all runs, or of the baseline alone: as reward_judge=null leaves them."""
    runs = [
        dataclasses.replace(
            run, rewards={**run.rewards, "judge_reward": None, "judge_rewards": None}
        )
        if judged == "none" or run.experiment.endswith("/none")
        else run
        for run in tuned
        if run.experiment.startswith("reward/")
    ]
    assert results(runs).ablation("reward").post_trained({"method": "none"}, "lack").runs() == []


def test_win_rates_over_all_pairs(tuned):
    data = (
        results(tuned)
        .ablation("preference")
        .post_trained({"objective": "reference"}, "judge_wins")
    )
    rows = by_variant(data.win_rates({"objective": "reference"}))
    assert set(rows) == {"better tenth", "paired", "winners"}
    # Φ(shift/√2) of two normal distributions that lie a shift apart
    for name, judged, rewarded in (("paired", 0.760, 0.983), ("better tenth", 0.584, 0.738)):
        assert rows[name]["wins_value"] == pytest.approx(judged, abs=0.03)
        assert rows[name]["rewarded_value"] == pytest.approx(rewarded, abs=0.03)
    assert rows["paired"]["bpc_value"] == pytest.approx(0.2, abs=0.02)
    assert rows["paired"]["share"] == pytest.approx(0.1, abs=0.01)
    assert rows["paired"]["entropy_value"] == pytest.approx(-0.1)
    best = front(data.runs(), "test_bpc", "judge_wins", more=True)
    assert [row["variant"] for row in best] == ["reference", "better tenth", "paired"]


def test_nothing_was_graded(runs):
    for name in ("reward", "preference"):
        data = results(runs).ablation(name)
        assert data.post_trained({"method": "none"}, "lack").runs() == []
        assert (
            data.post_trained({"objective": "reference"}, "judge_wins").win_rates(
                {"objective": "x"}
            )
            == []
        )


def test_a_difference_is_taken_at_the_same_place_and_seed():
    places = [("A", 1, 0, 3.0), ("A", 1, 1, 4.0), ("B", 1, 1, 4.5), ("B", 2, 1, 9.0)]
    rows = [dict(zip(("variant", "at", "seed", "bits"), place, strict=True)) for place in places]
    gaps = [(row["variant"], row["seed"], row["bits"]) for row in minus(rows, "A", "at", "bits")]
    assert gaps == [("A", 0, 0.0), ("A", 1, 0.0), ("B", 1, 0.5)]
    assert minus(rows, "C", "at", "bits") == []
