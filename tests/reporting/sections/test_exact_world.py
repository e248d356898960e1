import dataclasses
import math

import pytest

from tcsm.reporting.sections.base import Chart
from tcsm.reporting.sections.exact_world import ExactWorld
from tcsm.reporting.tables import Table

WORDS = {
    "divergence": {"bce": "BCE", "pearson": "Pearson"},
    "k": {str(k): f"k = {k}" for k in (1, 2)},
}
ASKED = ExactWorld("exact", "The exact world", "How does k trade?", words=WORDS, command="again")


def changed(runs, change):
    """The runs of the exact world with other numbers."""
    return [
        dataclasses.replace(run, exact={**run.exact, **change(run)}) if run.exact else run
        for run in runs
    ]


def test_the_table_has_an_arm_a_row_against_the_least_k(ablated):
    section = ASKED(ablated)
    rows = section.blocks[0].rows()
    assert rows[0] == [
        *("BCE · k = 1", "0.1000 ± 0.0000", "–", "12", "0.50", "38.40 k", "–", "3.0 s"),
    ]
    assert rows[1][2] == "−0.0900 [−0.0900, −0.0900]"
    assert rows[5][1] == "–"


def test_maps_front_and_stability_stand_beside_it(ablated):
    section = ASKED(ablated)
    assert [block.name for block in section.blocks if isinstance(block, Chart)] == [
        "exact_map",
        "exact_front",
    ]
    stability = [block for block in section.blocks if isinstance(block, Table)][1]
    assert stability.rows()[0] == ["BCE · k = 1", "3", "0 %", "0 %"]
    assert stability.rows()[5][1:] == ["3", "100 %", "100 %"]


def test_the_answer_says_where_a_larger_k_pays_and_who_was_lost(ablated):
    answer = ASKED(ablated).answer
    assert answer.startswith("k = 2 against the least k: **better** for BCE (−0.0900 [")
    assert "The least KL is that of **BCE · 3**, 0.0010 ± 0.0000 nats; " in answer
    assert answer.endswith("Of 18 runs, not finite or diverged: Pearson · 3.")


@pytest.mark.parametrize(
    ("goal", "told"),
    [
        (0.003, "0.003 nats or less with the whole interval: BCE · k = 1 (0.00100 [−0.00024,"),
        (0.001, "the whole interval: no arm; cannot be told from these seeds: BCE · k = 1 (0.0"),
        (-0.001, "-0.001 nats or less with the whole interval: no arm. Of 18 runs"),
    ],
)
def test_the_goal_is_held_against_the_interval(ablated, goal, told):
    """5, 10 and 15e-4: their mean ± 4.303 · 5e-4/√3 = 1.242e-3."""
    near = changed(ablated, lambda run: {"kl": 5e-4 * (1 + run.seed)})
    assert told in dataclasses.replace(ASKED, goal=goal)(near).answer


def test_no_difference_is_an_answer(ablated):
    flat = changed(
        ablated, lambda run: {"kl": 0.1 + 0.01 * (run.seed - 1) * int(run.config["axes"]["k"])}
    )
    answer = ASKED(flat).answer
    assert "k = 2 against the least k: no difference found for BCE (+0.0000 [" in answer
    worse = changed(ablated, lambda run: {"kl": 0.1 * int(run.config["axes"]["k"])})
    assert "**worse** for BCE" in ASKED(worse).answer


def test_one_seed_tells_nothing_apart(ablated):
    answer = ASKED([run for run in ablated if run.seed == 0]).answer
    assert "k = 2 against the least k: too few finite seeds to tell." in answer


def test_a_second_kind_of_model_has_a_map_of_its_own(ablated):
    twice = [
        dataclasses.replace(
            run,
            experiment=run.experiment.replace("exact/", f"exact/{kind}-"),
            config={**run.config, "axes": {"model": kind, **run.config["axes"]}},
        )
        for run in ablated
        if run.exact
        for kind in ("joint", "factorized")
    ]
    section = ExactWorld("exact", "", "", words={**WORDS, "model": {"joint": "joint"}})(twice)
    names = {block.name for block in section.blocks if isinstance(block, Chart)}
    assert {"exact_map_joint", "exact_map_factorized"} <= names
    assert "joint, k = 2 against the least k: **better**" in section.answer


def test_seconds_a_step_come_from_the_telemetry(ablated):
    timed = [
        dataclasses.replace(
            run, stages={"exact": {**run.stages["exact"], "cpu_seconds_per_step": 0.0042}}
        )
        if run.exact
        else run
        for run in ablated
    ]
    assert ASKED(timed).blocks[0].rows()[0][6] == "4.2"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_lost_runs_alone_still_make_a_section(ablated):
    lost = changed(ablated, lambda run: {"kl": None, "finite": False, "diverged": True})
    section = ASKED(lost)
    assert "No run has a finite KL." in section.answer
    assert math.isnan(section.blocks[0].frame["value"].iloc[0])


def test_without_runs_there_is_no_section(runs):
    assert ASKED(runs).blocks == ()
