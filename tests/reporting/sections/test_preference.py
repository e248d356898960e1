import numpy as np
import pytest

from tcsm.reporting.records import write_json
from tcsm.reporting.runs import read_runs
from tcsm.reporting.sections.base import Chart
from tcsm.reporting.sections.preference import Preference, wins
from tests.reporting.house import SEEDS, make_student, weights

WORDS = {"objective": {"reference": "reference", "winners": "winners", "paired": "paired"}}
ASKED = Preference(
    "preference",
    "Preference",
    "Which?",
    reference={"objective": "reference"},
    pairs={"objective": ["winners", "paired"]},
    words=WORDS,
    command="snakemake preference",
)
ARMS = {
    "reference": (2.0, 0.0),
    "filtered": (2.05, 0.3),
    "winners": (2.1, 0.2),
    "paired": (2.2, 1.0),
}


def made(root, arms=ARMS, seeds=SEEDS):
    """Runs whose texts the judge likes by a normal law, and the reward twice as much."""
    folders = []
    for arm, (level, shift) in arms.items():
        for seed in seeds:
            name = f"preference/{arm}"
            folder = make_student(root, name, seed, level, {"objective": arm})
            likes = np.random.default_rng([seed, len(arm)]).normal(shift, 1, 400)
            record = {"stage": "grade", "experiment": name, "seed": seed, "count": 400}
            record |= {"weights_sha256": weights(seed)}
            record |= {"rewards": (2 * shift + likes).tolist(), "judge_rewards": likes.tolist()}
            record |= {"reward": {"mean": 0.0}, "texts": ["a"], "entropy": 4.0 - 0.1 * shift}
            write_json(folder / "grade.json", record)
            folders.append(folder)
    return read_runs(folders)


@pytest.fixture(scope="module")
def section(tmp_path_factory):
    return ASKED(made(tmp_path_factory.mktemp("preferences")))


def test_wins_are_counted_over_all_pairs_and_ties_are_halved():
    draw = np.random.default_rng(0)
    ours, theirs = draw.integers(0, 5, 30).astype(float), draw.integers(0, 5, 20).astype(float)
    gap = ours[:, None] - theirs
    assert wins(ours, theirs) == pytest.approx(float(((gap > 0) + (gap == 0) / 2).mean()))
    assert wins(ours, ours) == 0.5


def test_every_arm_is_held_against_the_texts_of_the_reference(section):
    table = section.blocks[0]
    rows = {row[0]: row for row in table.rows()}
    assert list(rows) == ["winners", "paired", "filtered"]
    frame = table.frame.set_index("arm")
    # Φ(shift/√2) of two normal laws that lie a shift apart
    for arm, judged, rewarded in (("paired", 0.760, 0.983), ("filtered", 0.584, 0.738)):
        assert frame["wins_value"][arm] == pytest.approx(judged, abs=0.03)
        assert frame["rewarded_value"][arm] == pytest.approx(rewarded, abs=0.03)
    assert frame["bpc_value"]["paired"] == pytest.approx(0.2, abs=0.02)
    assert frame["share"]["paired"] == pytest.approx(0.1, abs=0.01)
    assert frame["entropy_value"]["paired"] == pytest.approx(-0.1)
    assert rows["paired"][1].startswith("0.7")
    assert rows["paired"][2] == "better"


def test_the_answer_tells_who_wins_what_it_costs_and_who_is_on_the_front(section):
    assert section.brief.startswith("**paired** wins most: 0.7")
    assert "by the reward that it learned from, at +0.199 [+0.1" in section.brief
    assert "From pairs: winners 0.5" in section.answer
    assert "; paired 0.7" in section.answer
    assert "Nobody wins more at less BPC than reference, filtered and paired." in section.answer


def test_the_front_shows_losses_against_bpc(section):
    chart = section.blocks[1]
    assert isinstance(chart, Chart)
    assert chart.figure.axes[0].get_xlabel() == "test BPC"


def test_that_nobody_wins_is_said(tmp_path):
    arms = {"reference": (2.0, 0.0), "winners": (2.1, 0.0), "paired": (2.2, -0.5)}
    section = ASKED(made(tmp_path, arms))
    assert "No arm beats its reference beyond the spread of the seeds." in section.brief
    assert {row[0]: row[2] for row in section.blocks[0].rows()}["paired"] == "worse"


def test_one_seed_and_none(tmp_path, runs):
    section = ASKED(made(tmp_path / "one", seeds=(0,)))
    assert section.blocks[0].rows()[0][2] == "one seed"
    assert ASKED(runs).blocks == ()
    assert ASKED(made(tmp_path / "lost", {"paired": (2.2, 1.0)})).blocks == ()
