import dataclasses

import pytest

from tcsm.reporting.runs import read_runs
from tcsm.reporting.sections.base import Chart
from tcsm.reporting.sections.distillation import Distillation
from tests.reporting.house import SEEDS, make_student

WORDS = {"target": {"none": "data alone"}}
ASKED = Distillation(
    "distillation", "Distillation", "Sooner?", {"target": "none"}, WORDS, worse={"good": "poor"}
)
LEVELS = {"none": 2.2, "good": 2.0, "poor": 2.3}


@pytest.fixture(scope="module")
def students(tmp_path_factory):
    """A baseline, and an arm for each of two teachers whose BPC are 1.9 and 2.6."""
    root = tmp_path_factory.mktemp("students")
    teachers = {
        arm: make_student(root, f"teacher/{arm}", 0, level)
        for arm, level in {"good": 1.9, "poor": 2.6}.items()
    }
    folders = [
        make_student(
            root,
            f"distillation/{arm}",
            seed,
            level,
            {"target": arm},
            str(teachers[arm]) if arm in teachers else None,
        )
        for arm, level in LEVELS.items()
        for seed in SEEDS
    ]
    return read_runs([*teachers.values(), *folders])


@pytest.fixture(scope="module")
def section(students):
    return ASKED(students)


def test_the_teacher_stands_beside_its_students(section):
    table = section.blocks[0]
    place = table.headers().index("BPC of the teacher")
    found = {row[0]: row[place] for row in table.rows()}
    assert found["data alone"] == "–"
    assert float(found["good"]) == pytest.approx(1.9, abs=0.1)
    assert float(found["poor"]) == pytest.approx(2.6, abs=0.1)


def test_the_answer_tells_what_a_worse_teacher_costs(section):
    assert section.answer.startswith("**good** reaches the last value of data alone after 0.")
    assert "Not in every seed: poor." in section.answer
    last = section.answer.rpartition("With a teacher of ")[2]
    assert "BPC, poor ends +0.29" in last
    assert last.endswith("from good: worse.")
    assert section.brief in section.answer


def test_there_is_a_curve_for_tokens_and_one_for_time(section):
    charts = [block.name for block in section.blocks if isinstance(block, Chart)]
    assert charts == ["distillation_tokens", "distillation_seconds"]
    assert section.blocks[0].caption == "distillation"


def test_without_the_worse_teacher_nothing_is_said_of_it(students):
    rest = [run for run in students if not run.experiment.endswith("/poor")]
    assert "With a teacher" not in ASKED(rest).answer
    assert "With a teacher" not in dataclasses.replace(ASKED, worse={})(students).answer


def test_without_runs_there_is_no_section(runs):
    assert ASKED(runs).blocks == ()
