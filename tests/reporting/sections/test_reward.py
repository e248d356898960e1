import dataclasses

import numpy as np
import pytest
import yaml

from tcsm.reporting.records import write_json
from tcsm.reporting.runs import read_runs
from tcsm.reporting.sections.base import Chart, Passages
from tcsm.reporting.sections.reward import Reward
from tests.reporting.house import SEEDS, make_student, weights

WORDS = {"method": {"none": "pre-trained", "best_of": "best of 4", "text_2": "β = 2"}}
ASKED = Reward(
    "reward",
    "Reward",
    "How much?",
    baseline={"method": "none"},
    sweep=("text_2", "text_1"),
    words=WORDS,
    texts=2,
    command="snakemake reward",
)
# Test BPC, the judge's and the reward's mean, entropy, β.
ARMS = {
    "none": (2.0, -1.0, -2.0, 4.0, None),
    "best_of": (None, -0.5, 0.0, 4.0, None),
    "text_2": (2.04, 1.5, 0.0, 3.9, 2.0),
    "text_1": (2.60, 3.0, 4.0, 3.0, 1.0),
    "gradient": (2.02, -1.0, 0.0, 4.0, None),
}


def grade(name, seed, judge, reward, entropy):
    likes, found = judge + np.array([-2.0, 0, 2]), reward + np.array([-4.0, 0, 4])
    summaries = {
        key: {"mean": float(values.mean()), "sd": float(values.std(ddof=1)), "se": 1.0}
        for key, values in (("reward", found), ("judge_reward", likes))
    }
    record = {"stage": "grade", "experiment": name, "seed": seed, "count": 3, **summaries}
    record |= {"rewards": found.tolist(), "judge_rewards": likes.tolist(), "entropy": entropy}
    record |= {
        "weights_sha256": weights(seed),
        "repetition": 0.01,
        "reward_calls": 12 * name.endswith("best_of"),
    }
    return record | {"texts": [f"{name} {number}" for number in range(8)]}


def made(root, arms=ARMS, seeds=SEEDS):
    """Graded runs; a guided one was not trained."""
    folders = []
    for arm, (level, judge, reward, entropy, beta) in arms.items():
        for seed in seeds:
            name = f"reward/{arm}"
            folder = make_student(root, name, seed, level or 2.0, {"method": arm})
            if level is None:
                for file in folder.glob("[em]*.json*"):
                    file.unlink()
                (folder / "train.json").unlink()
            configure(folder, arm, beta)
            write_json(folder / "grade.json", grade(name, seed, judge, reward, entropy))
            folders.append(folder)
    return read_runs(folders)


def configure(folder, arm, beta):
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["data"] = {"batch": 4}
    config["feed"] = {"tilt": {"beta": beta}} if beta else {}
    config["feed"] |= {"reward": {}} if arm == "gradient" else {}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    return made(tmp_path_factory.mktemp("rewards"))


@pytest.fixture(scope="module")
def section(graded):
    return ASKED(graded)


def test_gains_are_in_deviations_of_the_baselines_texts(section):
    frame = section.blocks[0].frame.set_index("arm")
    assert frame["judge_gain"]["β = 2"] == pytest.approx((1.5 + 1) / 2)
    assert frame["reward_gain"]["β = 2"] == pytest.approx((0 + 2) / 4)
    assert frame["bpc_share"]["β = 2"] == pytest.approx(0.02, abs=0.01)
    assert frame["entropy_share"]["text 1"] == pytest.approx(-0.25)
    assert frame["judge_gain"]["pre-trained"] == 0


def test_a_guide_leaves_the_models_bpc_and_pays_for_every_text(section):
    frame = section.blocks[0].frame.set_index("arm")
    assert frame["bpc_share"]["best of 4"] == 0
    assert frame["calls"]["best of 4"] == 12


def test_a_policy_pays_for_every_sequence(graded, section):
    steps = graded[-1].train["steps"]
    frame = section.blocks[0].frame.set_index("arm")
    assert frame["calls"]["gradient"] == 4 * steps


def test_the_answer_names_who_gains_most_within_bounds_and_the_cliff(section):
    assert section.brief.startswith("**β = 2** gains most within 5 % of BPC and entropy: +1.25")
    assert "This reaches a gain of 1 by the judge" in section.brief
    assert "As β falls, β = 2: +1.25 by the judge, +0.50 by the reward, +1.88 %" in section.answer
    assert "β = 1: +2.00 by the judge, +1.50 by the reward, +30" in section.answer


def test_a_goal_that_is_missed_is_told(tmp_path):
    weak = {"none": ARMS["none"], "text_2": (2.04, 0.0, 0.0, 3.9, 2.0)}
    section = ASKED(made(tmp_path, weak))
    assert "The goal is missed: a gain of 1 by the judge" in section.brief


def test_a_goal_within_the_interval_is_left_open(tmp_path):
    """Gains of 0, 1/2 and 1: their mean ± 4.303 · 0.5/√3 = 1.24."""
    near = {"none": ARMS["none"], "text_2": (2.04, 0.0, 0.0, 3.9, 2.0)}
    runs = []
    for run in made(tmp_path, near):
        mean = run.grade["judge_reward"]["mean"] + (run.seed - 1) * run.experiment.endswith("2")
        found = {**run.grade["judge_reward"], "mean": mean}
        runs.append(dataclasses.replace(run, grade={**run.grade, "judge_reward": found}))
    brief = ASKED(runs).brief
    assert "+0.50 [−0.74, +1.74] deviations by the judge" in brief
    assert "Whether this reaches the goal, a gain of 1 by the judge at no more than" in brief
    assert brief.endswith("cannot be told from these seeds.")


def test_without_other_arms_there_is_nothing_to_sweep(tmp_path):
    section = ASKED(made(tmp_path, {"none": ARMS["none"]}))
    assert "As β falls" not in section.answer
    assert len([block for block in section.blocks if isinstance(block, Chart)]) == 1


def test_figures_and_samples_stand_side_by_side(section):
    charts = [block for block in section.blocks if isinstance(block, Chart)]
    assert [chart.name for chart in charts] == ["reward_front", "reward_sweep"]
    line = charts[1].figure.axes[0].lines[0]
    assert sorted(line.get_xdata()) == [1, 2]
    (shown,) = (block for block in section.blocks if isinstance(block, Passages))
    assert [passage.heading for passage in shown.passages] == ["pre-trained", "text 1"]
    assert shown.passages[0].texts == ("reward/none 0", "reward/none 1")


def test_without_grades_there_is_no_section(runs):
    assert ASKED(runs).blocks == ()


@pytest.mark.parametrize("judged", ["none", "reward"])
def test_runs_that_no_judge_rewarded_are_left_out(graded, judged):
    """Of all runs, or of the baseline alone: as reward_judge=null leaves them."""
    runs = [
        dataclasses.replace(run, grade={**run.grade, "judge_reward": None, "judge_rewards": None})
        if judged == "none" or run.experiment.endswith("/none")
        else run
        for run in graded
    ]
    section = ASKED(runs)
    assert "deviations by the judge" not in section.brief
