import dataclasses

import pandas as pd
import pytest

from tcsm.reporting.runs import Run
from tcsm.reporting.sections.base import Chart
from tcsm.reporting.sections.tilt import Tilts

WORDS = {"way": {"tilt": "weighed draws", "best": "filtered"}, "beta": {"0.4": "β = 0.4"}}
ASKED = Tilts("tilt", "Tilts", "Who comes near?", ours="tilt", words=WORDS, command="again")
LEVELS = {
    ("0.4", "tilt"): 0.03,
    ("0.4", "best"): 0.2,
    ("0.4", "leashed"): 0.01,
    ("0.2", "tilt"): 0.06,
}


@pytest.fixture
def tilts(tmp_path):
    rows = {
        key: {"most": 0.5, "rows": [[0, 999], [500, 1]]}
        for key in ("world", "pretrained", "aim", "found")
    }
    return [
        Run(
            folder=tmp_path / beta / way / str(seed),
            experiment=f"tilt/{beta}-{way}",
            seed=seed,
            config={"axes": {"beta": beta, "way": way}},
            config_sha256="",
            metrics=pd.DataFrame({"step": [1], "loss": [1.0]}),
            telemetry=pd.DataFrame(),
            stages={"tilt": {"cpu_seconds": 5.0}},
            tilt={
                "stage": "tilt",
                "tv": level + 0.001 * (seed - 1),
                "kl": level / 5,
                "kl_to_pretrained": 0.3,
                "ess": 0.44,
                "world": {"tv": level + 0.02, "kl": 0.1},
                "reward_calls": 204800,
                "finite": True,
                "pictures": rows,
            },
        )
        for (beta, way), level in LEVELS.items()
        for seed in range(3)
    ]


def test_the_table_holds_every_method_against_ours(tilts):
    rows = ASKED(tilts).blocks[0].rows()
    assert rows[0][:4] == ["β = 0.4 · weighed draws", "44 %", "0.0300 ± 0.0025", "–"]
    assert rows[1][3] == "+0.1700 [+0.1700, +0.1700]"
    assert rows[0][5:] == ["0.0500", "0.30", "204.80 k", "5.0 s"]


def test_the_answer_says_where_the_goal_is_met_and_who_is_better(tilts):
    answer = ASKED(tilts).answer
    assert answer.startswith("Within 0.05 of the true tilted law in total variation: β = 0.4")
    assert "and β = 0.4 · leashed (0.0100 [0.0075, 0.0125]). **Not within**: β = 0.4 · f" in answer
    assert "Against weighed draws at β = 0.4, worse: filtered (+0.1700" in answer
    assert "**better**: leashed (−0.0200" in answer


@pytest.mark.parametrize(
    ("goal", "told"),
    [
        (0.035, "variation: β = 0.4 · weighed draws (0.0300 [0.0275, 0.0325]) and β = 0.4 · l"),
        (0.031, "**Cannot be told from these seeds**: β = 0.4 · weighed draws (0.0300 [0.0275, "),
        (0.029, "**Cannot be told from these seeds**: β = 0.4 · weighed draws (0.0300 [0.0275, "),
        (0.02, "**Not within**: β = 0.4 · weighed draws (0.0300 [0.0275, 0.0325]), β = 0.4 · f"),
        (0.001, "Within 0.001 of the true tilted law in total variation: no method. **Not"),
    ],
)
def test_the_goal_is_held_against_the_interval(tilts, goal, told):
    """29, 30 and 31e-3: their mean ± 4.303 · 1e-3/√3 = 2.48e-3."""
    assert told in dataclasses.replace(ASKED, goal=goal)(tilts).brief


def test_densities_stand_side_by_side(tilts):
    (chart,) = [block for block in ASKED(tilts).blocks if isinstance(block, Chart)]
    titles = [axes.get_title() for axes in chart.figure.axes]
    assert titles == [
        "world",
        "pre-trained",
        "true tilted law",
        "weighed draws",
        "filtered",
        "leashed",
    ]


def test_a_lost_run_is_told(tilts):
    lost = [
        dataclasses.replace(run, tilt={**run.tilt, "tv": None, "finite": False})
        for run in tilts[:3]
    ]
    assert (
        "Not finite or diverged: β = 0.4 · weighed draws (3 of 3 runs)."
        in ASKED(lost + tilts[3:]).answer
    )


def test_temperatures_that_leave_too_few_draws_are_no_part_of_the_goal(tilts):
    few = [dataclasses.replace(run, tilt={**run.tilt, "ess": 0.05}) for run in tilts]
    assert (
        ASKED(few).brief == "No temperature has the effective sample size that the goal asks for."
    )


def test_without_runs_there_is_no_section():
    assert ASKED([]).blocks == ()
