import dataclasses

import pytest

from tcsm.reporting import cost
from tcsm.reporting.frames import Frames
from tcsm.reporting.models import stability

LABELS = {"kjv/score": "Score", "kjv/mdlm": "MDLM"}


@pytest.fixture
def two(runs):
    return [run for run in runs if run.experiment in LABELS]


def test_the_budget_counts_all_stages(two):
    used = 2 * (3 * (290 + 21 + 14) + 3 * (0 + 1 + 2))
    rows = cost.budget(Frames(two), LABELS, 2 * used)
    assert rows["total"].sum() == used
    assert rows["share"].sum() == pytest.approx(0.5)
    assert rows[["variant", "runs", "most"]].iloc[0].tolist() == ["Score", 3, 292 + 23 + 16]
    assert cost.budget(Frames(two), LABELS, None)["share"].isna().all()


def test_the_budget_of_ablations_covers_every_stage_and_the_teachers(ablated):
    used = {"acceleration": 9 * 22, "divergences": 24 * 22, "exact": 6 * (2 + 3 + 4)}
    used |= {"targets": 45 * 3, "runs that others need": 22}
    rows = cost.budget(Frames(ablated), LABELS, sum(used.values())).set_index("variant")
    assert rows["total"].to_dict() == used
    assert rows["share"].sum() == pytest.approx(1.0)
    assert rows.loc["divergences", ["variants", "runs", "most"]].tolist() == [8, 24, 22]


def test_folders_have_budgets_of_their_own(ablated):
    names = ("targets", "exact", "teacher/hollow")
    tuned = cost.budget(Frames(ablated), LABELS, None, within=names)
    rest = cost.budget(Frames(ablated), LABELS, None, without=names)
    assert tuned["variant"].tolist() == ["exact", "targets", "runs that others need"]
    assert rest["variant"].tolist() == ["acceleration", "divergences"]


def test_pulled_runs_have_no_times(ablated):
    """DVC keeps no telemetry: costs are unknown then, not zero."""
    runs = [dataclasses.replace(run, stages={}, telemetry=run.telemetry[:0]) for run in ablated]
    assert cost.budget(Frames(runs), LABELS, 60.0)["total"].isna().all()
    assert cost.commits(Frames(runs)) == {"runs": len(runs), "commits": 0, "dirty": 0}


def test_other_experiments_have_a_row_each(two, ablated):
    rows = cost.provenance(Frames([*two, *ablated]), {})
    assert len(rows) == 2 + 8 + 3 + 15 + 6 + 1
    row = rows.set_index("experiment").loc["divergences/mask-kl"]
    assert (row["runs"], row["commits"]) == (3, "0123456789abcdef" * 2)
    assert len(set(row["config_sha256"].split())) == 3
    assert row["weights_sha256"].split() == [f"{seed}e" * 32 for seed in range(3)]


def test_commits_and_changes(runs):
    run = runs[0]
    stages = {**run.stages, "train": {**run.stages["train"], "dirty": True, "commit": None}}
    few = [dataclasses.replace(run, stages=stages), *runs[1:3]]
    rows = cost.provenance(Frames(few), {})
    assert rows["commits"].tolist() == ["+ " + "0123456789abcdef" * 2]
    assert rows["versions"].iloc[0] == "python 3.11.7, tcsm 0.1.0, torch 2.13.0"
    assert cost.commits(Frames(few)) == {"runs": 3, "commits": 1, "dirty": 1}


def test_what_a_run_of_any_stage_leaves(two):
    bare = {"train": {}, "experiment": "made/by", "stages": {"collect": two[0].stages["train"]}}
    left = {
        "train": {"weights_sha256": "r" * 64, "steps": 10**6},
        "collect": {"sha256": "c" * 64},
        "targets": {"data_sha256": "t" * 64},
    }
    made = [
        dataclasses.replace(two[0], **{**bare, stage: record}, seed=seed)
        for seed, (stage, record) in enumerate(left.items())
    ]
    row = cost.provenance(Frames(made), {}).iloc[0]
    assert row.weights_sha256.split() == ["r" * 64, "c" * 64]
    assert row.data_sha256.split() == ["t" * 64]


def test_stability_counts_troubled_runs(two):
    score = next(run for run in two if run.experiment == "kjv/score")
    metrics = score.metrics.assign(nonfinite=1)
    metrics.loc[metrics.index[-1], ["valid_nats_per_token", "grad_norm"]] = [9.0, 80.0]
    troubled = dataclasses.replace(score, metrics=metrics, train={})
    rows = stability(Frames([troubled if run is score else run for run in two]), LABELS)
    keys = ["variant", "runs", "finished", "nonfinite", "diverged", "spikes"]
    assert rows[keys].to_numpy().tolist() == [["Score", 3, 2, 1, 1, 1], ["MDLM", 3, 3, 0, 0, 0]]
    assert rows["largest"].iloc[0] == 80.0
