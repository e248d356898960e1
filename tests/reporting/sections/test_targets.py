import pytest

from tcsm.reporting.figures import Axis
from tcsm.reporting.sections.base import Chart
from tcsm.reporting.sections.targets import Targets

WORDS = {"tail": {"zero": "no tail", "taylor": "Taylor tail"}}
ASKED = Targets("targets", "Targets", "How far?", Axis("size", "candidates K", log=True), WORDS)


def test_errors_by_size_and_tail(ablated):
    section = ASKED(ablated)
    rows = section.blocks[0].rows()
    assert rows[0] == ["no tail · 1", "0.4020 ± 0.0012", "0.20", "1.25", "64", "1.5 s", "3"]
    assert len(rows) == 15
    chart = section.blocks[1]
    assert isinstance(chart, Chart)
    line = chart.figure.axes[0].lines[0]
    assert line.get_xdata().tolist() == [1, 2, 4, 8, 16]
    assert line.get_ydata().tolist() == pytest.approx([0.402, 0.202, 0.102, 0.052, 0.027])
    assert chart.figure.axes[0].get_yscale() == "log"


def test_the_answer_tells_the_least_error_and_how_it_falls(ablated):
    section = ASKED(ablated)
    assert section.brief.startswith("**Taylor tail · 16** errs least: 0.0083 ± 0.0012")
    assert "From 1 to 16 (candidates K): no tail 0.40 → 0.027; Taylor tail 0.10" in section.answer


def test_one_seed_has_the_error_over_its_sequences(ablated):
    section = ASKED([run for run in ablated if run.seed == 0])
    assert section.blocks[0].rows()[0][1] == "0.4000 ± 0.0020"


def test_without_numbers_on_the_axis_there_is_a_table_alone(ablated):
    asked = Targets("targets", "Targets", "How far?", Axis("tail", "tail"))
    section = asked(ablated)
    assert [type(block).__name__ for block in section.blocks] == ["Table", "Command"]
    assert section.answer == section.brief


def test_without_runs_there_is_no_section(runs):
    assert ASKED(runs).blocks == ()
