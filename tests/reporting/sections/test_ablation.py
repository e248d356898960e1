import dataclasses

from tcsm.reporting.figures import Axis
from tcsm.reporting.sections.ablation import Ablation
from tcsm.reporting.sections.base import Chart
from tcsm.reporting.tables import Table

WORDS = {"source": {"mask": "masked", "uniform": "uniform"}, "loss": {"kl": "KL"}}
ASKED = Ablation(
    "divergences", "Divergences", "Which?", {"loss": "kl"}, WORDS, command="snakemake divergences"
)


def test_each_source_has_its_baseline_and_its_best(ablated):
    section = ASKED(ablated)
    assert section.answer.count("is lowest") == 2
    assert section.answer.startswith(
        "**masked · hellinger** is lowest: 2.145 ± 0.024 test BPC, −0.052 ["
    )
    assert "against masked · KL: better, beyond the spread" in section.answer
    assert section.brief.count(";") == 1
    assert section.question == "Which?"


def test_the_table_holds_every_arm_and_the_figure_tells_the_far_one_in_words(ablated):
    table, chart, command = ASKED(ablated).blocks
    assert isinstance(table, Table)
    rows = {row[0]: row[1:] for row in table.rows()}
    assert len(rows) == 8
    assert rows["masked · KL"][1:3] == ["baseline", ""]
    assert rows["uniform · raw"][2] == "worse"
    assert table.headers()[-2:] == ["Non-finite", "Diverged"]
    assert rows["uniform · raw"][-2:] == ["0 of 3", "0 of 3"]
    assert isinstance(chart, Chart)
    words = [text.get_text() for text in chart.figure.axes[0].texts]
    assert [w[-1] for w in words] == ["→", "→"]
    assert chart.figure.axes[0].get_xlim()[1] < 4
    assert command.line == "snakemake divergences"


def test_any_measure_of_the_records_may_be_compared(ablated):
    asked = dataclasses.replace(
        ASKED, name="exact", baseline={"divergence": "bce"}, measure=Axis("kl", "nats", log=True)
    )
    section = asked(ablated)
    assert section.answer.endswith("Not finite or diverged: pearson · 3 (3 of 3 runs).")
    assert section.blocks[0].rows()[-1][1] == "–"


def test_without_runs_there_is_no_section(runs):
    assert ASKED(runs).blocks == ()
    assert dataclasses.replace(ASKED, name="targets")(runs).blocks == ()
