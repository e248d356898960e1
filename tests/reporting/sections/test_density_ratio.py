import dataclasses

import pytest

from tcsm.reporting.runs import read_runs
from tcsm.reporting.sections.base import Command
from tcsm.reporting.sections.density_ratio import DensityRatios
from tcsm.reporting.tables import Table
from tests.reporting.house import SEEDS, make_student

LEVELS = {
    ("before", "likelihood"): 2.3,
    ("continued", "likelihood"): 2.21,
    ("implicit", "generalized_kl"): 2.2101,
    ("implicit", "bce"): 2.2,
    ("explicit", "bce"): 2.6,
    ("explicit_clamp", "bce"): 2.5,
    ("explicit_zero", "bce"): 2.22,
}
WORDS = {
    "ratio": {"before": "start", "continued": "continued", "explicit_zero": "zero start"},
    "divergence": {"likelihood": "CE", "generalized_kl": "GKL", "bce": "BCE"},
}
ASKED = DensityRatios(
    "density_ratio",
    "Density ratios",
    "How much?",
    axis="ratio",
    roles={name: name for name in ("before", "continued", "implicit", "explicit")},
    likelihood={"divergence": "generalized_kl"},
    words=WORDS,
    command="snakemake density_ratio",
)


def made(root, levels, seeds=SEEDS):
    folders = [
        make_student(
            root,
            f"density_ratio/{ratio}-{divergence}",
            seed,
            level,
            {"ratio": ratio, "divergence": divergence},
        )
        for (ratio, divergence), level in levels.items()
        for seed in seeds
    ]
    return read_runs(folders)


@pytest.fixture(scope="module")
def section(tmp_path_factory):
    return ASKED(made(tmp_path_factory.mktemp("ratios"), LEVELS))


def test_every_arm_is_held_against_the_start_by_seed_and_by_sequence(section):
    table, command = section.blocks
    assert isinstance(table, Table)
    assert isinstance(command, Command)
    rows = {row[0]: row for row in table.rows()}
    assert len(rows) == len(LEVELS) - 1
    assert rows["implicit · BCE"][1:3] == ["2.2911", "2.1971"]
    assert rows["implicit · BCE"][6] == "better"
    assert rows["explicit · BCE"][6] == "worse"
    assert table.headers()[4:6] == ["95 % over seeds", "95 % over sequences"]
    frame = table.frame.set_index("arm")
    for arm, low, high in (("implicit · BCE", -0.12, -0.08), ("explicit · BCE", 0.28, 0.32)):
        for over in ("seed", "sequence"):
            assert low < frame[f"{over}_value"][arm] < high
    assert frame["sequence_count"]["continued · CE"] == 40


def test_the_answer_names_best_baseline_coincidence_and_what_stabilizes(section):
    assert section.answer.startswith("The best ratio is **implicit · BCE**: 2.2911 → 2.1971")
    assert "Beside it, **continued · CE**: 2.2911 → 2.2034 test BPC, −0.0877 [" in section.answer
    assert section.answer.count("better, beyond the spread of the seeds") == 2
    assert "implicit · GKL is continued · CE by another name" in section.answer
    told = section.answer.partition("Explicit ratios left alone, to their start: ")[2]
    assert told.startswith("explicit · BCE (+0.3")
    works = "**They can be stabilized**: better than left alone by zero start · BCE (−0.3"
    assert works in told
    assert " and explicit clamp · BCE (−0.1" in told
    assert "To its start: zero start · BCE (−0.07" in told
    assert "; to continued · CE: +0.01" in told
    assert "; to implicit · BCE: +0.02" in told
    assert section.brief == section.answer.partition(" implicit · GKL is")[0]


def test_what_is_no_better_than_left_alone_stabilizes_nothing(tmp_path):
    """Less than the start by 0.05 each, and still no less than the explicit ratio left alone."""
    levels = {**LEVELS, ("explicit", "bce"): 2.25, ("explicit_zero", "bce"): 2.25}
    answer = ASKED(made(tmp_path, levels)).answer
    assert "explicit · BCE (−0.0" in answer
    nothing = "**Nothing tried stabilizes them**; no difference found: zero start · BCE (+0.0000 ["
    assert nothing in answer
    assert "; worse: explicit clamp · BCE (+0.2" in answer


def test_parts_that_were_not_run_are_left_out(tmp_path, runs):
    few = {key: LEVELS[key] for key in (("before", "likelihood"), ("implicit", "bce"))}
    section = ASKED(made(tmp_path / "few", few, seeds=(0,)))
    assert "by another name" not in section.answer
    assert "Explicit" not in section.answer
    assert "one seed" in section.answer
    nothing = {("implicit", "bce"): 2.2}
    assert ASKED(made(tmp_path / "no", nothing)).blocks == ()
    assert ASKED(runs).blocks == ()
    assert dataclasses.replace(ASKED, axis="other")(made(tmp_path / "other", few)).blocks == ()
