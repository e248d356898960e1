import dataclasses

import pytest

from tcsm.reporting.sections.base import Chart
from tcsm.reporting.sections.race import Race

WORDS = {"target": {"none": "labels"}}
ASKED = Race("acceleration", "Acceleration", "Sooner?", {"target": "none"}, WORDS)


@pytest.fixture
def section(ablated):
    return ASKED(ablated)


def test_shares_stand_in_the_table(section):
    rows = {row[0]: row for row in section.blocks[0].rows()}
    headers = section.blocks[0].headers()
    names = ("Steps to reach", "without teacher", "Time to reach")
    steps, own, time = (headers.index(name) for name in names)
    assert [rows["labels"][n] for n in (steps, own, time)] == ["1", "1", "1"]
    assert rows["hollow"][steps].startswith("0.")
    assert rows["hollow"][steps] == rows["hollow"][own]  # a second is 60 steps in every run
    assert rows["hollow"][time].startswith("1.")
    assert rows["bert"][steps] == rows["bert"][time] == "not reached"


def test_an_arm_that_arrives_in_some_runs_has_no_interval(ablated):
    late = [run for run in ablated if run.experiment == "acceleration/hollow" and run.seed == 1]
    bert = [run for run in ablated if run.experiment == "acceleration/bert" and run.seed == 1]
    swapped = dataclasses.replace(late[0], metrics=bert[0].metrics)
    section = ASKED([swapped if run is late[0] else run for run in ablated])
    rows = {row[0]: row for row in section.blocks[0].rows()}
    assert rows["hollow"][1].endswith(" (2 of 3)")
    assert section.answer == "No arm reaches the last value of labels in every seed."


def test_there_is_a_curve_for_tokens_and_one_for_time(section):
    charts = [block for block in section.blocks if isinstance(block, Chart)]
    assert [chart.name for chart in charts] == ["acceleration_tokens", "acceleration_seconds"]
    labels, hollow, _ = charts[1].figure.axes[0].lines[:3]
    assert hollow.get_xdata()[0] - labels.get_xdata()[0] == pytest.approx(20.0)


def test_the_answer_weighs_steps_against_time(section):
    assert section.answer.startswith("**hollow** reaches the last value of labels after 0.")
    assert "it does not pay in time" in section.answer
    assert "or more, the teacher would pay." in section.answer
    assert section.answer.endswith("Not in every seed: bert.")
    assert section.answer.startswith(section.brief)


@pytest.mark.parametrize(
    ("goal", "verdict"),
    [
        (1.0, "the goal of 1.00 is met"),
        (0.1, "the goal of 0.10 is missed"),
    ],
)
def test_the_goal_is_held_against_the_interval(ablated, goal, verdict):
    assert verdict in dataclasses.replace(ASKED, goal=goal)(ablated).answer


def test_a_goal_within_the_interval_is_left_open(ablated, section):
    goal = float(section.blocks[0].frame.set_index("arm").loc["hollow", "steps_value"])
    answer = dataclasses.replace(ASKED, goal=goal)(ablated).answer
    assert f"whether the goal of {goal:.2f} is met cannot be told from these seeds" in answer


@pytest.mark.parametrize(
    ("slower", "told"),
    [
        ((1, 1, 1), "or more, the teacher would pay."),
        ((10, 10, 10), ": no number of runs that share the teacher would pay for it."),
        ((1, 2, 8), "; whether sharing it would ever pay cannot be told from these seeds."),
    ],
)
def test_a_shared_teacher_pays_by_the_whole_interval(ablated, slower, told):
    def times(run):
        spent = run.telemetry["cpu_seconds"] * slower[run.seed]
        return dataclasses.replace(run, telemetry=run.telemetry.assign(cpu_seconds=spent))

    runs = [times(run) if run.experiment == "acceleration/hollow" else run for run in ablated]
    assert told in ASKED(runs).answer


def test_one_seed_decides_nothing(ablated):
    answer = ASKED([run for run in ablated if run.seed == 0]).answer
    assert "by one seed" in answer
    assert "too few seeds to say whether it pays" in answer


def test_without_a_baseline_or_an_arrival_it_says_so(ablated):
    rest = [run for run in ablated if run.experiment != "acceleration/none"]
    assert ASKED(rest).answer.startswith("The baseline has not been run")
    slow = [run for run in ablated if run.experiment != "acceleration/hollow"]
    assert ASKED(slow).answer == "No arm reaches the last value of labels in every seed."


def test_without_runs_there_is_no_section(runs):
    assert ASKED(runs).blocks == ()
