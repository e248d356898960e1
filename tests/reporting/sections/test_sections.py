import dataclasses
import math

import pytest

from tcsm.reporting import wording
from tcsm.reporting.sections.base import Missing
from tcsm.reporting.sections.budget import Budget
from tcsm.reporting.sections.differences import Differences
from tcsm.reporting.sections.headline import Headline
from tcsm.reporting.sections.learning import Learning
from tcsm.reporting.sections.noise import ByNoise
from tcsm.reporting.sections.provenance import Provenance
from tcsm.reporting.sections.samples import Samples
from tcsm.reporting.sections.stability import Stability
from tcsm.reporting.sections.story import Story
from tcsm.reporting.tables import Table

ARMS = {"kjv/score": "Score", "kjv/mdlm": "MDLM"}
PAIRS = [["kjv/score", "kjv/mdlm"]]


def table(section) -> Table:
    return next(block for block in section.blocks if isinstance(block, Table))


def with_bpc(runs, level):
    """The runs with evaluations of one sequence of one character: BPC is the nats in bits."""
    changed = []
    for run in runs:
        value = level[run.experiment] + 0.01 * run.seed
        split = {"bpc": value, "nats": [value * math.log(2)], "chars": [1]}
        evaluate = {**run.evaluate, "splits": {"valid": split, "test": split}}
        changed.append(dataclasses.replace(run, evaluate=evaluate))
    return changed


@pytest.fixture
def two(runs):
    return with_bpc([r for r in runs if r.experiment in ARMS], {"kjv/score": 2.2, "kjv/mdlm": 2.0})


def test_the_story_is_computed(two):
    text = Story(ARMS, PAIRS)(two).blocks[0].text
    assert "6 runs of 2 arms" in text
    assert (
        "**Score lands 9.95 % above MDLM** in test bits per character (2.210 against 2.010" in text
    )
    assert "worse, beyond the spread of the seeds" in text


def test_the_headline_names_the_best(two):
    section = Headline(ARMS)(two)
    assert section.answer.startswith("MDLM needs the fewest: 2.010 ± 0.006 test bits")
    assert table(section).rows()[0][:3] == ["Score", "2.210 ± 0.006", "2.210 ± 0.006"]


def test_one_seed_says_so(two):
    section = Headline(ARMS)([run for run in two if run.seed == 0])
    assert table(section).rows()[0][1] == "2.200 (n=1)"
    differences = Differences(ARMS, PAIRS)([run for run in two if run.seed == 0])
    assert table(differences).rows()[0][3] == "n=1"
    assert "one seed is not enough" in differences.answer


def test_the_differences_answer(two):
    section = Differences(ARMS, PAIRS)(two)
    assert section.answer == (
        "Score against MDLM: +0.200 BPC (+9.95 %); worse, beyond the spread of the seeds."
    )
    assert table(section).rows()[0][:3] == ["Score − MDLM", "+0.200", "+9.95 %"]


def test_learning_and_noise_answer_from_the_frames(runs):
    assert Learning(ARMS)(runs).answer.startswith("At the end of training MDLM stands lowest")
    answer = ByNoise(ARMS)(runs).answer
    assert answer.startswith("Arms evaluated by count part most at noise level 0.90: MDLM and ")


def test_stability_counts_troubled_runs(runs):
    score = next(run for run in runs if run.experiment == "kjv/score")
    metrics = score.metrics.assign(nonfinite=1)
    metrics.loc[metrics.index[-1], ["valid_nats_per_token", "grad_norm"]] = [9.0, 80.0]
    troubled = dataclasses.replace(score, metrics=metrics, train={})
    section = Stability(ARMS)([troubled if run is score else run for run in runs])
    assert table(section).rows() == [
        ["Score", "3", "2", "1", "1", "1", "80.00"],
        ["MDLM", "3", "3", "0", "0", "0", table(section).rows()[1][-1]],
    ]
    assert section.answer.startswith("Of 6 runs, 5 finished, 1 met")


def test_the_budget_is_held_against_all_stages(runs):
    used = 2 * (3 * (290 + 21 + 14) + 3 * (0 + 1 + 2))
    runs = [run for run in runs if run.experiment in ARMS]
    section = Budget(ARMS, seconds=2 * used)(runs)
    assert (
        section.answer
        == "Together 6 runs took 32 min 48 s of CPU time, 50 % of the 1 h 05 min allowed."
    )
    assert table(section).rows()[0][:4] == ["Score", "3", "4 min 51 s", "4 min 52 s"]
    assert table(section).frame["share"].sum() == pytest.approx(0.5)
    assert Budget(ARMS)(runs).answer.endswith("no budget was set.")


def test_the_budget_of_ablations_covers_every_stage_and_the_teachers(ablated):
    used = {"acceleration": 9 * 22, "divergences": 24 * 22, "exact": 6 * (2 + 3 + 4)}
    used |= {"targets": 45 * 3, "runs that others need": 22}
    section = Budget(ARMS, ablations=sum(used.values()))(ablated)
    rows = table(section).frame.set_index("ablation")
    assert rows["total"].to_dict() == used
    assert rows["share"].sum() == pytest.approx(1.0)
    assert rows.loc["divergences", ["arms", "runs", "most"]].tolist() == [8, 24, 22]
    assert section.answer == (
        "For ablations 97 runs took 15 min 37 s of CPU time, 100 % of the 15 min 37 s allowed."
    )


def test_post_training_has_a_budget_of_its_own(ablated):
    budget = Budget(ARMS, ablations=1e6, tuned=("targets", "exact"), post_training=378.0)
    section = budget(ablated)
    _, tuned = [block for block in section.blocks if isinstance(block, Table)]
    totals = tuned.frame.set_index("ablation")["total"].to_dict()
    assert totals == {"exact": 6 * (2 + 3 + 4), "targets": 45 * 3}
    assert section.answer.endswith(
        "For post-training 63 runs took 3 min 09 s of CPU time, 50 % of the 6 min 18 s allowed."
    )


def test_ablations_are_counted_in_the_story(two, ablated):
    opening = Story(ARMS, PAIRS)([*two, *ablated]).blocks[0].text
    assert opening.startswith(
        "This page is made from 6 runs of 2 arms and 96 runs of 4 ablations."
    )


def test_provenance_tells_other_experiments_in_a_row_each(two, ablated):
    section = Provenance(ARMS)([*two, *ablated])
    tables = [block for block in section.blocks if isinstance(block, Table)]
    assert [len(block.frame) for block in tables] == [6, 8 + 3 + 15 + 6 + 1]
    rows = {row[0]: row[1:] for row in tables[1].rows()}
    assert rows["divergences/mask-kl"][:2] == ["3", "0123456789"]
    assert rows["divergences/mask-kl"][2].endswith(" and 2 more")
    assert rows["divergences/mask-kl"][4] == "0e0e0e0e0e and 2 more"
    assert tables[1].folded == "33 experiments of ablations and needed runs"
    assert len(tables[1].frame.loc[0, "config_sha256"].split()) == 3
    assert section.answer == "103 runs from 1 commit, none with uncommitted changes."


def test_provenance_tells_commit_and_changes(runs):
    run = runs[0]
    stages = {**run.stages, "train": {**run.stages["train"], "dirty": True, "commit": None}}
    dirty = dataclasses.replace(run, stages=stages)
    section = Provenance({"kjv/distribution": "D"})([dirty, *runs[1:3]])
    rows = table(section).rows()
    assert rows[0][:3] == ["kjv/distribution, seed 0", "– + changes", "0123456789"]
    assert rows[1][1] == "0123456789"
    assert rows[0][-1] == "python 3.11.7, tcsm 0.1.0, torch 2.13.0"
    assert section.answer == "3 runs from 1 commit, 1 run with uncommitted changes."


def test_provenance_names_what_a_run_of_any_stage_leaves(two):
    bare = {"train": {}, "experiment": "made/by", "stages": {"exact": two[0].stages["train"]}}
    left = {
        "exact": {"weights_sha256": "e" * 64},
        "reward": {"weights_sha256": "r" * 64},
        "collect": {"sha256": "c" * 64},
        "pair": {"sha256": "p" * 64},
        "targets": {"data_sha256": "t" * 64},
    }
    made = [
        dataclasses.replace(two[0], **bare, **{stage: record}, seed=seed)
        for seed, (stage, record) in enumerate(left.items())
    ]
    row = table(Provenance({})(made)).frame.iloc[0]
    assert row.weights_sha256.split() == ["e" * 64, "r" * 64, "c" * 64, "p" * 64]
    assert row.data_sha256.split() == ["t" * 64]
    assert row.commits == "0123456789abcdef" * 2


def test_pulled_runs_have_no_times(ablated):
    """DVC carries no telemetry: costs are unknown then, not zero."""
    runs = [dataclasses.replace(run, stages={}, telemetry=run.telemetry[:0]) for run in ablated]
    chapters = [Budget(ARMS, ablations=60.0), Provenance({})]
    for chapter in chapters:
        assert "DVC does not carry" in chapter(runs).answer
    costs = table(chapters[0](runs)).frame
    assert costs["total"].isna().all()
    assert {row[-1] for row in table(chapters[0](runs)).rows()} == {wording.DASH}


@pytest.mark.parametrize(
    "chapter", [Headline, Learning, ByNoise, Samples, Stability, Budget, Provenance]
)
def test_without_runs_one_line_stands_in(chapter):
    blocks = chapter(ARMS)([]).blocks
    assert [type(block) for block in blocks] == [Missing]
